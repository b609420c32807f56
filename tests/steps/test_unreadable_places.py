"""A walk goes on after folders and files that cannot be read; it stops only if the root is gone."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from photolineage.steps import found_files
from photolineage.steps.tree_walk import SourceUnavailableError, TreeWalk
from tests.steps.trees import SUFFIXES, make, walked


def test_a_folder_that_goes_away_while_it_is_walked_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_files, "RUN_FILES", 1)
    make(tmp_path, "a/1.jpg", "b/2.jpg", "c/3.jpg")
    files = TreeWalk(tmp_path, SUFFIXES).files()
    assert next(files).path == "a/1.jpg"
    (tmp_path / "b/2.jpg").unlink()
    (tmp_path / "b").rmdir()
    assert [file.path for file in files] == ["c/3.jpg"]


@pytest.mark.parametrize("root", ["gone", "file"])
def test_a_root_that_cannot_be_listed_is_an_error(tmp_path: Path, root: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SourceUnavailableError, match=rf"/{root}: cannot be read: .* no image was marked"):
        walked(tmp_path / root)


def test_a_root_that_goes_away_at_the_end_is_an_error(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make(root, "a.jpg", "b.jpg")
    files = TreeWalk(root, SUFFIXES).files()
    next(files)
    root.rename(tmp_path / "unplugged")
    with pytest.raises(SourceUnavailableError, match="cannot be read"):
        list(files)


def test_the_mount_point_of_a_disk_that_was_unplugged_is_not_taken_for_the_disk(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make(root, "a/1.jpg", "b/2.jpg", "c/3.jpg")
    files = TreeWalk(root, SUFFIXES).files()
    next(files)
    root.rename(tmp_path / "unplugged")
    root.mkdir()
    with pytest.raises(SourceUnavailableError, match="another folder replaced it"):
        list(files)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every folder")
def test_folders_that_may_not_be_read_are_reported(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a").chmod(0)
    walk = TreeWalk(tmp_path, SUFFIXES)
    assert [file.path for file in walk.files()] == ["b/2.jpg"]
    assert walk.unreadable == {"a/": "Permission denied"}
    (tmp_path / "a").chmod(0o700)


def test_an_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, also for the superuser: the system call refuses."""
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    opened = os.open

    def refuse(path: Path, flags: int) -> int:
        if Path(path) == tmp_path / "a":
            raise PermissionError(13, "Permission denied")
        return opened(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    walk = TreeWalk(tmp_path, SUFFIXES)
    assert [file.path for file in walk.files()] == ["b/2.jpg"]
    assert walk.unreadable == {"a/": "Permission denied"}


def test_a_link_that_leads_through_a_file_hides_no_other(tmp_path: Path) -> None:
    make(tmp_path, "a/x.jpg", "a/y.jpg", "plain")
    (tmp_path / "a/bad.jpg").symlink_to("../plain/q.jpg")
    (tmp_path / "a/bad").symlink_to("../plain/q")
    assert walked(tmp_path) == ["a/x.jpg", "a/y.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every folder")
def test_a_link_into_a_forbidden_folder_hides_no_other(tmp_path: Path) -> None:
    make(tmp_path, "a/x.jpg", "forbidden/y.jpg")
    (tmp_path / "a/bad.jpg").symlink_to("../forbidden/y.jpg")
    (tmp_path / "forbidden").chmod(0)
    walk = TreeWalk(tmp_path / "a", SUFFIXES, follow_links="all")
    assert [file.path for file in walk.files()] == ["x.jpg"]
    assert walk.unreadable == {}
    (tmp_path / "forbidden").chmod(0o700)


def test_a_strange_link_does_not_stop_the_walk(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b.jpg")
    (tmp_path / "a/long").symlink_to("x" * 300)
    (tmp_path / "a/long.jpg").symlink_to("y" * 300)
    walk = TreeWalk(tmp_path, SUFFIXES, follow_links="all")
    assert [file.path for file in walk.files()] == ["a/1.jpg", "b.jpg"]
    assert walk.unreadable == {"a/long/": "File name too long", "a/long.jpg/": "File name too long"}


def nest(root: Path, name: str, depth: int) -> None:
    """Folders of this name in each other, each with an image, whatever the length of the path."""
    above = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=above)
        below = os.open(name, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
        os.close(os.open("1.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=above))
    os.close(above)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder that `rm` removes: Python's `rmtree`, with which pytest cleans up, cannot go so deep."""
    root = tmp_path / "deep"
    root.mkdir()
    yield root
    subprocess.run(["rm", "-rf", root], check=True)


def test_a_thousand_folders_in_each_other_are_walked(deep: Path) -> None:
    nest(deep, "d", 1_500)
    make(deep, "e.jpg")
    assert len(walked(deep)) == 1_501


def test_a_path_that_is_too_long_hides_no_other(deep: Path) -> None:
    nest(deep, "d" * 250, 20)
    make(deep, "e.jpg", "a/1.jpg")
    walk = TreeWalk(deep, SUFFIXES)
    found = [file.path for file in walk.files()]
    readable = next(n for n in range(20, 0, -1) if len(f"{deep}/" + ("d" * 250 + "/") * n) <= 4095)
    assert len(found) == 2 + readable
    assert {found[0], found[-1]} == {"a/1.jpg", "e.jpg"}
    assert walk.unreadable == {("d" * 250 + "/") * (readable + 1): "File name too long"}


STRANGE = [errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.EUCLEAN, errno.EINVAL, errno.EOVERFLOW]


@pytest.mark.parametrize("number", STRANGE, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["open", "scandir", "fstat"])
def test_a_folder_that_fails_is_recorded_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg", "b/c/3.jpg", "d.jpg")
    broken = (tmp_path / "b").stat().st_ino
    real = getattr(os, call)

    def refuse(target: str | int, *arguments: int) -> object:
        if os.stat(target).st_ino == broken:
            raise OSError(number, os.strerror(number))
        return real(target, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        walk = TreeWalk(tmp_path, SUFFIXES)
        assert [file.path for file in walk.files()] == ["a/1.jpg", "d.jpg"]
    assert walk.unreadable == {"b/": os.strerror(number)}


@pytest.mark.parametrize("number", STRANGE, ids=errno.errorcode.get)
def test_a_file_that_fails_is_recorded_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    make(tmp_path, "a/1.jpg", "a/2.jpg", "a/3.jpg", "broken.jpg")
    real = os.stat

    def refuse(path: str, **options: Any) -> os.stat_result:
        if path in ("2.jpg", "broken.jpg"):
            raise OSError(number, os.strerror(number))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    walk = TreeWalk(tmp_path, SUFFIXES)
    assert [file.path for file in walk.files()] == ["a/1.jpg", "a/3.jpg"]
    assert walk.unreadable == {"a/2.jpg/": os.strerror(number), "broken.jpg/": os.strerror(number)}


def test_a_listing_that_ends_early_gives_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.jpg", "a/2.jpg", "b.jpg")
    real = os.scandir

    class Ending:
        """The listing of a folder, with an error of the disk after the first entry."""

        def __init__(self, folder: int | Path) -> None:
            self.listing = real(folder)
            self.breaks = (
                isinstance(folder, int) and os.stat("a", dir_fd=root).st_ino == os.fstat(folder).st_ino
            )

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return self.entries()

        def entries(self) -> Iterator[os.DirEntry[str]]:
            for entry in self.listing:
                yield entry
                if self.breaks:
                    raise OSError(errno.EIO, "Input/output error")

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            self.listing.close()

    root = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(os, "scandir", Ending)
    walk = TreeWalk(tmp_path, SUFFIXES)
    found = [file.path for file in walk.files()]
    os.close(root)
    assert len(found) == 2
    assert found[1] == "b.jpg"
    assert walk.unreadable == {"a/": "Input/output error"}


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOTCONN])
def test_a_root_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    make(tmp_path, "a/1.jpg")

    def refuse(path: str, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SourceUnavailableError, match=f"cannot be read: {os.strerror(number)}"):
        walked(tmp_path)


def test_too_few_descriptors_are_not_the_fault_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    real = os.open

    def refuse(path: str, flags: int) -> int:
        if path.endswith("b/"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SourceUnavailableError, match="Too many open files"):
        walked(tmp_path)
