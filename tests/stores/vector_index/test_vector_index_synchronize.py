"""The table's rows become those of the catalog, and no file is read for nothing."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from photolineage.stores.vector_index import (
    IndexChange,
    IndexNotBuiltError,
    IndexSchemaError,
    MissingVectorsError,
    VectorIndex,
    live_schema,
)
from tests.stores.vector_index.conftest import Library

StoredRows = Callable[..., list[dict[str, Any]]]


def change(index: VectorIndex, library: Library) -> tuple[int, int, int, int, int, int]:
    """Synchronizes: (added, replaced, updated, removed, files read, rows)."""
    done = index.synchronize(library.live(), library.read)
    return done.added, done.replaced, done.updated, done.removed, done.files_read, done.rows


def test_new_files_are_added(index: VectorIndex, library: Library, stored_rows: StoredRows) -> None:
    assert not index.exists()
    assert index.row_count() == 0
    library.commit(1, range(10))
    library.commit(2, range(10, 15))

    done = index.synchronize(library.live(), library.read)

    assert done == IndexChange(added=15, replaced=0, updated=0, removed=0, files_read=2, rows=15, fragments=1)
    assert index.exists()
    assert library.reads == [[1, 2]]
    assert stored_rows() == library.expected_rows()


def test_nothing_is_read_or_written_when_nothing_changed(index: VectorIndex, library: Library) -> None:
    library.commit(1, range(10))
    change(index, library)
    version = index._open().version
    library.reads.clear()

    assert change(index, library) == (0, 0, 0, 0, 0, 10)
    assert library.reads == []
    assert index._open().version == version


def test_only_new_files_are_read(index: VectorIndex, library: Library, stored_rows: StoredRows) -> None:
    library.commit(1, range(10))
    change(index, library)
    library.commit(2, range(10, 15))

    assert change(index, library) == (5, 0, 0, 0, 1, 15)
    assert library.reads == [[1], [2]]
    assert stored_rows() == library.expected_rows()


def test_a_file_that_is_wholly_superseded_is_never_read(index: VectorIndex, library: Library) -> None:
    library.commit(1, range(5))
    library.commit(2, range(5))

    assert change(index, library) == (5, 0, 0, 0, 1, 5)
    assert library.reads == [[2]]
    assert change(index, library) == (0, 0, 0, 0, 0, 5)


def test_a_changed_shard_replaces_its_rows(
    index: VectorIndex, library: Library, stored_rows: StoredRows
) -> None:
    library.commit(1, range(10))
    change(index, library)
    library.commit(2, range(4, 12))

    assert change(index, library) == (2, 6, 0, 0, 1, 12)
    assert library.reads == [[1], [2]]
    assert stored_rows() == library.expected_rows()


def test_removed_images_leave_and_may_come_back(
    index: VectorIndex, library: Library, stored_rows: StoredRows
) -> None:
    library.commit(1, range(10))
    change(index, library)
    library.remove([0, 9])
    assert change(index, library) == (0, 0, 0, 2, 0, 8)
    assert stored_rows() == library.expected_rows()

    library.commit(2, [9])
    assert change(index, library) == (1, 0, 0, 0, 1, 9)
    assert stored_rows() == library.expected_rows()


def test_an_empty_library_makes_an_empty_table(index: VectorIndex, library: Library) -> None:
    assert change(index, library) == (0, 0, 0, 0, 0, 0)
    assert index.exists()
    library.commit(1, range(3))
    change(index, library)
    library.remove(range(3))
    assert change(index, library) == (0, 0, 0, 3, 0, 0)
    assert index.search(np.ones(16, np.float32), 5) == []


def test_changed_facts_are_written_without_reading_embeddings(
    index: VectorIndex, library: Library, stored_rows: StoredRows
) -> None:
    library.commit(1, range(10))
    change(index, library)
    library.facts[3] |= {"latitude": 46.5, "longitude": 7.9, "stack_of": 2}
    library.facts[4]["taken_at"] = None
    library.facts[5]["source"] = "telephone"

    assert change(index, library) == (0, 0, 3, 0, 0, 10)
    assert library.reads == [[1]]
    assert stored_rows() == library.expected_rows()
    assert change(index, library) == (0, 0, 0, 0, 0, 10)


def test_every_kind_of_change_at_once(index: VectorIndex, library: Library, stored_rows: StoredRows) -> None:
    library.commit(1, range(10))
    change(index, library)
    library.commit(2, [5, 6, 20])
    library.remove([0, 1])
    library.facts[6]["source"] = library.facts[7]["source"] = "telephone"

    assert change(index, library) == (1, 2, 1, 2, 1, 9)
    assert stored_rows() == library.expected_rows()


def test_a_file_that_repeats_an_image_makes_one_row(
    index: VectorIndex, library: Library, stored_rows: StoredRows
) -> None:
    library.commit(1, range(3))

    index.synchronize(library.live(), lambda files: chain(library.read(files), library.read(files)))

    assert stored_rows() == library.expected_rows()


def test_rows_are_committed_in_portions(
    index: VectorIndex, library: Library, stored_rows: StoredRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photolineage.stores.vector_index.writing.ROWS_A_COMMIT", 4)
    for file in range(5):
        library.commit(file, range(3 * file, 3 * file + 3))
    progress: list[tuple[int, int]] = []

    index.synchronize(library.live(), library.read, on_progress=lambda *rows: progress.append(rows))

    assert progress == [(6, 15), (12, 15), (15, 15)]
    assert stored_rows() == library.expected_rows()


def test_a_file_without_its_rows_is_an_error_after_the_others_are_written(
    index: VectorIndex, library: Library
) -> None:
    library.commit(1, range(3))
    library.commit(2, range(3, 6))
    del library.files[2][4]

    with pytest.raises(MissingVectorsError, match=r"1 embeddings are missing .* \(images 4; files 2\)"):
        index.synchronize(library.live(), library.read)

    assert sorted(index.live_rows()["image_id"].to_pylist()) == [0, 1, 2, 3, 5]


def test_an_image_that_is_live_twice_is_refused(index: VectorIndex, library: Library) -> None:
    library.commit(1, range(3))
    twice = pa.concat_tables([library.live(), library.live().slice(1, 1)])
    with pytest.raises(ValueError, match="1 images have more than one current row, for example image 1"):
        index.synchronize(twice, library.read)
    assert index.row_count() == 0


def test_live_rows_of_another_schema_are_refused(index: VectorIndex, library: Library) -> None:
    with pytest.raises(ValueError, match="the current rows have the schema"):
        index.synchronize(library.live().drop_columns("source"), library.read)


def test_models_have_tables_of_their_own(
    make_index: Callable[..., VectorIndex], library: Library, stored_rows: StoredRows
) -> None:
    library.commit(1, range(5))
    change(make_index("clip"), library)
    other = Library(dim=24)
    other.commit(7, range(3))

    change(make_index("clip.v2", 24), other)
    assert stored_rows("clip") == library.expected_rows()
    other.remove(range(3))
    change(make_index("clip.v2", 24), other)

    assert stored_rows("clip") == library.expected_rows()
    assert stored_rows("clip.v2", 24) == []


def test_a_table_of_another_dimension_is_refused_before_a_row_is_written(
    make_index: Callable[..., VectorIndex], library: Library, stored_rows: StoredRows
) -> None:
    library.commit(1, range(5))
    change(make_index(dim=16), library)
    wider = Library(dim=32)
    wider.commit(2, range(6))

    with pytest.raises(
        IndexSchemaError, match=r"vector: expected .*\[32\] not null, found .*\[16\] not null"
    ):
        change(make_index(dim=32), wider)
    assert stored_rows() == library.expected_rows()


@pytest.mark.parametrize("key", ["", ".", "..", "A", "a/b", "../a", "a b", "clip\n", "ü", "a|b"])
def test_what_is_no_model_key_is_refused(make_index: Callable[..., VectorIndex], key: str) -> None:
    with pytest.raises(ValueError, match="model key"):
        make_index(key)


@pytest.mark.parametrize("key", ["a", "-", "_", ".a", "a.lance", "vit-b-32_laion2b.v1"])
def test_every_model_key_names_a_table(
    make_index: Callable[..., VectorIndex], library: Library, stored_rows: StoredRows, key: str
) -> None:
    library.commit(1, range(2))
    change(make_index(key), library)
    assert stored_rows(key) == library.expected_rows()


def test_a_table_whose_making_was_killed_is_made_again(
    index: VectorIndex, library: Library, stored_rows: StoredRows
) -> None:
    (index.directory / "demo-clip-v1.lance" / "data").mkdir(parents=True)
    (index.directory / "demo-clip-v1.lance" / "data" / "half.lance").write_bytes(b"half")
    assert not index.exists()
    library.commit(1, range(2))
    change(index, library)
    assert stored_rows() == library.expected_rows()


def test_a_reader_sees_what_another_process_commits(
    make_index: Callable[..., VectorIndex], library: Library
) -> None:
    reader, writer = make_index(), make_index()
    library.commit(1, range(2))
    change(writer, library)
    assert reader.row_count() == 2
    library.commit(2, range(2, 5))
    change(writer, library)
    writer.compact()
    assert reader.row_count() == 5
    assert len(reader.search(np.ones(16, np.float32), 10)) == 5


def test_live_rows_are_what_was_given(index: VectorIndex, library: Library) -> None:
    library.commit(1, range(5))
    change(index, library)
    assert index.live_rows().schema.equals(live_schema())
    assert index.live_rows().sort_by("image_id").equals(library.live())


def test_an_index_that_is_not_built_says_how_to_build_it(index: VectorIndex, tmp_path: Path) -> None:
    for ask in (index.live_rows, index.compact, index.describe, index.build_ann_if_outgrown):
        with pytest.raises(
            IndexNotBuiltError, match=r"'demo-clip-v1'.*photolineage run --model demo-clip-v1"
        ):
            ask()
    assert list((tmp_path / "index").glob("*.lance")) == []
