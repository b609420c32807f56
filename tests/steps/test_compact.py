"""Files of mostly superseded rows give way to one with what holds, and nobody notices."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Image, ShardFile
from photolineage.catalog.queries import committed_files, find_shard
from photolineage.catalog.vocabulary import FileKind
from photolineage.lineage import JobKind
from photolineage.steps.compact import GRACE, FileSet, compact
from photolineage.steps.embed import Stores, embed_shard
from photolineage.steps.jobs import running_job
from photolineage.steps.register import register_shard
from photolineage.stores.embeddings import EmbeddingFileHeader
from photolineage.stores.vector_index import live_schema
from tests.library import Library, draw_photo, touch

SHARD = "photos-00000"
ROOT = Path(__file__).parents[2]


def change(library: Library, numbers: range, seed: int) -> None:
    """Give the photos of these numbers, of the ten of the shard, other contents."""
    for number in numbers:
        path = library.root / f"2023/{number:02}.jpg"
        draw_photo(path, seed + number)
        touch(path, seconds_later=seed)
    library.scan()


def recorded(library: Library, kind: FileKind) -> list[tuple[int, bool]]:
    """The rows of each recorded file of the shard, and whether it is superseded."""
    with library.engine.connect() as connection:
        shard = find_shard(connection, SHARD)
        rows = connection.execute(
            select(ShardFile.row_count, ShardFile.superseded_at.is_not(None))
            .where(ShardFile.kind == kind, ShardFile.shard_id == shard.id)
            .order_by(ShardFile.id)
        )
        return [(row_count, superseded) for row_count, superseded in rows]


def files_of(library: Library, folder: str) -> list[str]:
    return sorted(path.name for path in (library.settings.home / folder / SHARD).iterdir())


def let_the_grace_pass(library: Library) -> None:
    with write_transaction(library.engine) as connection:
        for row in connection.execute(select(ShardFile.id, ShardFile.superseded_at)).all():
            if row.superseded_at is not None:
                earlier = row.superseded_at - GRACE - timedelta(seconds=1)
                connection.execute(
                    update(ShardFile).where(ShardFile.id == row.id).values(superseded_at=earlier)
                )


def vectors(library: Library) -> dict[int, list[float]]:
    table = library.live().vectors()
    return dict(zip(table["image_id"].to_pylist(), table["vector"].to_pylist(), strict=True))


@pytest.fixture
def superseded(any_library: Library) -> Library:
    """Six of the shard's ten images have changed, and were embedded again: ten of sixteen rows hold."""
    any_library.build()
    change(any_library, range(6), 100)
    any_library.register(SHARD)
    any_library.embed(SHARD)
    return any_library


def test_files_of_which_more_than_half_holds_stay(superseded: Library) -> None:
    for kind in FileKind:
        assert recorded(superseded, kind) == [(4, False), (4, False), (2, False), (4, False), (2, False)]


def test_what_holds_goes_into_one_file_and_the_others_after_the_grace(superseded: Library) -> None:
    change(superseded, range(6), 200)
    assert superseded.register(SHARD).compacted == 7
    assert recorded(superseded, FileKind.PREVIEW)[-2:] == [(2, True), (10, False)]
    report = superseded.embed(SHARD)
    assert (report.embedded, report.compacted) == (6, 7)
    assert recorded(superseded, FileKind.EMBEDDING) == [
        *((rows, True) for rows in (4, 4, 2, 4, 2, 4, 2)),
        (10, False),
    ]
    assert len(files_of(superseded, "embeddings/tiny-a")) == 8

    change(superseded, range(1), 300)
    superseded.register(SHARD)
    superseded.embed(SHARD)
    assert len(files_of(superseded, "embeddings/tiny-a")) == len(files_of(superseded, "previews")) == 9

    let_the_grace_pass(superseded)
    superseded.register(SHARD)
    superseded.embed(SHARD)
    for kind in FileKind:
        assert recorded(superseded, kind) == [(10, False), (1, False)]
    assert len(files_of(superseded, "embeddings/tiny-a")) == len(files_of(superseded, "previews")) == 2


def test_the_small_files_of_checkpoints_that_end_by_time_become_one(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each checkpoint has the one image that is read or computed in its time."""
    library.scan()
    registered = register_shard(
        library.context(), library.previews, SHARD, time_zone="UTC", checkpoint_images=500, checkpoint_seconds=1e-9
    )  # fmt: skip
    assert (registered.registered, registered.checkpoints, registered.compacted) == (10, 10, 10)
    embedder, model_id = library.embedder()
    monkeypatch.setattr(embedder, "batch_images", 1)
    stores = Stores(library.previews, library.embeddings)
    embedded = embed_shard(
        library.context(), stores, embedder, model_id, SHARD, checkpoint_images=500, checkpoint_seconds=1e-9
    )  # fmt: skip
    assert (embedded.embedded, embedded.checkpoints, embedded.compacted) == (10, 10, 10)
    for kind in FileKind:
        assert recorded(library, kind) == [(1, True)] * 10 + [(10, False)]
    assert library.live().missing == 0
    assert len(vectors(library)) == 10
    assert library.embed(SHARD).compacted == library.register(SHARD).compacted == 0


def test_embeddings_are_bit_for_bit_what_they_were(superseded: Library) -> None:
    before = vectors(superseded)
    change(superseded, range(6), 200)
    superseded.register(SHARD)
    assert superseded.embed(SHARD).compacted == 7
    after = vectors(superseded)
    changed = {superseded.images()[f"2023/{number:02}.jpg"].id for number in range(6)}
    assert after.keys() == before.keys()
    assert {image for image in after if after[image] != before[image]} == changed
    np.testing.assert_allclose(np.linalg.norm(list(after.values()), axis=1), 1, atol=2e-3)


def test_a_reader_that_looked_the_files_up_before_reads_them_to_its_end(superseded: Library) -> None:
    live = superseded.live()
    with superseded.engine.connect() as connection:
        shard = find_shard(connection, SHARD)
        previews = committed_files(connection, FileKind.PREVIEW, shard_id=shard.id)
    change(superseded, range(6), 200)
    assert superseded.register(SHARD).compacted > 0
    assert superseded.embed(SHARD).compacted > 0
    assert len(live.vectors()) == 26
    assert len(superseded.previews.open(file.path for file in previews).contents()) == 16


def test_the_index_follows(superseded: Library) -> None:
    change(superseded, range(6), 200)
    superseded.register(SHARD)
    superseded.embed(SHARD)
    superseded.index()
    index = superseded.indexes.open("tiny-a", 16)
    live = superseded.live()
    assert index.live_rows().sort_by("image_id").cast(live_schema()) == live.rows
    assert live.count_outdated(index.live_rows()) == 0


def test_images_that_may_come_back_are_kept(superseded: Library) -> None:
    for number in range(10):
        (superseded.root / f"2023/{number:02}.jpg").unlink()
    superseded.scan()
    assert superseded.register(SHARD).compacted == 0
    assert superseded.embed(SHARD).compacted == 0


@pytest.mark.parametrize(
    ("step", "moment"), [("register", "commit"), ("register", "end"), ("embed", "commit"), ("embed", "end")]
)
def test_a_kill_while_files_are_compacted_costs_nothing(library: Library, step: str, moment: str) -> None:
    library.build()
    for seed in (100, 200):
        change(library, range(6), seed)
        if (step, seed) != ("register", 200):
            library.register(SHARD)
        if seed == 100:
            library.embed(SHARD)
    kind = FileKind.PREVIEW if step == "register" else FileKind.EMBEDDING
    command = [sys.executable, "-m", "tests.steps.compacting_process"]
    killed = subprocess.run(
        [*command, str(library.settings.config_file), step, SHARD, moment], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert [superseded for _, superseded in recorded(library, kind)] == (
        [False] * 7 if moment == "commit" else [True] * 7 + [False]
    )

    report = library.register(SHARD) if step == "register" else library.embed(SHARD)
    assert report.resumed == 10
    assert report.compacted == (7 if moment == "commit" else 0)
    assert recorded(library, kind) == [
        (4, True),
        (4, True),
        (2, True),
        (4, True),
        (2, True),
        (4, True),
        (2, True),
        (10, False),
    ]
    folder = "previews" if step == "register" else "embeddings/tiny-a"
    assert len(files_of(library, folder)) == 8
    library.embed_all()
    assert library.live().missing == 0
    assert len(vectors(library)) == 27, "the copy of a photo that has changed stands for itself"


def test_of_an_image_whose_content_is_not_known_the_newest_row_is_held(library: Library) -> None:
    library.scan()
    for seed in (100, 200):
        change(library, range(10), seed)
        library.register(SHARD)
        library.embed(SHARD)
    newest = vectors(library)
    change(library, range(10), 300)
    library.register(SHARD)
    unknown = [row.id for row in library.images().values()][:6]
    with write_transaction(library.engine) as connection:
        connection.execute(update(Image).where(Image.id.in_(unknown)).values(content_hash=None))
    _, model_id = library.embedder()
    header = EmbeddingFileHeader("tiny-a", "digest", SHARD)
    with running_job(library.context(), JobKind.EMBED, f"tiny-a|{SHARD}", input_version="") as lease:
        compact(
            lease,
            FileSet(FileKind.EMBEDDING, 1, model_id),
            library.embeddings.read_identities,
            lambda rows: library.embeddings.rewrite(header, "compacted", rows),
            rows_per_file=4,
        )
    (compacted,) = (library.settings.home / f"embeddings/tiny-a/{SHARD}").glob("compacted-*.parquet")
    table = library.embeddings.read(f"embeddings/tiny-a/{SHARD}/{compacted.name}")
    held = dict(zip(table["image_id"].to_pylist(), table["vector"].to_pylist(), strict=True))
    assert len(table) == len(held) == 6
    assert held == {image_id: newest[image_id] for image_id in unknown}
