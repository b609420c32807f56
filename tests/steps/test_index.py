"""The index has exactly one row for each embedded image, whatever has happened before."""

import numpy as np
import pytest

from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from photolineage.models.registry import ModelNotLoadedError
from tests.library import Library, draw_photo, touch


def indexed(library: Library) -> list[tuple[int, int]]:
    """Image and file of every row, by image."""
    rows = library.indexes.open("tiny-a", 16).live_rows().sort_by("image_id")
    return list(zip(rows["image_id"].to_pylist(), rows["embedding_file"].to_pylist(), strict=True))


def live(library: Library) -> list[tuple[int, int]]:
    rows = library.live().rows
    return list(zip(rows["image_id"].to_pylist(), rows["embedding_file"].to_pylist(), strict=True))


def test_a_first_build_has_one_row_an_image_with_its_facts_and_vector(library: Library) -> None:
    library.build()
    index = library.indexes.open("tiny-a", 16)
    assert index.row_count() == 26
    assert indexed(library) == live(library)
    assert index.live_rows().sort_by("image_id").equals(library.live().rows)
    vectors = library.live().vectors().sort_by("image_id")
    expected = np.array(vectors["vector"].to_pylist(), np.float32)
    np.testing.assert_array_equal(index.vectors_of(vectors["image_id"].to_pylist()), expected)
    (job,) = library.jobs(JobKind.INDEX)
    assert (job.state, job.done, job.total) == (JobState.SUCCEEDED, 26, 26)


def test_a_second_build_changes_nothing(library: Library) -> None:
    library.build()
    report = library.index()
    change = report.change
    assert (change.added, change.replaced, change.updated, change.removed, change.rows) == (0, 0, 0, 0, 26)
    assert (change.files_read, report.missing) == (0, 0)


def test_new_changed_and_gone_images_are_one_row_each_or_none(library: Library) -> None:
    library.build()
    draw_photo(library.root / "2024/13.jpg", 100)
    draw_photo(library.root / "2024/00.jpg", 101)
    touch(library.root / "2024/00.jpg")
    (library.root / "2024/01.jpg").unlink()
    (library.root / "2023/03.jpg").unlink()  # its copy takes its place
    library.scan()
    library.register_all()
    library.embed_all()
    report = library.index()
    change = report.change
    assert (change.added, change.replaced, change.removed, change.rows) == (2, 1, 2, 26)
    assert indexed(library) == live(library)


def test_what_is_not_embedded_yet_is_counted_and_not_indexed(library: Library) -> None:
    library.scan()
    library.register_all()
    library.embed("photos-00000")
    report = library.index()
    assert (report.change.rows, report.missing) == (10, 16)
    library.embed_all()
    assert library.index().change.added == 16


def test_a_model_that_was_never_loaded_is_refused(library: Library) -> None:
    library.scan()
    with pytest.raises(ModelNotLoadedError, match=r"model 'tiny-a' has no embeddings yet\. Materialize"):
        library.index()
    assert library.jobs(JobKind.INDEX) == []
