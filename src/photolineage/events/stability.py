"""Matches new events with the previous ones, so that the ids that people have linked to survive a new clustering."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photolineage.events.records import Ids
from photolineage.events.timeline import positions

MIN_JACCARD = 0.5
SPLIT_SHARE = 0.2
MERGED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class EventMatching:
    """How the previous events continue. Positions are those of the current events, ids those of the previous ones.

    `kept[p]`: the id that current event p keeps; None if it needs a new one (`created` lists these positions).
    `grown`, `shrunk`: the kept ids of events that gained images, or lost some.
    `split`: for an event id, the positions that each have a fifth or more of its images, if there are several.
    `merged`: for a position, the ids of the events that have half or more of their images there, if there are several.
    `vanished`: the ids that no event keeps.
    """

    kept: tuple[int | None, ...]
    created: tuple[int, ...]
    grown: tuple[int, ...]
    shrunk: tuple[int, ...]
    split: Mapping[int, tuple[int, ...]]
    merged: Mapping[int, tuple[int, ...]]
    vanished: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Overlaps:
    """How many images a previous event (by its rank among the ids) and a current one have in common."""

    previous: NDArray[np.int64]
    current: NDArray[np.int64]
    images: NDArray[np.int64]
    share_of_previous: NDArray[np.float64]
    jaccard: NDArray[np.float64]


def match_events(
    previous: Mapping[int, Collection[int] | Ids], current: Sequence[Collection[int] | Ids]
) -> EventMatching:
    """Give current events the ids of previous ones: largest overlap first, Jaccard index 0.5 or more, one to one.

    The Jaccard index counts only images that both clusterings have in an event. So an event keeps its id however many
    new images it gets, and loses it if its old images go to other events. On a tie the smaller id wins.
    """
    ids = sorted(previous)
    before, event_before = _laid_out([previous[event_id] for event_id in ids])
    after, event_after = _laid_out(current)
    overlaps = _overlaps(before, event_before, after, event_after)
    kept: list[int | None] = [None] * len(current)
    taken: set[int] = set()
    for pair in np.lexsort((overlaps.previous, -overlaps.jaccard, -overlaps.images)):
        event_id, position = ids[overlaps.previous[pair]], int(overlaps.current[pair])
        if overlaps.jaccard[pair] >= MIN_JACCARD and kept[position] is None and event_id not in taken:
            kept[position] = event_id
            taken.add(event_id)
    sizes = {
        (ids[p], int(c)): int(n)
        for p, c, n in zip(overlaps.previous, overlaps.current, overlaps.images, strict=True)
    }
    held = [(event_id, position) for position, event_id in enumerate(kept) if event_id is not None]
    return EventMatching(
        kept=tuple(kept),
        created=tuple(position for position, event_id in enumerate(kept) if event_id is None),
        grown=tuple(sorted(i for i, p in held if len(current[p]) > sizes[i, p])),
        shrunk=tuple(sorted(i for i, p in held if len(previous[i]) > sizes[i, p])),
        split={
            ids[event]: tuple(parts)
            for event, parts in _several(
                overlaps.previous, overlaps.current, overlaps.share_of_previous >= SPLIT_SHARE
            )
        },
        merged={
            position: tuple(ids[event] for event in events)
            for position, events in _several(
                overlaps.current, overlaps.previous, overlaps.share_of_previous >= MERGED_SHARE
            )
        },
        vanished=tuple(event_id for event_id in ids if event_id not in taken),
    )


def _laid_out(events: Sequence[Collection[int] | Ids]) -> tuple[Ids, NDArray[np.int64]]:
    """The images of all events in one array, and the event of each image."""
    members = [
        event if isinstance(event, np.ndarray) else np.fromiter(event, np.int64, len(event))
        for event in events
    ]
    images = np.concatenate([np.empty(0, dtype=np.int64), *members])
    return images, np.repeat(np.arange(len(members)), [len(event) for event in members])


def _overlaps(
    before: Ids, event_before: NDArray[np.int64], after: Ids, event_after: NDArray[np.int64]
) -> _Overlaps:
    place = positions(before, after)
    pairs = np.stack((event_before[place[place >= 0]], event_after[place >= 0]), axis=1)
    common, images = np.unique(pairs, axis=0, return_counts=True)
    was, now = common[:, 0], common[:, 1]
    size_before = np.bincount(was, weights=images)[was] if len(was) else np.empty(0)
    size_after = np.bincount(now, weights=images)[now] if len(now) else np.empty(0)
    return _Overlaps(was, now, images, images / size_before, images / (size_before + size_after - images))


def _several(
    of: NDArray[np.int64], among: NDArray[np.int64], counted: NDArray[np.bool_]
) -> list[tuple[int, list[int]]]:
    """For each of `of` that is paired with several of `among` where it counts: those, both ascending."""
    order = np.lexsort((among[counted], of[counted]))
    of, among = of[counted][order], among[counted][order]
    values, starts, counts = np.unique(of, return_index=True, return_counts=True)
    return [
        (int(value), among[start : start + count].tolist())
        for value, start, count in zip(values, starts, counts, strict=True)
        if count > 1
    ]
