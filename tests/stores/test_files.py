"""On a disk: a file is whole under its final name, or not there at all. See also `test_files_contract.py`."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from photolineage.stores.files import (
    LocalFiles,
    LostFileError,
    sweep_uncommitted,
    write_atomically,
)
from photolineage.stores.root_folder import StorageError


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
    write_atomically(path, lambda partial: partial.write_bytes(b"x"))
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

    LocalFiles(tmp_path).write_folder("folder", fill, last="file")
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
        LocalFiles(home).write("folder/file", lambda partial: partial.touch())
    with pytest.raises(StorageError, match=r"home/folder: cannot be read: Not a directory"):
        LocalFiles(home).list_files("folder")


def test_a_top_folder_that_is_gone_may_be_on_a_disk_that_is_not_mounted(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    with pytest.raises(StorageError, match=r"/previews: this folder is missing, .* Mount its disk") as raised:
        files.require_folder("previews/a/1")
    assert not isinstance(raised.value, LostFileError)
    (tmp_path / "previews").mkdir()
    files.require_folder("previews/a/1")


def test_removing_leaves_no_empty_folder_but_the_top_one(tmp_path: Path) -> None:
    for name in ("a/s/1", "a/t/2", "b/s/1"):
        (tmp_path / "previews" / name).parent.mkdir(parents=True)
        (tmp_path / "previews" / name).touch()
    LocalFiles(tmp_path).remove(["previews/a/s/1", "previews/b/s/1"])
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {path.relative_to(tmp_path).as_posix() for path in folders} == {
        "previews",
        "previews/a",
        "previews/a/t",
    }


def test_a_sweep_removes_what_a_killed_write_left(tmp_path: Path) -> None:
    (tmp_path / "previews/a").mkdir(parents=True)
    (tmp_path / "previews/a/.partial-1.arrow").touch()
    (left,) = LocalFiles(tmp_path).list_files("previews")
    assert (left.path, left.is_partial) == ("previews/a/.partial-1.arrow", True)
    assert sweep_uncommitted(LocalFiles(tmp_path), "previews/a", set) == [left.path]
    assert os.listdir(tmp_path / "previews") == []


@pytest.mark.parametrize("link", ["embeddings", "embeddings/model", "embeddings/model/shard"])
def test_a_link_is_followed_by_no_method(tmp_path: Path, link: str) -> None:
    inside, outside = tmp_path / "home" / link, tmp_path / "outside"
    path = "embeddings/model/shard/1"
    target = outside / Path(path).relative_to(link)
    target.parent.mkdir(parents=True)
    target.write_text("precious")
    inside.parent.mkdir(parents=True)
    inside.symlink_to(outside)
    files = LocalFiles(tmp_path / "home")
    calls: list[Callable[[], object]] = [
        lambda: files.write(path, lambda partial: partial.write_text("x")),
        lambda: files.write_folder(path, lambda folder: (folder / "x").touch(), last="x"),
        lambda: files.local(path),
        lambda: files.remove([path]),
        lambda: files.list_files(path),
    ]
    for call in calls:
        with pytest.raises(StorageError, match=f"/home/{link} is a symbolic link.*Replace the link"):
            call()
    if link != "embeddings":
        assert files.list_files("embeddings") == []
    assert [file.read_text() for file in outside.rglob("*") if file.is_file()] == ["precious"]


@pytest.mark.parametrize("planted", [".partial-1", "1"])
@pytest.mark.parametrize("kind", [os.symlink, os.link])
def test_a_write_replaces_a_planted_link_and_not_its_target(
    tmp_path: Path, planted: str, kind: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "home/previews/a").mkdir(parents=True)
    kind(victim, tmp_path / "home/previews/a" / planted)
    files = LocalFiles(tmp_path / "home")
    files.write("previews/a/1", lambda partial: partial.write_text("content"))
    assert victim.read_text() == "precious"
    assert files.local("previews/a/1").read_text() == "content"
    files.remove(["previews/a/1"])
    assert victim.read_text() == "precious"


def test_a_removal_removes_a_link_and_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "home/previews/a").mkdir(parents=True)
    (tmp_path / "home/previews/a/1").symlink_to(tmp_path / "victim")
    LocalFiles(tmp_path / "home").remove(["previews/a/1"])
    assert os.listdir(tmp_path / "home/previews") == []
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_file_that_the_system_refuses_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "previews").mkdir()
    (tmp_path / "previews/a").symlink_to("a")
    with pytest.raises(StorageError, match="previews/a is a symbolic link") as raised:
        LocalFiles(tmp_path).local("previews/a/1", 1)
    assert not isinstance(raised.value, LostFileError)
