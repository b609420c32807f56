"""What must hold between the catalog and the stores: each way in which it may not, and what is said of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from photolineage.catalog.queries import CommittedFile, committed_files, find_shard
from photolineage.catalog.vocabulary import FileKind
from photolineage.checks.stores import (
    StoreFindings,
    check_embedding_files,
    check_events,
    check_events_of_serving_model,
    check_index_coverage,
)
from photolineage.contract.drift import DriftKind
from photolineage.settings.events import EventSettings
from photolineage.stores.embeddings import EmbeddingFileHeader, embedding_schema
from photolineage.stores.vector_index import live_schema
from tests.library import Library
from tests.lineage import Lineage

SHARD = "photos-00000"


@pytest.fixture
def library(lineage: Lineage) -> Library:
    """The library that was built for `tiny-a`."""
    return lineage.library


def embedding_files(library: Library) -> list[CommittedFile]:
    with library.engine.connect() as connection:
        shard = find_shard(connection, SHARD)
        return committed_files(connection, FileKind.EMBEDDING, shard_id=shard.id)


def file_findings(library: Library) -> StoreFindings:
    with library.engine.connect() as connection:
        return check_embedding_files(connection, library.embeddings, "tiny-a", SHARD)


def index_findings(library: Library) -> StoreFindings:
    with library.engine.connect() as connection:
        return check_index_coverage(connection, library.embeddings, library.indexes, "tiny-a")


def event_findings(library: Library, max_event_days: float = 1.0) -> StoreFindings:
    with library.engine.connect() as connection:
        return check_events(connection, "tiny-a", EventSettings(max_event_days=max_event_days))


def serving_findings(library: Library) -> StoreFindings:
    with library.engine.connect() as connection:
        return check_events_of_serving_model(connection)


def execute(library: Library, statement: str) -> None:
    with library.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path, compression="none")


def with_vectors(table: pa.Table, change: Callable[[NDArray[np.float16]], None]) -> pa.Table:
    field = table.schema.field("vector")
    vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), -1).copy()
    change(vectors)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float16()), type=field.type)
    return table.set_column(2, field, column)


def with_ids(table: pa.Table, ids: list[int]) -> pa.Table:
    return table.set_column(0, table.schema.field("image_id"), pa.array(ids, pa.int64()))


def set_first_vector(value: float) -> Callable[[pa.Table], pa.Table]:
    def change(vectors: NDArray[np.float16]) -> None:
        vectors[0] = value

    return lambda table: with_vectors(table, change)


def of_other_weights(table: pa.Table) -> pa.Table:
    header = EmbeddingFileHeader("tiny-a", "f" * 64, SHARD)
    return table.replace_schema_metadata(embedding_schema(16, header).metadata)


def of_float32(table: pa.Table) -> pa.Table:
    field = table.schema.field("vector")
    wider = pa.field("vector", pa.list_(pa.field("element", pa.float32()), 16), nullable=False)
    vectors = table["vector"].combine_chunks().flatten().cast(pa.float32())
    assert field.type.list_size == 16
    return table.set_column(2, wider, pa.FixedSizeListArray.from_arrays(vectors, type=wider.type))


def test_a_built_library_holds(library: Library) -> None:
    assert file_findings(library) == StoreFindings(3, ())
    assert index_findings(library) == StoreFindings(26, ())
    events = event_findings(library)
    assert events.problems == ()
    assert events.looked_at >= 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (set_first_vector(1.0), "1 vectors are not finite or not of unit length"),
        (set_first_vector(np.nan), "1 vectors are not finite or not of unit length"),
        (set_first_vector(np.inf), "1 vectors are not finite or not of unit length"),
        (lambda table: with_ids(table, [1, 1, 2, 3]), "the file has the same image twice"),
        (lambda table: with_ids(table, [1, 2, 3, 20]), "the file has images of another shard: [20]"),
        (lambda table: table.slice(1), "the file has 3 rows, but its commit record says 4"),
    ],
    ids=[
        "length",
        "not-a-number",
        "infinite",
        "image-twice",
        "foreign-image",
        "row-missing",
    ],
)
def test_an_embedding_file_that_is_not_as_recorded(
    library: Library, change: Callable[[pa.Table], pa.Table], problem: str
) -> None:
    path = embedding_files(library)[0].path
    rewrite(library.settings.home / path, change)

    findings = file_findings(library)

    assert findings.looked_at == 3
    assert len(findings.problems) == 1
    assert findings.problems[0].startswith(f"`{path}`: {problem}")
    assert findings.problems[0].endswith(f"Materialize `tiny-a|{SHARD}` of image_embeddings again.")


@pytest.mark.parametrize(
    ("change", "kind", "name"),
    [
        (of_other_weights, DriftKind.TABLE_OPTION, "photolineage.weights_digest"),
        (of_float32, DriftKind.TYPE, "vector"),
        (lambda table: table.drop_columns(["content_hash"]), DriftKind.MISSING_COLUMN, "content_hash"),
    ],
    ids=["other-weights", "float32", "column-missing"],
)
def test_an_embedding_file_whose_schema_differs(
    library: Library, change: Callable[[pa.Table], pa.Table], kind: DriftKind, name: str
) -> None:
    path = embedding_files(library)[0].path
    rewrite(library.settings.home / path, change)

    findings = file_findings(library)

    assert not findings.holds
    assert [(drift.kind, drift.table, drift.name) for drift in findings.drifts] == [(kind, path, name)]
    assert findings.drifts[0].fix.note == f"Materialize `tiny-a|{SHARD}` of image_embeddings again."


def test_an_embedding_file_that_is_gone(library: Library) -> None:
    path = embedding_files(library)[1].path
    (library.settings.home / path).unlink()
    (problem,) = file_findings(library).problems
    assert path in problem
    assert "a committed embedding file cannot be read" in problem


def test_an_embedding_file_that_is_torn(library: Library) -> None:
    path = library.settings.home / embedding_files(library)[1].path
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = file_findings(library).problems
    assert "a committed embedding file cannot be read" in problem


def test_a_model_without_embeddings_has_nothing_wrong(library: Library) -> None:
    with library.engine.connect() as connection:
        assert check_embedding_files(connection, library.embeddings, "tiny-b", SHARD) == StoreFindings(0, ())


def shrink_index(library: Library, image_ids: list[int]) -> None:
    """Take images out of the index through its own synchronization."""
    live = library.live()
    kept = live.rows.filter(pa.compute.invert(pa.compute.is_in(live.rows["image_id"], pa.array(image_ids))))
    library.indexes.open("tiny-a", 16).synchronize(kept, live.read_vectors)


def test_an_index_that_lacks_rows(library: Library) -> None:
    shrink_index(library, [1, 2])
    assert index_findings(library) == StoreFindings(
        24, ("2 embeddings are not in the index. Materialize vector_index for `tiny-a`.",)
    )


def test_an_index_with_rows_of_images_that_are_gone(library: Library) -> None:
    execute(library, "UPDATE image SET state = 'missing' WHERE id IN (1, 2, 3)")
    findings = index_findings(library)
    assert findings.looked_at == 26
    (problem,) = findings.problems
    assert problem.startswith("3 rows of the index belong to removed images or replaced embeddings.")


def test_an_index_that_repeats_an_image(library: Library) -> None:
    import lancedb

    index = library.indexes.open("tiny-a", 16)
    table = lancedb.connect(index.directory).open_table("tiny-a")
    table.add(table.search().limit(1).select(table.schema.names).to_arrow().select(table.schema.names))
    assert set(live_schema().names) <= set(table.schema.names)

    problems = index_findings(library).problems

    assert problems == ("1 rows of the index repeat an image. Materialize vector_index for `tiny-a`.",)


def test_images_without_embeddings(library: Library) -> None:
    execute(library, "UPDATE image SET content_hash = 'c4a9' WHERE id = 1")
    problems = index_findings(library).problems
    assert problems[0].startswith("1 registered images have no embedding. Materialize the missing partitions")
    assert problems[1].startswith("1 rows of the index belong to removed images or replaced embeddings.")


def test_an_event_with_a_wrong_count(library: Library) -> None:
    execute(library, "UPDATE event SET image_count = image_count + 1 WHERE id = 1")
    (problem,) = event_findings(library).problems
    assert problem.startswith("event 1 (")
    assert problem.endswith("Materialize image_events for `tiny-a`.")


def test_an_event_without_members(library: Library) -> None:
    execute(library, "DELETE FROM event_image WHERE event_id = 1")
    wrong_size, in_no_event = event_findings(library).problems
    assert "images but contains 0." in wrong_size
    assert in_no_event == "7 dated images are in no event. Materialize image_events for `tiny-a`."


@pytest.mark.parametrize("ends_at", ["2029-01-01 00:00:00.000000", "2001-01-01 00:00:00.000000"])
def test_an_event_that_is_too_long_or_ends_before_it_begins(library: Library, ends_at: str) -> None:
    execute(library, f"UPDATE event SET ends_at = '{ends_at}' WHERE id = 1")
    (problem,) = event_findings(library).problems
    assert problem.startswith("event 1 (")
    assert " lasts " in problem


def test_a_member_that_is_missing(library: Library) -> None:
    execute(
        library,
        "UPDATE image SET state = 'missing' WHERE id IN (SELECT image_id FROM event_image ORDER BY image_id LIMIT 2)",
    )
    assert event_findings(library).problems == (
        "2 members of events are missing or unreadable images. Materialize image_events for `tiny-a`.",
    )


def test_an_image_that_is_counted_as_embedded_and_is_in_no_file_is_found_and_mended(library: Library) -> None:
    execute(library, f"DELETE FROM shard_file WHERE id = {embedding_files(library)[0].id}")
    (problem,) = file_findings(library).problems
    assert problem.startswith("4 images count as embedded, but no file contains them. Materialize")
    assert library.embed(SHARD).embedded == 4
    assert file_findings(library) == StoreFindings(3, ())


@pytest.mark.parametrize(("precision", "count"), [("minute", 1), ("day", 0), ("month", 0), ("year", 0)])
def test_an_image_without_a_time_of_day_need_not_be_in_an_event(
    library: Library, precision: str, count: int
) -> None:
    execute(
        library,
        "UPDATE event SET image_count = image_count - 1 WHERE id = "
        "(SELECT event_id FROM event_image WHERE image_id = 1)",
    )
    execute(library, "DELETE FROM event_image WHERE image_id = 1")
    execute(library, f"UPDATE image SET taken_at_precision = '{precision}' WHERE id = 1")
    assert len(event_findings(library).problems) == count


def test_a_dated_image_in_no_event(library: Library) -> None:
    execute(
        library,
        "UPDATE event SET image_count = image_count - 1 WHERE id = "
        "(SELECT event_id FROM event_image WHERE image_id = 1)",
    )
    execute(library, "DELETE FROM event_image WHERE image_id = 1")
    assert event_findings(library).problems == (
        "1 dated images are in no event. Materialize image_events for `tiny-a`.",
    )


@pytest.mark.parametrize(
    "change",
    [
        "registered_at = '2999-01-01 00:00:00.000000'",
        "taken_at = NULL",
        "taken_at_source = 'file_time'",
    ],
)
def test_an_image_that_is_new_or_undated_may_be_in_no_event(library: Library, change: str) -> None:
    test_a_dated_image_in_no_event(library)
    execute(library, f"UPDATE image SET {change} WHERE id = 1")
    assert event_findings(library).problems == ()


def test_a_member_of_an_event_of_another_model(library: Library) -> None:
    execute(
        library,
        "INSERT INTO ml_model "
        "(id, key, architecture, embedding_dim, image_size, weights_digest, embedded_bit, first_loaded_at) "
        "SELECT id + 1, 'tiny-b', architecture, embedding_dim, image_size, weights_digest, 2 * embedded_bit, "
        "first_loaded_at FROM ml_model",
    )
    execute(library, "UPDATE event SET model_id = 2 WHERE id = 2")
    problems = event_findings(library).problems
    assert problems[0].endswith(
        "members belong to an event of another model. Materialize image_events for `tiny-a`."
    )


def test_events_of_the_serving_model_are_of_its_index(library: Library) -> None:
    assert serving_findings(library) == StoreFindings(1, ())


def test_no_model_that_serves_has_no_events_that_are_old(library: Library) -> None:
    execute(library, "UPDATE ml_model SET serving = 0")
    assert serving_findings(library) == StoreFindings(0, ())


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("UPDATE ml_job SET input_version = 'newer' WHERE kind = 'index'", "are older than its index"),
        ("DELETE FROM ml_job WHERE kind = 'cluster'", "were never computed"),
    ],
)
def test_events_of_the_serving_model_that_are_old(library: Library, change: str, state: str) -> None:
    execute(library, change)
    assert serving_findings(library).problems == (
        f"the events of the serving model `tiny-a` {state}. Materialize image_events for `tiny-a`.",
    )
