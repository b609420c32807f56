"""Exactly what is missing is embedded, a checkpoint at a time, and every file says whose it is."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image as PillowImage
from sqlalchemy import func, select

from photolineage.catalog.leases import LeaseHeldError
from photolineage.catalog.orm import ShardFile
from photolineage.catalog.vocabulary import FileKind, ImageState, JobState
from photolineage.lineage import JobKind
from photolineage.models.embedder import Embedder, ModelFacts
from photolineage.models.registry import ModelChangedError, record_model
from photolineage.steps.embed import NotRegisteredError, even_batches
from photolineage.steps.jobs import running_job
from photolineage.steps.progress import Progress
from photolineage.stores.root_folder import StorageError
from tests.library import Library, draw_photo, flip_a_bit_of_column, touch

FIRST = "photos-00000"


@pytest.fixture
def registered_anywhere(any_library: Library) -> Library:
    """On each database in turn."""
    any_library.scan()
    any_library.register_all()
    return any_library


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that were run through a model."""
    sizes: list[int] = []
    encode = Embedder.encode_batch

    def record(self: Embedder, batch: list[object]) -> object:
        sizes.append(len(batch))
        return encode(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Embedder, "encode_batch", record)
    return sizes


def records(library: Library) -> list[tuple[str, int]]:
    with library.engine.connect() as connection:
        return [
            (path, rows)
            for path, rows in connection.execute(
                select(ShardFile.path, ShardFile.row_count)
                .where(ShardFile.kind == FileKind.EMBEDDING)
                .order_by(ShardFile.id)
            )
        ]


def test_every_distinct_image_gets_one_unit_vector(registered_anywhere: Library) -> None:
    reports = registered_anywhere.embed_all()
    assert [(report.total, report.embedded, report.checkpoints) for report in reports.values()] == [
        (10, 10, 3), (8, 8, 2), (8, 8, 2),
    ]  # fmt: skip
    live = registered_anywhere.live()
    expected = [
        row.id
        for row in registered_anywhere.images().values()
        if row.state == ImageState.REGISTERED and row.duplicate_of_id is None
    ]
    assert live.rows["image_id"].to_pylist() == expected
    assert live.missing == 0
    vectors = np.array(live.vectors()["vector"].to_pylist(), np.float32)
    assert vectors.shape == (26, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)


def test_the_vectors_are_those_of_the_model(registered: Library) -> None:
    registered.embed(FIRST)
    embedder, _ = registered.embedder()
    table = registered.live().vectors()
    by_id = dict(zip(table["image_id"].to_pylist(), table["vector"].to_pylist(), strict=True))
    assert len(by_id) == 10
    for path, row in list(registered.images().items())[:10]:
        (own,) = embedder.encode_images([PillowImage.open(registered.root / path).convert("RGB")])
        assert float(np.dot(by_id[row.id], own)) > 0.999


def test_a_second_run_computes_nothing(registered: Library, encoded: list[int]) -> None:
    registered.embed_all()
    assert sum(encoded) == 26
    encoded.clear()
    reports = registered.embed_all()
    assert encoded == []
    assert [(report.resumed, report.embedded) for report in reports.values()] == [(10, 0), (8, 0), (8, 0)]
    assert len(records(registered)) == 7


def test_a_checkpoint_is_a_file_and_its_record(registered: Library) -> None:
    registered.embed(FIRST)
    (job,) = registered.jobs(JobKind.EMBED)
    names = [(path.rpartition("-")[0], rows) for path, rows in records(registered)]  # without the random end
    assert names == [
        (f"embeddings/tiny-a/{FIRST}/{job.id:08}-{number:04}", rows) for number, rows in enumerate([4, 4, 2])
    ]
    assert (job.subject, job.state) == (f"tiny-a|{FIRST}", JobState.SUCCEEDED)
    assert (job.done, job.total, job.input_version) == (10, 10, "1")


def test_a_run_that_dies_loses_its_open_checkpoint_only(
    registered_anywhere: Library, encoded: list[int]
) -> None:
    class KilledError(BaseException):
        pass

    def die_in_the_second_checkpoint(progress: Progress) -> None:
        if progress.done == 8:
            raise KilledError

    with pytest.raises(KilledError):
        registered_anywhere.embed(FIRST, on_progress=die_in_the_second_checkpoint)
    (job,) = registered_anywhere.jobs(JobKind.EMBED)
    assert (job.state, job.done, job.total) == (JobState.INTERRUPTED, 4, 10)
    assert registered_anywhere.live().missing == 26 - 4
    encoded.clear()
    seen: list[Progress] = []
    report = registered_anywhere.embed(FIRST, on_progress=seen.append)
    assert (report.total, report.resumed, report.embedded, report.checkpoints) == (10, 4, 6, 2)
    assert sum(encoded) == 6
    done = [progress.done for progress in seen]  # as many steps as there are cores that encode
    assert seen == [Progress(images, 10, 0, 4) for images in done]
    assert done == sorted(set(done))
    assert {4, 8, 10} <= set(done) <= set(range(4, 11))
    assert registered_anywhere.live().rows["image_id"].to_pylist() == [
        row.id for row in list(registered_anywhere.images().values())[:10]
    ]


def test_changed_content_is_embedded_again_and_nothing_else(registered: Library, encoded: list[int]) -> None:
    registered.embed_all()
    before = registered.live()
    changed = registered.images()["2023/05.jpg"].id
    encoded.clear()
    draw_photo(registered.root / "2023/05.jpg", 100)
    touch(registered.root / "2023/05.jpg")
    registered.scan()
    registered.register_all()
    assert registered.live().missing == 1
    registered.embed_all()
    assert encoded == [1]
    after = registered.live()
    files = dict(zip(*(after.rows[name].to_pylist() for name in ("image_id", "embedding_file")), strict=True))
    former = dict(
        zip(*(before.rows[name].to_pylist() for name in ("image_id", "embedding_file")), strict=True)
    )
    assert {image for image, file in files.items() if former[image] != file} == {changed}
    assert len(after.vectors()) == 26


def test_a_file_whose_time_alone_has_changed_is_not_embedded_again(
    registered: Library, encoded: list[int]
) -> None:
    registered.embed_all()
    encoded.clear()
    touch(registered.root / "2023/05.jpg")
    registered.scan()
    registered.register_all()
    registered.embed_all()
    assert encoded == []


def test_a_promoted_duplicate_is_embedded(registered_anywhere: Library, encoded: list[int]) -> None:
    registered_anywhere.embed_all()
    encoded.clear()
    (registered_anywhere.root / "2023/03.jpg").unlink()
    registered_anywhere.scan()
    registered_anywhere.register_all()
    registered_anywhere.embed_all()
    assert encoded == [1]
    live = registered_anywhere.live().rows["image_id"].to_pylist()
    images = registered_anywhere.images()
    assert images["2023/copy.jpg"].id in live
    assert images["2023/03.jpg"].id not in live


def test_missing_images_are_not_live_and_come_back_without_work(
    registered: Library, encoded: list[int]
) -> None:
    registered.embed_all()
    encoded.clear()
    path, away = registered.root / "2024/00.jpg", registered.root.parent / "away.jpg"
    path.rename(away)
    registered.scan()
    assert len(registered.live().rows) == 25
    away.rename(path)
    registered.scan()
    registered.register_all()
    registered.embed_all()
    assert len(registered.live().rows) == 26
    assert encoded == []


def test_models_do_not_meet(registered: Library) -> None:
    registered.embed_all("tiny-a")
    registered.embed_all("tiny-b")
    assert registered.live("tiny-a").vectors()["vector"].type.list_size == 16
    assert registered.live("tiny-b").vectors()["vector"].type.list_size == 24
    assert sorted(os.listdir(registered.settings.home / "embeddings")) == ["tiny-a", "tiny-b"]


def test_files_of_no_record_are_swept(registered: Library) -> None:
    registered.embed(FIRST)
    directory = registered.settings.home / registered.embeddings.folder("tiny-a", FIRST)
    committed = sorted(os.listdir(directory))
    (directory / "00009999-0000.parquet").touch()
    (directory / ".partial-00009999-0001.parquet").touch()
    registered.embed(FIRST)
    assert sorted(os.listdir(directory)) == committed


def test_the_previews_are_read_and_not_the_originals(registered: Library) -> None:
    registered.root.rename(registered.root.parent / "unplugged")
    assert [report.embedded for report in registered.embed_all().values()] == [10, 8, 8]


def lose(library: Library, path: str) -> None:
    (library.settings.home / path).unlink()


def cut_short(library: Library, path: str) -> None:
    os.truncate(library.settings.home / path, 100)


def flip_a_bit(library: Library, path: str) -> None:
    flip_a_bit_of_column(library.settings.home / path, "vector")


@pytest.mark.parametrize("damage", [lose, cut_short, flip_a_bit])
def test_the_images_of_a_lost_file_are_embedded_again_and_no_others(
    registered_anywhere: Library, encoded: list[int], damage: Callable[[Library, str], None]
) -> None:
    registered_anywhere.embed_all()
    before = records(registered_anywhere)
    damage(registered_anywhere, before[1][0])
    encoded.clear()

    report = registered_anywhere.embed(FIRST)

    assert (report.total, report.resumed, report.embedded, report.lost_files) == (10, 6, 4, 1)
    assert sum(encoded) == 4
    after = records(registered_anywhere)
    assert [record for record in after if record in before] == [before[0], *before[2:]]
    assert len(registered_anywhere.live().vectors()) == 26
    assert registered_anywhere.embed(FIRST).lost_files == 0


def test_a_lost_file_stays_on_record_until_its_images_are_embedded_again(
    registered: Library, encoded: list[int]
) -> None:
    class KilledError(BaseException):
        pass

    def die(progress: Progress) -> None:
        if progress.done > progress.resumed:
            raise KilledError

    registered.embed_all()
    before = records(registered)
    lose(registered, before[1][0])
    with pytest.raises(KilledError):
        registered.embed(FIRST, on_progress=die)
    assert records(registered) == before
    encoded.clear()
    assert registered.embed(FIRST).lost_files == 1
    assert sum(encoded) == 4


def test_embeddings_that_are_all_gone_may_be_on_a_disk_that_is_not_mounted(registered: Library) -> None:
    registered.embed_all()
    before = records(registered)
    shutil.rmtree(registered.settings.home / "embeddings")
    with pytest.raises(StorageError, match=r"this folder is missing, .* Mount its disk"):
        registered.embed(FIRST)
    assert records(registered) == before
    (registered.settings.home / "embeddings").mkdir()
    assert registered.embed(FIRST).lost_files == 3


def test_a_committed_file_that_is_gone_is_an_error_to_its_readers(registered: Library) -> None:
    registered.embed(FIRST)
    lose(registered, records(registered)[0][0])
    with pytest.raises(
        StorageError, match=r"Materialize the partition tiny-a\|photos-00000 of image_embeddings again"
    ):
        registered.index()


def test_a_shard_that_is_not_registered_is_refused(library: Library) -> None:
    library.scan()
    with pytest.raises(NotRegisteredError, match="Materialize registered_images for it first"):
        library.embed(FIRST)
    assert library.jobs(JobKind.EMBED) == []


def test_a_second_run_stops_without_writing(registered: Library, encoded: list[int]) -> None:
    subject = f"tiny-a|{FIRST}"
    with (
        running_job(registered.context("the-first"), JobKind.EMBED, subject, input_version="1"),
        pytest.raises(LeaseHeldError, match="run the-first"),
    ):
        registered.embed(FIRST)
    assert encoded == []
    registered.embed("photos-00001")
    assert sum(encoded) == 8


def test_the_images_of_all_shards_are_committed_once(registered: Library) -> None:
    registered.embed_all()
    ids = Counter(
        image
        for path, _ in records(registered)
        for image in registered.embeddings.read(path)["image_id"].to_pylist()
    )
    assert set(ids.values()) == {1}
    with registered.engine.connect() as connection:
        committed = connection.execute(
            select(func.sum(ShardFile.row_count)).where(ShardFile.kind == FileKind.EMBEDDING)
        ).scalar_one()
    assert committed == ids.total() == 26


@pytest.mark.parametrize(
    ("images", "most", "threads", "sizes"),
    [
        (500, 16, 1, [16] * 20 + [15] * 12),
        (500, 16, 2, [16] * 20 + [15] * 12),
        (500, 256, 1, [250, 250]),
        (16, 16, 1, [16]),
        (17, 16, 1, [9, 8]),
        (10, 16, 4, [3, 3, 2, 2]),
        (2, 16, 4, [1, 1]),
        (1, 1, 1, [1]),
    ],
)
def test_batches_are_as_many_for_each_thread_and_as_even_as_can_be(
    images: int, most: int, threads: int, sizes: list[int]
) -> None:
    assert even_batches(images, most, threads) == sizes
    assert (sum(sizes), max(sizes) <= most) == (images, True)


@pytest.mark.parametrize(
    "other",
    [
        {"weights_digest": "0" * 64},
        {"embedding_dim": 17},
        {"image_size": 65},
    ],
)
def test_the_same_key_with_another_model_is_refused(any_library: Library, other: dict[str, object]) -> None:
    settings = any_library.settings.models["tiny-a"]
    facts = ModelFacts(16, 64, "1" * 64)
    model_id = record_model(any_library.engine, "tiny-a", settings, facts)
    assert record_model(any_library.engine, "tiny-a", settings, facts) == model_id
    changed = ModelFacts(**({"embedding_dim": 16, "image_size": 64, "weights_digest": "1" * 64} | other))  # type: ignore[arg-type]
    with pytest.raises(
        ModelChangedError, match=r"(?s)models\.tiny-a: .*recorded: .*loaded: .*key of its own"
    ):
        record_model(any_library.engine, "tiny-a", settings, changed)
    assert record_model(any_library.engine, "tiny-a", settings, facts) == model_id


def test_runs_that_load_a_new_model_at_once_agree_on_its_row(any_library: Library) -> None:
    settings = any_library.settings.models["tiny-a"]

    def load(_number: int) -> int:
        return record_model(any_library.engine, "tiny-a", settings, ModelFacts(16, 64, "1" * 64))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(load, range(8)))) == 1
