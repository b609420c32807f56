"""A file is whole under its final name, or not there at all."""

import os
from pathlib import Path

import pytest

from photolineage.stores.files import (
    StorageError,
    make_folder_atomically,
    sweep_uncommitted,
    write_atomically,
)


def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    seen: list[list[str]] = []

    def write(partial: Path) -> None:
        partial.write_bytes(b"half")
        seen.append(sorted(os.listdir(path.parent)))
        partial.write_bytes(b"whole")

    assert write_atomically(path, write) == 5
    assert seen == [[".partial-file"]]
    assert os.listdir(path.parent) == ["file"]
    assert path.read_bytes() == b"whole"


def test_the_content_is_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    steps: list[tuple[str, bool]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        steps.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).name, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    write_atomically(path, lambda partial: partial.write_bytes(b"x") and None)
    assert steps == [(".partial-file", False), (tmp_path.name, True)]


def test_a_folder_s_files_are_on_the_disk_before_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    steps: list[tuple[str, bool]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        steps.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).name, folder.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)

    def fill(made: Path) -> None:
        (made / "file").write_bytes(b"x")

    make_folder_atomically(folder, fill)
    assert steps == [("file", False), ("made", False), (tmp_path.name, True)]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_write_that_fails_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"former")

    def fill_the_disk(partial: Path) -> None:
        partial.write_bytes(b"half")
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"the rest")

    with pytest.raises(StorageError, match=r"/file: cannot be written: No space left on device\. Free space"):
        write_atomically(path, fill_the_disk)
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == b"former"


def test_a_home_that_is_no_folder_is_a_storage_error(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_bytes(b"a file")
    with pytest.raises(StorageError, match=r"home/folder/file: cannot be written: "):
        write_atomically(home / "folder" / "file", lambda partial: partial.touch())


def test_a_sweep_removes_what_was_not_committed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("committed", "stray", ".partial-next"):
        (tmp_path / name).touch()
    removed = sweep_uncommitted(tmp_path, lambda: {"committed", "committed elsewhere"})
    assert removed == [tmp_path / ".partial-next", tmp_path / "stray"]
    assert os.listdir(tmp_path) == ["committed"]
    assert sweep_uncommitted(tmp_path / "not there", set) == []


def test_what_another_run_writes_while_the_names_are_asked_for_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "garbage").touch()

    def find_committed() -> set[str]:
        (tmp_path / "of another run").touch()
        return set()

    assert sweep_uncommitted(tmp_path, find_committed) == [tmp_path / "garbage"]
    assert [path.name for path in tmp_path.iterdir()] == ["of another run"]
