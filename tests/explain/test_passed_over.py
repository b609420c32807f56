"""Why a scan passes a path over: for the same paths as the walk itself, and with the reason."""

import os
import shutil
from pathlib import Path

import pytest

from photolineage.explain.passed_over import why_passed_over
from photolineage.media import SUPPORTED_SUFFIXES
from photolineage.settings.sections import FollowLinks, SourceSettings
from photolineage.steps.tree_walk import TreeWalk

PATHS = [
    "a.jpg",
    "b.JPG",
    "c.svg",
    "d",
    ".e.jpg",
    ".f/g.jpg",
    "h/.i/j.jpg",
    "@eaDir/k.jpg",
    "._a.jpg",
    "l/@eaDir/m.jpg",
    "n.tmp.jpg",
    "keep.tmp.jpg",
    "scans/drafts/o.jpg",
    "p/scans/drafts/q.jpg",
    "r.jpg/s.png",
    "t\udcff.jpg",
    "u\udcff/v.txt",
]
EXCLUDE = ["@eaDir/", "*.tmp.jpg", "!keep.tmp.jpg", "/scans/drafts/"]


def tree(root: Path) -> list[str]:
    """A source with links into itself and out of itself; the paths of its files."""
    outside = root.with_name("outside")
    for path in (*(root / path for path in PATHS), outside / "w.jpg"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (root / "out").symlink_to(outside)
    (root / "out.jpg").symlink_to(outside / "w.jpg")
    (root / "in.jpg").symlink_to(root / "a.jpg")
    return [*PATHS, "out/w.jpg", "out.jpg", "in.jpg"]


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("follow_links", ["inside", "all", "none"])
@pytest.mark.parametrize("exclude", [[], EXCLUDE], ids=["all", "excluded"])
def test_the_paths_without_a_reason_are_those_that_the_walk_finds(
    tmp_path: Path, hidden: bool, follow_links: FollowLinks, exclude: list[str], copies: bool
) -> None:
    root = tmp_path / "photos"
    paths = tree(root)
    (root / "unnamed").write_bytes(b"\xff\xd8\xff\xe0")
    paths.append("unnamed")
    source = SourceSettings(
        root=root, hidden=hidden, follow_links=follow_links, exclude=exclude, leave_out_copies=copies
    )
    walk = TreeWalk(root, SUPPORTED_SUFFIXES, exclude, hidden, source.follow_links, leave_out_copies=copies)
    found = {file.path for file in walk.files()}
    assert {"a.jpg", "b.JPG", "r.jpg/s.png", "t\udcff.jpg"} <= found < set(paths)

    assert {path for path in paths if why_passed_over(path, "photos", source) is None} == found


@pytest.mark.parametrize(
    ("path", "state", "reason"),
    [
        ("c.svg", "passed over", ".svg is not a format that is read"),
        ("IMG_0042.MOV", "passed over", ".mov is the suffix of videos, which are not read"),
        ("2023.07/d", "passed over", "the name has no suffix"),
        ("h/.i/j.jpg", "hidden", "the name .i begins with a dot"),
        ("l/@eaDir/m.jpg", "copies of a program", "programs keep thumbnails, snapshots or deleted files"),
        (
            "scans/drafts/o.jpg",
            "excluded",
            "scans/drafts/ matches the pattern '/scans/drafts/' of sources.nas.exclude",
        ),
        ("n.tmp.jpg", "excluded", "n.tmp.jpg matches the pattern '*.tmp.jpg' of sources.nas.exclude"),
        ("x\n\x1b[31m.tmp.jpg", "excluded", r"x\n\x1b[31m.tmp.jpg matches the pattern '*.tmp.jpg'"),
    ],
)
def test_the_reason_names_the_rule(tmp_path: Path, path: str, state: str, reason: str) -> None:
    found = why_passed_over(path, "nas", SourceSettings(root=tmp_path, exclude=EXCLUDE))
    assert found is not None
    assert (found.state, found.reason[: len(reason)]) == (state, reason)


def test_a_link_that_is_not_followed_is_named_with_its_target(tmp_path: Path) -> None:
    tree(root := tmp_path / "photos")
    found = why_passed_over("out/w.jpg", "nas", SourceSettings(root=root))
    assert found is not None
    assert found.reason == f"out is a link to {tmp_path}/outside, and sources.nas.follow_links is 'inside'"
    shutil.rmtree(tmp_path / "outside")
    assert os.path.islink(root / "out")
    assert why_passed_over("out/w.jpg", "nas", SourceSettings(root=root)) == found
