"""The walk of a source: every image once, in the order of the paths' bytes."""

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from photolineage.steps.absences import explain_links_left
from photolineage.steps.found_files import FoundFile
from photolineage.steps.tree_walk import TreeWalk
from tests.steps.trees import SUFFIXES, make, walked


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
