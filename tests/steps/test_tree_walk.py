"""The walk of a source: every image once, in the order of the paths' bytes."""

import errno
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from photolineage.steps import tree_walk
from photolineage.steps.absences import explain_links_left
from photolineage.steps.tree_walk import FoundFile, SourceUnavailableError, TreeWalk

SUFFIXES = frozenset({".jpg", ".png"})


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def walked(root: Path) -> list[str]:
    return [file.path for file in TreeWalk(root, SUFFIXES, follow_links="all").files()]


def test_files_come_in_the_order_of_their_paths_bytes(tmp_path: Path) -> None:
    paths = [
        "b.jpg",
        "a/z.jpg",
        "a-b.jpg",
        "a.jpg",
        "a/b/c.jpg",
        "a0/x.jpg",
        "é.jpg",
        "Z.jpg",
        "a/\udcff.jpg",
        "a/\U0001f600.jpg",
    ]
    make(tmp_path, *paths)
    assert walked(tmp_path) == sorted(paths, key=os.fsencode)


def test_size_and_time_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"four")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_700_000_000_123_456_789))
    assert list(TreeWalk(tmp_path, SUFFIXES).files()) == [FoundFile("a.jpg", 4, 1_700_000_000_123_456_789)]


def test_only_images_that_are_not_hidden_are_found(tmp_path: Path) -> None:
    make(tmp_path, "a.JPG", "b.txt", ".c.jpg", ".hidden/d.jpg", "e.jpg/f.png", "g", "h.jpg.part")
    assert walked(tmp_path) == ["a.JPG", "e.jpg/f.png"]


def test_hidden_files_and_folders_are_found_where_that_is_set(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", ".c.jpg", ".hidden/d.jpg", ".hidden/.e/f.png", ".note.txt")
    found = [file.path for file in TreeWalk(tmp_path, SUFFIXES, hidden=True).files()]
    assert found == [".c.jpg", ".hidden/.e/f.png", ".hidden/d.jpg", "a.jpg"]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["@eaDir/"], ["a.tmp.jpg", "b/a.jpg", "b/c/\udcff\n.jpg", "drafts/a.jpg"]),
        (["*.tmp.jpg", "/drafts"], ["@eaDir/1.jpg", "b/@eaDir/2.jpg", "b/a.jpg", "b/c/\udcff\n.jpg"]),
        (["b/*", "!b/a.jpg"], ["@eaDir/1.jpg", "a.tmp.jpg", "b/a.jpg", "drafts/a.jpg"]),
        (["b/c/*.jpg", "drafts/", "@eaDir"], ["a.tmp.jpg", "b/a.jpg"]),
        (["a.jpg/"], None),
    ],
)
def test_patterns_leave_out_files_and_folders(
    tmp_path: Path, exclude: list[str], left: list[str] | None
) -> None:
    paths = ["@eaDir/1.jpg", "a.tmp.jpg", "b/@eaDir/2.jpg", "b/a.jpg", "b/c/\udcff\n.jpg", "drafts/a.jpg"]
    make(tmp_path, *paths)
    found = [file.path for file in TreeWalk(tmp_path, SUFFIXES, exclude, leave_out_copies=False).files()]
    assert found == (paths if left is None else left)


def test_a_folder_that_is_left_out_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    listed: list[str] = []
    opened = os.open

    def note(path: Path, flags: int) -> int:
        listed.append(Path(path).name)
        return opened(path, flags)

    monkeypatch.setattr(os, "open", note)
    assert [file.path for file in TreeWalk(tmp_path, SUFFIXES, ["a/"]).files()] == ["b/2.jpg"]
    assert listed == [tmp_path.name, "b"]


def test_a_link_is_followed_once_and_a_loop_ends(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    make(root, "a/b/1.jpg")
    make(elsewhere, "2.jpg")
    (root / "a/b/loop").symlink_to(root)
    (root / "a/b/parent").symlink_to("..")
    (root / "c").symlink_to(elsewhere)
    (root / "d").symlink_to(elsewhere)
    (root / "file.jpg").symlink_to(elsewhere / "2.jpg")
    assert walked(root) == ["a/b/1.jpg", "c/2.jpg", "file.jpg"]


def make_links(root: Path) -> None:
    """Links to folders and files, inside the root and out of it, directly and through other links."""
    make(root, "a/1.jpg", "z/2.jpg", "notes.txt")
    make(root.with_name("root-of-others"), "3.jpg", "deep/4.jpg", "5.txt")
    for link, target in {
        "a/file-inside.jpg": "../z/2.jpg",
        "a/folder-inside": "../z",
        "a/loop": "..",
        "a/notes": "../notes.txt",
        "b-file-outside.jpg": "../root-of-others/3.jpg",
        "b-folder-outside": "../root-of-others",
        "b-text-outside": "../root-of-others/5.txt",
        "b-through-inside": "c-step/deep",
        "c-absolute": str(root.with_name("root-of-others") / "deep"),
        "c-step": "../root-of-others",
        "d-gone-outside.jpg": "../gone/1.jpg",
        "e-gone-inside.jpg": "gone.jpg",
        "f-itself": "f-itself",
    }.items():
        (root / link).symlink_to(target)


OUTSIDE = [
    "b-file-outside.jpg",
    "b-folder-outside",
    "b-through-inside",
    "c-absolute",
    "c-step",
    "d-gone-outside.jpg",
]


def test_links_that_leave_the_root_are_counted_and_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make_links(root)
    walk = TreeWalk(root, SUFFIXES)
    assert [file.path for file in walk.files()] == ["a/1.jpg", "a/file-inside.jpg", "a/folder-inside/2.jpg"]
    assert (walk.links_left, sorted(walk.examples_of_links)) == (6, OUTSIDE)
    assert walk.dead_ends == {"e-gone-inside.jpg/", "f-itself/"}


def test_a_root_that_is_reached_through_a_link_holds_what_is_below_it(tmp_path: Path) -> None:
    make_links(tmp_path / "root")
    (tmp_path / "link").symlink_to("root")
    walk = TreeWalk(tmp_path / "link", SUFFIXES)
    assert [file.path for file in walk.files()] == ["a/1.jpg", "a/file-inside.jpg", "a/folder-inside/2.jpg"]
    assert sorted(walk.examples_of_links) == OUTSIDE


def test_no_link_or_every_link_is_followed_on_request(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make_links(root)
    none = TreeWalk(root, SUFFIXES, follow_links="none")
    assert [file.path for file in none.files()] == ["a/1.jpg", "z/2.jpg"]
    inside = ["a/file-inside.jpg", "a/folder-inside", "a/loop", "e-gone-inside.jpg", "f-itself"]
    assert sorted(none.examples_of_links) == sorted([*OUTSIDE, *inside])
    every = TreeWalk(root, SUFFIXES, follow_links="all")
    assert {"b-file-outside.jpg", "b-folder-outside/3.jpg", "b-folder-outside/deep/4.jpg"} <= {
        file.path for file in every.files()
    }
    assert every.links_left == 0


def test_an_excluded_or_hidden_link_is_not_counted(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make_links(root)
    (root / ".hidden").symlink_to("../root-of-others")
    walk = TreeWalk(root, SUFFIXES, ["b-*", "c-absolute/", "c-step/"])
    assert sum(1 for _ in walk.files()) == 3
    assert walk.examples_of_links == ["d-gone-outside.jpg"]


def test_of_many_links_the_first_are_named(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere", "1.jpg")
    (tmp_path / "root").mkdir()
    for number in range(50):
        (tmp_path / "root" / f"{number}.jpg").symlink_to("../elsewhere/1.jpg")
    walk = TreeWalk(tmp_path / "root", SUFFIXES)
    assert list(walk.files()) == []
    assert (walk.links_left, len(walk.examples_of_links)) == (50, 20)
    assert ", 30 more: these links were not followed" in explain_links_left(walk, "photos")
    assert walk.empty_folders == {}  # it is not the mount point of an unplugged disk


def test_links_that_lead_nowhere_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "z/b.jpg")
    (tmp_path / "itself.jpg").symlink_to("itself.jpg")
    (tmp_path / "ping").symlink_to("pong")
    (tmp_path / "pong").symlink_to("ping")
    (tmp_path / "broken.jpg").symlink_to("gone.jpg")
    assert walked(tmp_path) == ["a.jpg", "z/b.jpg"]


def test_a_folder_that_goes_away_while_it_is_walked_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_walk, "RUN_FILES", 1)
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


def test_a_file_without_a_suffix_is_found_if_it_begins_like_an_image(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo", "JPEG")
    Image.new("RGB", (8, 8)).save(tmp_path / "bitmap", "BMP")
    (tmp_path / "BMW").write_bytes(b"BM, as the cars begin\n" * 9)
    (tmp_path / "README").write_bytes(b"text")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    walk = TreeWalk(tmp_path, SUFFIXES)
    assert [file.path for file in walk.files()] == ["bitmap", "photo"]
    assert walk.passed_over == {"no ending": 4}


def test_what_is_passed_over_is_counted_by_kind(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.XMP", "c/d.xmp", "c/e.mov", ".f.jpg", "README", "g.[1]", "out/h.xmp")
    walk = TreeWalk(tmp_path, SUFFIXES, ["out/"])
    assert [file.path for file in walk.files()] == ["a.jpg"]
    assert walk.passed_over == {".xmp": 2, ".mov": 1, "hidden": 1, "no ending": 1, "other endings": 1}


def test_the_kinds_that_are_counted_are_limited(tmp_path: Path) -> None:
    make(tmp_path, *(f"a.{number:04}" for number in range(150)))
    walk = TreeWalk(tmp_path, SUFFIXES)
    assert list(walk.files()) == []
    assert len(walk.passed_over) == 101
    assert walk.passed_over["other endings"] == 50


COPIES = {
    "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg": "@eaDir/",
    "#recycle/2.jpg": "#recycle/",
    "$RECYCLE.BIN/S-1-5/3.jpg": "$RECYCLE.BIN/",
    "$Recycle.Bin/S-1-5/4.jpg": "$RECYCLE.BIN/",
    "b/Thumbnails/5.jpg": "Thumbnails/",
    "lost+found/6.jpg": "lost+found/",
    "System Volume Information/7.jpg": "System Volume Information/",
    "c/Catalog Previews.lrdata/0/8.jpg": "*.lrdata/",
    "Fotos.photoslibrary/resources/derivatives/0/9.jpg": "*.photoslibrary/**/derivatives/",
    "Alt.photoslibrary/resources/proxies/derivatives/10.jpg": "*.photoslibrary/**/proxies/",
    "Alt.photoslibrary/Thumbnails/11.jpg": "Thumbnails/",
}
ORIGINALS = [
    "Alt.photoslibrary/Masters/2015/1.jpg",
    "Fotos.photoslibrary/originals/0/2.jpg",
    "Fotos.photoslibrary/resources/renders/0/3.jpg",
    "derivatives/4.jpg",
    "previews/5.jpg",
    "thumbnails.jpg",
]


def test_copies_that_programs_made_are_left_out_and_counted(tmp_path: Path) -> None:
    make(tmp_path, *COPIES, *ORIGINALS)
    walk = TreeWalk(tmp_path, SUFFIXES)
    assert [file.path for file in walk.files()] == ORIGINALS
    assert walk.passed_over == Counter(COPIES.values())
    every = TreeWalk(tmp_path, SUFFIXES, leave_out_copies=False)
    assert len(list(every.files())) == len(COPIES) + len(ORIGINALS)
    assert every.passed_over == {}


def test_hidden_copies_are_left_out_also_where_hidden_names_are_read(tmp_path: Path) -> None:
    make(
        tmp_path, ".thumbnails/1.jpg", ".Trash-1000/files/2.jpg", ".a/3.jpg", ".a/._3.jpg", ".@__thumb/4.jpg"
    )
    walk = TreeWalk(tmp_path, SUFFIXES, hidden=True)
    assert [file.path for file in walk.files()] == [".a/3.jpg"]
    assert walk.passed_over == {".thumbnails/": 1, ".Trash-*/": 1, "hidden": 1, ".@__thumb/": 1}


def test_a_root_in_a_library_of_macos_has_no_copies_either(tmp_path: Path) -> None:
    root = tmp_path / "Fotos.photoslibrary"
    make(root, "originals/1.jpg", "resources/derivatives/2.jpg")
    assert walked(root) == ["originals/1.jpg"]
