"""Folders of files for tests of the walk."""

from pathlib import Path

from photolineage.steps.tree_walk import TreeWalk

SUFFIXES = frozenset({".jpg", ".png"})


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def walked(root: Path) -> list[str]:
    return [file.path for file in TreeWalk(root, SUFFIXES, follow_links="all").files()]
