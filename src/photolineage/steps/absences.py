"""Images that a walk does not find: those that are gone, and those whose disk is."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from photolineage.plain_text import printable
from photolineage.steps.tree_walk import TreeWalk

LISTED_PLACES = 20
MANY_IMAGES = 100


def find_places_away(
    walk: TreeWalk, missing: Sequence[str], *, files: int, scanned_since: datetime | None
) -> dict[str, int]:
    """The folders and links whose missing images are only away, with how many; `missing` are the images' paths.

    A link that leads nowhere is. An empty folder is the mount point of a disk that was unplugged where it has not
    changed since the last scan that succeeded began, at `scanned_since`: whoever empties a folder changes it. One that
    had more than `MANY_IMAGES` and more than half of the source's (`files` are there) is held for one even then: some
    tools make mount points anew.
    """
    lost: dict[str, list[str]] = defaultdict(list)
    for path in missing:
        place = place_of(path, walk.dead_ends) or place_of(path, walk.empty_folders)
        if place is not None:
            lost[place].append(path)
    known = files + len(missing)
    return {
        place: len(paths)
        for place, paths in lost.items()
        if place in walk.dead_ends
        or (
            (
                scanned_since is None
                or walk.empty_folders[place] < scanned_since.timestamp()
                or len(paths) > max(MANY_IMAGES, known // 2)
            )
            and not any_is_left_out(walk, paths)
        )
    }


def any_is_left_out(walk: TreeWalk, missing: Iterable[str]) -> bool:
    """Whether one of these images is on the disk, and the walk passes it over as hidden or excluded."""
    return any(os.path.lexists(os.path.join(walk.root, path)) for path in missing)


def place_of(path: str, places: Collection[str]) -> str | None:
    """The innermost of these folders and links (which end with the separator) that a path is or lies in."""
    while path:
        if f"{path}/" in places:
            return f"{path}/"
        path = path.rpartition("/")[0]
    return None


def explain_places_away(places: Mapping[str, int]) -> str:
    """What is away, and what to do."""
    named = [
        f"{printable(place)} ({count:,} images)" for place, count in list(places.items())[:LISTED_PLACES]
    ]
    more = [f"{len(places) - LISTED_PLACES:,} more"] if len(places) > LISTED_PLACES else []
    return (
        f"{', '.join([*named, *more])}: empty folders and links that lead nowhere, as of an unplugged disk; their "
        "images stay as they were. Mount the disk. If the images are really gone, delete the empty folder or the "
        "link, or leave any one file in the folder, and scan again."
    )
