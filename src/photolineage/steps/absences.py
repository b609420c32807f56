"""Images that a walk does not find: deleted images, and images on a disk that is not mounted."""

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
    """The folders and links whose disk seems not to be mounted, each with its number of missing images.

    `missing` are the paths of the missing images. A link that leads nowhere always counts. An empty folder counts as
    the mount point of an unplugged disk if it has not changed since `scanned_since`, the start of the last successful
    scan: deleting files changes a folder. A changed folder still counts if it had more than `MANY_IMAGES` images and
    more than half of the source's images (`files` were found): some tools create mount points again.
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
    """Whether one of these images is on the disk, but the walk skips it as hidden or excluded."""
    return any(os.path.lexists(os.path.join(walk.root, path)) for path in missing)


def place_of(path: str, places: Collection[str]) -> str | None:
    """The innermost of these folders and links (ending with the separator) that equals the path or contains it."""
    while path:
        if f"{path}/" in places:
            return f"{path}/"
        path = path.rpartition("/")[0]
    return None


def explain_places_away(places: Mapping[str, int]) -> str:
    """A message that names the places and the remedy."""
    named = [
        f"{printable(place)} ({count:,} images)" for place, count in list(places.items())[:LISTED_PLACES]
    ]
    more = [f"{len(places) - LISTED_PLACES:,} more"] if len(places) > LISTED_PLACES else []
    return (
        f"{', '.join([*named, *more])}: these are empty folders or broken links, as after unplugging a disk. The "
        "catalog keeps their images unchanged. Mount the disk. If the images are really gone, delete the empty folder "
        "or the link, or put any file into the folder, and scan again."
    )


def explain_unreadable(places: Mapping[str, str]) -> str:
    """A message that names the files and folders that a scan could not read, and why."""
    named = [f"{printable(place[:-1])} ({reason})" for place, reason in list(places.items())[:LISTED_PLACES]]
    more = [f"{len(places) - LISTED_PLACES:,} more"] if len(places) > LISTED_PLACES else []
    return (
        f"{', '.join([*named, *more])}: these files and folders cannot be read. The catalog keeps their images "
        "unchanged. Check the permissions and the disk, and scan again."
    )


def explain_links_left(walk: TreeWalk, source: str) -> str:
    """A message that counts the links that were not followed, names the first, and says how to follow them."""
    named = [printable(link) for link in sorted(walk.examples_of_links)]
    more = walk.links_left - len(named)
    return (
        f"{', '.join([*named, *([f'{more:,} more'] if more else [])])}: these links were not followed, because "
        f"sources.{source}.follow_links is '{walk.follow_links}'. Images behind them are not in the library. To read "
        "them, set it to 'all', or add the folders as sources of their own."
    )
