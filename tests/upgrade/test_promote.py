"""A model serves only when it covers every image and its index is up to date; there is always at most one."""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import URL, Connection, Engine, event, insert, select, text

from photolineage.catalog.engine import run_in_transaction, write_transaction
from photolineage.catalog.orm import Image, MlModel, ShardFile
from photolineage.catalog.queries import serving_model_key
from photolineage.catalog.vocabulary import FileKind, ImageState
from photolineage.lineage import JobKind
from photolineage.models.registry import ModelNotLoadedError, record_model, record_serving_model
from photolineage.stores.embeddings import EmbeddingFileHeader
from photolineage.stores.vector_index.maintenance import ANN_FROM_ROWS
from photolineage.upgrade.promote import (
    NotReadyToServeError,
    Readiness,
    assess_former,
    assess_readiness,
    choose_candidate,
    has_served,
    promote,
)
from tests.library import Library, draw_photo, touch


def assess(library: Library, model_key: str = "tiny-a", recall_bar: float = 0.95) -> Readiness:
    return assess_readiness(library.engine, library.embeddings, library.indexes, model_key, recall_bar)


def serving(library: Library) -> list[str]:
    with library.engine.connect() as connection:
        rows = connection.execute(select(MlModel.key, MlModel.serving_since).where(MlModel.serving)).all()
    assert all(since is not None for _, since in rows)
    return [key for key, _ in rows]


def test_a_complete_model_is_promoted_and_another_and_back(library: Library) -> None:
    library.build("tiny-a", "tiny-b")
    first, second = assess(library, "tiny-a"), assess(library, "tiny-b")
    assert (first.embeddable, first.embedded, first.indexed, first.refusals) == (26, 26, 26, ())
    assert first.recall is not None
    assert first.recall.recall == 1.0
    assert serving(library) == []
    assert promote(library.engine, first) is None
    assert serving(library) == ["tiny-a"]
    assert promote(library.engine, second) == "tiny-a"
    assert serving(library) == ["tiny-b"]
    assert promote(library.engine, first) == "tiny-b"
    assert serving(library) == ["tiny-a"]
    assert promote(library.engine, first) == "tiny-a"


def test_a_model_that_does_not_cover_every_image_is_refused(library: Library) -> None:
    library.build()
    promote(library.engine, assess(library))
    library.embed("photos-00000", "tiny-b")
    library.index("tiny-b")
    readiness = assess(library, "tiny-b")
    assert readiness.refusals == (
        "16 of 26 images have no embedding yet: materialize the missing partitions of image_embeddings for tiny-b",
    )
    with pytest.raises(
        NotReadyToServeError,
        match=r"^tiny-b cannot serve: 16 of 26 images .* The serving model was not changed\.$",
    ):
        promote(library.engine, readiness)
    assert serving(library) == ["tiny-a"]


def test_an_index_that_was_not_built_is_refused(library: Library) -> None:
    library.scan()
    library.register_all()
    library.embed_all()
    (refusal,) = assess(library).refusals
    assert refusal.startswith("its index has 0 rows for 26 embeddings, and 26 images are out of date: ")


def change_content(library: Library) -> None:
    draw_photo(library.root / "2024/00.jpg", 100)
    touch(library.root / "2024/00.jpg")


def replace_one_image(library: Library) -> None:
    (library.root / "2024/00.jpg").unlink()
    draw_photo(library.root / "2024/13.jpg", 100)


@pytest.mark.parametrize(("change", "images"), [(change_content, 1), (replace_one_image, 2)])
def test_an_index_with_the_right_number_of_wrong_rows_is_refused(
    library: Library, change: Callable[[Library], None], images: int
) -> None:
    library.build()
    change(library)
    library.scan()
    library.register_all()
    library.embed_all()
    readiness = assess(library)
    assert readiness.refusals == (
        (
            f"its index has 26 rows for 26 embeddings, and {images} images are out of date: "
            "materialize vector_index for tiny-a"
        ),
    )
    library.index()
    assert assess(library).refusals == ()


def embed_at_random(library: Library, images: int) -> None:
    """So many images with random embeddings by `tiny-a`, indexed: more than exact search is used for."""
    library.scan()
    embedder, model_id = library.embedder()
    job = library.jobs(JobKind.SCAN)[0].id
    directions = np.random.default_rng(0).standard_normal((images, 16)).astype(np.float32)
    vectors = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    numbers = range(1000, 1000 + images)
    hashes = [f"{number:064x}" for number in numbers]
    header = EmbeddingFileHeader("tiny-a", embedder.facts.weights_digest, "photos-00000")
    path, size = library.embeddings.write(header, "random", list(numbers), hashes, vectors)
    now = datetime.now(UTC)
    with write_transaction(library.engine) as connection:
        connection.execute(
            insert(Image),
            [
                {
                    "id": number, "source_id": 1, "shard_id": 1, "path": f"{number}.jpg", "size_bytes": 1,
                    "mtime_ns": 1, "state": ImageState.REGISTERED, "content_hash": content, "discovered_at": now,
                }
                for number, content in zip(numbers, hashes, strict=True)
            ],
        )  # fmt: skip
        connection.execute(
            insert(ShardFile).values(
                kind=FileKind.EMBEDDING, shard_id=1, model_id=model_id, job_id=job, path=path, row_count=images,
                size_bytes=size, committed_at=now,
            )
        )  # fmt: skip
    library.index()


def test_a_recall_below_the_bar_is_refused_with_both_figures(library: Library) -> None:
    """Vectors of one bit a dimension, of 16 dimensions, find most of the true neighbours and not all."""
    embed_at_random(library, ANN_FROM_ROWS)
    readiness = assess(library, recall_bar=1.0)
    assert readiness.recall is not None
    assert 0.5 < readiness.recall.recall < 1
    assert readiness.refusals == (
        f"its recall@10 is {readiness.recall.recall:.3f}, less than the required 1.0 (recall_bar)",
    )
    with pytest.raises(
        NotReadyToServeError, match=r"tiny-a cannot serve: its recall@10 is 0\.\d{3}, less than"
    ):
        promote(library.engine, readiness)
    assert serving(library) == []
    assert assess(library, recall_bar=0.5).refusals == ()


def test_a_model_that_has_served_serves_again_with_what_it_lacks_as_a_warning(library: Library) -> None:
    library.build("tiny-a", "tiny-b")
    assert not has_served(library.engine, "tiny-a")
    promote(library.engine, assess(library, "tiny-a"))
    assert not has_served(library.engine, "tiny-a"), "it serves"
    promote(library.engine, assess(library, "tiny-b"))
    draw_photo(library.root / "2025/00.jpg", 500)
    library.scan()
    library.register_all()
    shutil.rmtree(library.settings.home / "embeddings")
    assert has_served(library.engine, "tiny-a")
    former = assess_former(library.engine, library.indexes, "tiny-a")
    assert (former.embeddable, former.embedded, former.indexed, former.recall) == (27, 26, 26, None)
    assert former.warnings == (
        "1 of 27 images have no embedding yet: materialize the missing partitions of image_embeddings for tiny-a",
    )
    assert promote(library.engine, former) == "tiny-b"
    assert serving(library) == ["tiny-a"]


def test_a_model_that_has_served_and_whose_index_is_old_is_told_so(library: Library) -> None:
    library.build("tiny-a")
    change_content(library)
    library.scan()
    library.register_all()
    library.embed_all()
    former = assess_former(library.engine, library.indexes, "tiny-a")
    assert (former.refusals, former.warnings) == (
        (),
        ("its index is out of date: materialize vector_index for tiny-a",),
    )


def test_a_model_that_has_served_and_whose_index_is_gone_is_refused(library: Library) -> None:
    library.build("tiny-a")
    shutil.rmtree(library.settings.home / "index")
    former = assess_former(library.engine, library.indexes, "tiny-a")
    assert former.refusals == ("it has no index: materialize vector_index for tiny-a",)


def test_the_way_back_reads_no_vector(library: Library) -> None:
    """The files of the rows are gone, and of the table only what opens it is left."""
    library.build("tiny-a", "tiny-b")
    for key in ("tiny-a", "tiny-b"):
        promote(library.engine, assess(library, key))
    shutil.rmtree(library.settings.home / "embeddings")
    shutil.rmtree(library.settings.home / "index/tiny-a.lance/data")
    former = assess_former(library.engine, library.indexes, "tiny-a")
    assert (former.indexed, former.refusals, former.warnings) == (26, (), ())
    assert promote(library.engine, former) == "tiny-b"


def test_a_model_that_was_never_loaded_is_refused(library: Library) -> None:
    with pytest.raises(ModelNotLoadedError, match="model 'tiny-a' has no embeddings yet"):
        assess(library)


def test_a_promotion_that_fails_leaves_the_former_model_serving(library: Library) -> None:
    library.build("tiny-a", "tiny-b")
    promote(library.engine, assess(library, "tiny-a"))

    def promote_and_fail(connection: object) -> None:
        record_serving_model(connection, "tiny-b")  # type: ignore[arg-type]
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        run_in_transaction(library.engine, promote_and_fail)
    assert serving(library) == ["tiny-a"]


def test_a_promotion_of_a_model_that_is_gone_leaves_the_former_one_serving(library: Library) -> None:
    library.build("tiny-a")
    readiness = assess(library, "tiny-a")
    promote(library.engine, readiness)
    with pytest.raises(ModelNotLoadedError, match="model 'tiny-b' is missing from the catalog"):
        promote(library.engine, replace(readiness, model_key="tiny-b"))
    assert serving(library) == ["tiny-a"]


def test_who_looks_during_a_switch_sees_the_old_or_the_new(any_library: Library) -> None:
    """Another connection looks after each statement that writes: between the two no model serves."""
    engine = any_library.engine
    for key in ("tiny-a", "tiny-b"):
        any_library.embedder(key)
    run_in_transaction(engine, lambda connection: record_serving_model(connection, "tiny-a"))
    seen: list[tuple[str | None, str | None]] = []

    def look(within: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("UPDATE"):
            with engine.connect() as outside:
                seen.append((serving_model_key(within), serving_model_key(outside)))

    with write_transaction(engine) as connection:
        event.listen(connection, "after_cursor_execute", look)
        assert record_serving_model(connection, "tiny-b") == "tiny-a"
    assert seen == [(None, "tiny-a"), ("tiny-b", "tiny-a")]
    assert serving(any_library) == ["tiny-b"]


@pytest.fixture
def postgresql_library(make_library: Callable[[str], Library], postgresql_database: URL) -> Library:
    return make_library(postgresql_database.render_as_string(hide_password=False))


def wait_for_a_lock(engine: Engine) -> None:
    """Returns once a connection to the database waits for another's transaction."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.execute(waiting).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("first", ["tiny-a", None])
def test_of_two_promotions_at_once_the_second_waits_and_knows_the_first(
    postgresql_library: Library, first: str | None
) -> None:
    engine = postgresql_library.engine
    for key in ("tiny-a", "tiny-b"):
        postgresql_library.embedder(key)
    model = postgresql_library.settings.models["tiny-b"]
    record_model(engine, "tiny-c", model, postgresql_library.embedder("tiny-b")[0].facts)
    if first is not None:
        run_in_transaction(engine, lambda connection: record_serving_model(connection, first))
    with ThreadPoolExecutor(1) as pool:
        with write_transaction(engine) as connection:
            assert record_serving_model(connection, "tiny-b") == first
            second = pool.submit(
                run_in_transaction, engine, lambda connection: record_serving_model(connection, "tiny-c")
            )
            wait_for_a_lock(engine)
        assert second.result() == "tiny-b"
    assert serving(postgresql_library) == ["tiny-c"]


def test_the_candidate_is_the_wanted_model_else_the_serving_one_else_the_first_loaded(
    library: Library,
) -> None:
    keys = ["tiny-a", "tiny-b"]
    with pytest.raises(NotReadyToServeError, match="no model has embeddings yet"):
        choose_candidate(library.engine, keys, None)
    library.embedder("tiny-b")
    assert choose_candidate(library.engine, keys, None) == "tiny-b"
    library.embedder("tiny-a")
    assert choose_candidate(library.engine, keys, None) == "tiny-a"
    run_in_transaction(library.engine, lambda connection: record_serving_model(connection, "tiny-b"))
    assert choose_candidate(library.engine, keys, None) == "tiny-b"
    assert choose_candidate(library.engine, keys, "tiny-a") == "tiny-a"
    with pytest.raises(
        NotReadyToServeError, match=r"model 'tiny-c' is not configured\. Configured models: tiny-a, tiny-b"
    ):
        choose_candidate(library.engine, keys, "tiny-c")
