"""The catalog's files beside a walk: whole runs that are as they were, and nothing else, are passed over."""

import pytest

from photolineage.catalog.engine import write_transaction
from photolineage.media import SUPPORTED_SUFFIXES
from photolineage.steps import found_files
from photolineage.steps.known_files import is_as_known
from photolineage.steps.tree_walk import TreeWalk
from tests.library import Library


def same(library: Library) -> dict[str, bool]:
    """Whether each run is in the catalog as it is, by the run's first file."""
    answers, reached = {}, ""
    for run in TreeWalk(library.root, SUPPORTED_SUFFIXES).runs():
        answers[run.paths[0]] = is_as_known(library.engine, 1, run, after=reached)
        reached = run.paths[-1]
    return answers


@pytest.fixture
def scanned(any_library: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Of 28 files in runs of 5, and with a name that is no UTF-8."""
    monkeypatch.setattr(found_files, "RUN_FILES", 5)
    (any_library.root / "2023/12.jpg").rename(any_library.root / "2023/\udcff.jpg")
    any_library.scan()
    return any_library


FIRSTS = ["2023/00.jpg", "2023/05.jpg", "2023/10.jpg", "2024/00.jpg", "2024/05.jpg", "2024/10.jpg"]


def test_runs_that_are_as_they_were_are_known(scanned: Library) -> None:
    assert same(scanned) == dict.fromkeys(FIRSTS, True)


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE image SET mtime_ns = mtime_ns + 1 WHERE id = 4", "2023/00.jpg"),
        ("UPDATE image SET size_bytes = size_bytes + 1 WHERE id = 7", "2023/05.jpg"),
        ("UPDATE image SET state = 'missing' WHERE id = 1", "2023/00.jpg"),
    ],
)
def test_another_time_size_or_state_is_a_difference(scanned: Library, statement: str, first: str) -> None:
    with write_transaction(scanned.engine) as connection:
        connection.exec_driver_sql(statement)
    assert same(scanned) == dict.fromkeys(FIRSTS, True) | {first: False}


def test_sizes_that_change_places_are_a_difference(scanned: Library) -> None:
    with write_transaction(scanned.engine) as connection:
        for number, size in enumerate([101, 100]):
            file = scanned.root / f"2023/{number:02}.jpg"
            file.write_bytes(b"x" * size)
            connection.exec_driver_sql(
                f"UPDATE image SET size_bytes = {201 - size}, mtime_ns = {file.stat().st_mtime_ns} "
                f"WHERE id = {number + 1}"
            )
    assert same(scanned) == dict.fromkeys(FIRSTS, True) | {"2023/00.jpg": False}


def test_a_file_that_is_gone_is_a_difference_of_its_own_run_alone(scanned: Library) -> None:
    (scanned.root / "2023/00.jpg").unlink()
    answers = list(same(scanned).values())
    assert answers == [False] + [True] * 5


def test_an_empty_catalog_has_none(any_library: Library) -> None:
    assert set(same(any_library).values()) == {False}
