"""The catalog's files beside a walk: whole runs that are as they were, and nothing else, are passed over."""

import pytest

from catalog.engine import write_transaction
from pipeline import tree_walk
from pipeline.known_files import KnownFiles
from pipeline.tree_walk import FileRun, TreeWalk
from resources.images import SUPPORTED_SUFFIXES
from tests.library import Library, draw_photo, touch


def runs(library: Library) -> list[FileRun]:
    return list(TreeWalk(library.root, SUPPORTED_SUFFIXES).runs())


def same(library: Library, page: int) -> dict[str, bool]:
    """Whether each run is in the catalog as it is, by the run's first file."""
    known = KnownFiles(library.engine, 1, page=page)
    return {f"{run.folder}{run.names[0]}": known.are_next(run) for run in runs(library)}


@pytest.fixture
def scanned(any_library: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Of 28 files in runs of 5, and with a name that is no UTF-8."""
    monkeypatch.setattr(tree_walk, "RUN_FILES", 5)
    (any_library.root / "2023/12.jpg").rename(any_library.root / "2023/\udcff.jpg")
    any_library.scan()
    return any_library


@pytest.mark.parametrize("page", [1, 3, 5, 7, 100])
def test_pages_of_any_size_say_the_same(scanned: Library, page: int) -> None:
    firsts = ["2023/00.jpg", "2023/05.jpg", "2023/10.jpg", "2024/00.jpg", "2024/05.jpg", "2024/10.jpg"]
    assert [len(run) for run in runs(scanned)] == [5, 5, 5, 5, 5, 3]
    assert same(scanned, page) == dict.fromkeys(firsts, True)

    touch(scanned.root / "2023/03.jpg")
    (scanned.root / "2024/07.jpg").write_bytes(b"shorter")
    assert same(scanned, page) == dict.fromkeys(firsts, True) | {"2023/00.jpg": False, "2024/05.jpg": False}


@pytest.mark.parametrize("page", [1, 4, 100])
def test_a_run_after_a_difference_is_compared_from_its_own_beginning(scanned: Library, page: int) -> None:
    for number in range(13):
        (scanned.root / f"2023/{number:02}.jpg").unlink(missing_ok=True)
    draw_photo(scanned.root / "2023/b.jpg", 1)
    assert same(scanned, page) == {
        "2023/b.jpg": False, "2024/00.jpg": True, "2024/05.jpg": True, "2024/10.jpg": True,
    }  # fmt: skip


def test_a_file_that_was_missing_is_a_difference(scanned: Library) -> None:
    with write_transaction(scanned.engine) as connection:
        connection.exec_driver_sql("UPDATE image SET state = 'missing' WHERE id = 1")
    assert [first for first, is_same in same(scanned, 100).items() if not is_same] == ["2023/00.jpg"]


def test_an_empty_catalog_has_none(any_library: Library) -> None:
    assert set(same(any_library, 10).values()) == {False}
