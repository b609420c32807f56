"""The catalog belongs to one home: others are refused, and a home that is moved, copied or restored is recognized."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, text

from photolineage.catalog.leases import acquire_lease
from photolineage.lineage import JobKind
from photolineage.stores.files import Files, LocalFiles
from photolineage.stores.identity import (
    MARKS,
    MOST_MARKS,
    ForeignStoreError,
    adopt_store,
    attach_store,
    recorded_store,
    require_own_store,
)
from photolineage.stores.root_folder import StorageError
from tests.library import Library

MINUTE = timedelta(minutes=1)


class Elsewhere(LocalFiles):
    """The files of a home as another machine sees them."""

    @property
    def place(self) -> str:
        return super().place.replace(":", "-two:", 1)


@pytest.fixture
def home(tmp_path: Path, catalog_engine: Engine) -> Path:
    """A home to which the catalog belongs."""
    attach_store(catalog_engine, LocalFiles(tmp_path / "one"))
    return tmp_path / "one"


def is_own(engine: Engine, files: Files) -> bool:
    """Whether a command that reads works, and one that writes."""
    try:
        with engine.connect() as connection:
            require_own_store(connection, files)
    except ForeignStoreError:
        with pytest.raises(ForeignStoreError):
            attach_store(engine, files)
        return False
    attach_store(engine, files)
    return True


def place_of(engine: Engine) -> str:
    with engine.connect() as connection:
        recorded = recorded_store(connection)
    assert recorded is not None
    return recorded.place


def marks_of(home: Path) -> list[str]:
    return sorted(os.listdir(home / MARKS))


def test_another_home_is_refused_with_what_to_do(catalog_engine: Engine, home: Path) -> None:
    other = LocalFiles(home.with_name("two"))
    assert not is_own(catalog_engine, other)
    with pytest.raises(ForeignStoreError) as refusal:
        attach_store(catalog_engine, other)
    for part in (f":{home}. Two homes", "set home to that folder", "set catalog.url", "`photolineage adopt`"):
        assert part in str(refusal.value)
    assert not home.with_name("two").exists()
    assert is_own(catalog_engine, LocalFiles(home))
    assert (home / MARKS / marks_of(home)[0]).read_text() == f"{LocalFiles(home).place}\n"


def test_two_new_homes_at_once_and_one_of_them_gets_the_catalog(
    catalog_engine: Engine, tmp_path: Path
) -> None:
    homes = [LocalFiles(tmp_path / f"{number}") for number in range(4)]
    start = Barrier(len(homes))

    def attach(files: LocalFiles) -> bool:
        start.wait()
        try:
            attach_store(catalog_engine, files)
        except ForeignStoreError:
            return False
        return True

    with ThreadPoolExecutor(len(homes)) as pool:
        attached = list(pool.map(attach, homes))
    assert sum(attached) == 1
    assert [is_own(catalog_engine, files) for files in homes] == attached


def test_several_processes_of_one_new_home(catalog_engine: Engine, tmp_path: Path) -> None:
    start = Barrier(4)

    def attach(_number: int) -> None:
        start.wait()
        attach_store(catalog_engine, LocalFiles(tmp_path / "one"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attach, range(4)))
    assert is_own(catalog_engine, LocalFiles(tmp_path / "one"))


def test_a_moved_home_is_recognized(catalog_engine: Engine, home: Path) -> None:
    moved = home.rename(home.with_name("moved"))
    assert is_own(catalog_engine, LocalFiles(moved))
    assert place_of(catalog_engine) == LocalFiles(moved).place
    assert not is_own(catalog_engine, LocalFiles(home))


def test_of_a_home_and_its_copy_the_one_that_is_used_first_goes_on(
    catalog_engine: Engine, home: Path
) -> None:
    shutil.copytree(home, copy := home.with_name("copy"))
    attach_store(catalog_engine, LocalFiles(copy))  # at another place: from here on, the copies differ
    assert not is_own(catalog_engine, LocalFiles(home))
    assert is_own(catalog_engine, LocalFiles(copy))


def test_reading_does_not_decide_between_a_home_and_its_copy(catalog_engine: Engine, home: Path) -> None:
    shutil.copytree(home, copy := home.with_name("copy"))
    with catalog_engine.connect() as connection:
        require_own_store(connection, LocalFiles(copy))
    assert marks_of(copy) == marks_of(home)
    assert is_own(catalog_engine, LocalFiles(home))


def test_machines_that_share_a_home_take_turns(catalog_engine: Engine, home: Path) -> None:
    for _ in range(MOST_MARKS):
        assert is_own(catalog_engine, Elsewhere(home))
        assert is_own(catalog_engine, LocalFiles(home))
    assert len(marks_of(home)) == MOST_MARKS


def test_an_older_catalog_from_a_backup_is_recognized(catalog_engine: Engine, home: Path) -> None:
    with catalog_engine.connect() as connection:
        before = recorded_store(connection)
    assert before is not None
    moved = home.rename(home.with_name("moved"))
    attach_store(catalog_engine, LocalFiles(moved))
    with catalog_engine.begin() as connection:
        connection.execute(
            text("UPDATE store SET mark = :mark, place = :place"),
            {"mark": before.mark, "place": before.place},
        )
    assert is_own(catalog_engine, LocalFiles(moved))


@pytest.mark.parametrize("name", [None, "no mark", "f" * 31])
def test_a_store_that_was_emptied_says_how_to_go_on(
    catalog_engine: Engine, home: Path, name: str | None
) -> None:
    shutil.rmtree(home / MARKS)
    if name is not None:
        (home / MARKS).mkdir()
        (home / MARKS / name).touch()
    with pytest.raises(ForeignStoreError, match=r"folder 'store', .* is missing or too old\. Mount the disk"):
        attach_store(catalog_engine, LocalFiles(home))
    adopt_store(catalog_engine, LocalFiles(home), MINUTE)
    assert is_own(catalog_engine, LocalFiles(home))


def test_marks_that_cannot_be_listed_are_named(catalog_engine: Engine, home: Path) -> None:
    shutil.rmtree(home / MARKS)
    (home / MARKS).symlink_to(home)
    with pytest.raises(StorageError, match="store is a symbolic link"):
        attach_store(catalog_engine, LocalFiles(home))


def test_a_home_takes_over(catalog_engine: Engine, home: Path) -> None:
    other = LocalFiles(home.with_name("two"))
    adopt_store(catalog_engine, other, MINUTE)
    assert is_own(catalog_engine, other)
    assert not is_own(catalog_engine, LocalFiles(home))
    adopt_store(catalog_engine, LocalFiles(home), MINUTE)
    assert not is_own(catalog_engine, other)


def test_no_home_takes_over_while_a_run_works(catalog_engine: Engine, home: Path) -> None:
    acquire_lease(catalog_engine, JobKind.SCAN, "photos", run_id="a-run", input_version="1", timeout=MINUTE)
    with pytest.raises(ForeignStoreError, match=r"scan photos: run a-run .* End it, then try again"):
        adopt_store(catalog_engine, LocalFiles(home.with_name("two")), MINUTE)
    assert is_own(catalog_engine, LocalFiles(home))


def test_nothing_is_recorded_before_the_table_is_there(empty_engine: Engine, tmp_path: Path) -> None:
    attach_store(empty_engine, LocalFiles(tmp_path / "one"))
    assert not (tmp_path / "one").exists()


@pytest.fixture
def library_without_mark(any_library: Library) -> Library:
    """A catalog that lists files, from before stores had marks."""
    any_library.scan()
    any_library.register_all()
    return any_library


def test_a_catalog_without_a_mark_goes_to_the_home_that_has_its_files(
    library_without_mark: Library, tmp_path: Path
) -> None:
    engine = library_without_mark.engine
    with pytest.raises(ForeignStoreError, match="belongs to another home"):
        attach_store(engine, LocalFiles(tmp_path / "two"))
    attach_store(engine, library_without_mark.files)
    assert is_own(engine, library_without_mark.files)
