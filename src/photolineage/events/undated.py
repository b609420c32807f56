"""Finds an event for images without a trustworthy time, by looks and folder."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from photolineage.events.bounds import DAY_US, FIRST_INSTANT, LAST_INSTANT
from photolineage.events.looks import Embeddings, LooksScale
from photolineage.events.timeline import Library, Timeline

Rows = NDArray[np.int64]

_ROWS_COMPARED = 16_384
_UNDATED_AT_ONCE = 1024
"""How many undated images are compared at once with some tens of thousands of dated ones: about 200 MB."""
_NEAREST = 3
_ANY_FOLDER = -1

LIKENESS_NEUTRAL = 0.4
"""A likeness to an event's nearest images that counts 0. A higher one is evidence for the event."""
LIKENESS_WEIGHT = 12.0
"""Nats for each unit of likeness above the neutral one."""


@dataclass(frozen=True, slots=True, eq=False)
class _ComparedEvents:
    """Events, ascending, and vectors of some of their images: those of event k from `edges[k]` to `edges[k + 1]`."""

    ids: Rows
    vectors: NDArray[np.float32]
    edges: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """For each undated row: the event that it joins (-1: none), and the probability that it belongs there."""

    event: Rows
    confidence: NDArray[np.float64]


def join_undated(
    library: Library,
    dated: Timeline,
    event_of_dated: Rows,
    embeddings: Embeddings,
    scale: LooksScale,
    min_confidence: float,
) -> Joined:
    """Find the event of each undated image among the events with dated images in its folder.

    If the folder has no dated images, all folders under its parent are searched. If the image's month or year is
    known, events outside it are left out. If its day is known, the events of that day in all folders are searched. The
    likeness to an event is the likeness to its three nearest images. The probability compares the events that were
    searched with each other and with "none of them".
    """
    undated = library.undated
    joined = Joined(np.full(len(undated), -1, dtype=np.int64), np.zeros(len(undated)))
    candidates = _Candidates(library, dated, event_of_dated)
    for own, rows in candidates.by_group():
        if len(rows):
            events = _compared_events(dated.vector[rows], event_of_dated[rows], embeddings)
            for first in range(0, len(own), _UNDATED_AT_ONCE):
                some = own[first : first + _UNDATED_AT_ONCE]
                likeness = scale.likeness(_nearness(embeddings.vectors(undated.vector[some]), events))
                _choose(some, events.ids, likeness, min_confidence, joined)
    return joined


class _Candidates:
    """The embedded dated rows with which undated images are compared."""

    def __init__(self, library: Library, dated: Timeline, event_of_dated: Rows) -> None:
        self._library = library
        self._event = event_of_dated
        embedded = np.flatnonzero(dated.vector >= 0)
        self._by_folder = embedded[np.argsort(dated.folder[embedded], kind="stable")]
        folders = np.arange(len(library.folders) + 1)
        self._folder_edges = np.searchsorted(dated.folder[self._by_folder], folders)
        count = int(event_of_dated.max()) + 1 if len(event_of_dated) else 0
        self._by_event = embedded[np.argsort(event_of_dated[embedded], kind="stable")]
        self._event_edges = np.searchsorted(event_of_dated[self._by_event], np.arange(count + 1))
        self._starts, self._ends = np.full(count, LAST_INSTANT), np.full(count, FIRST_INSTANT)
        np.minimum.at(self._starts, event_of_dated, dated.at)
        np.maximum.at(self._ends, event_of_dated, dated.at)

    def by_group(self) -> Iterator[tuple[Rows, Rows]]:
        """The embedded undated rows, grouped by what they are compared with, and these dated rows."""
        undated, earliest, latest = self._library.undated, self._library.earliest, self._library.latest
        own = np.flatnonzero(undated.vector >= 0)
        of_a_day = (earliest[own] > FIRST_INSTANT) & (latest[own] - DAY_US <= earliest[own])
        folder = np.where(of_a_day, _ANY_FOLDER, undated.folder[own])
        keys = np.stack((folder, earliest[own], latest[own]), axis=1)
        groups, group_of = np.unique(keys, axis=0, return_inverse=True)
        order = np.argsort(group_of, kind="stable")
        edges = np.searchsorted(group_of[order], np.arange(len(groups) + 1))
        for number, (code, lower, upper) in enumerate(groups.tolist()):
            yield own[order[edges[number] : edges[number + 1]]], self._rows(code, lower, upper)

    def _rows(self, folder: int, lower: int, upper: int) -> Rows:
        if folder != _ANY_FOLDER:
            rows = _parts(
                self._by_folder,
                self._folder_edges,
                _folders_that_tell(folder, self._library.folders, self._folder_edges),
            )
            if lower == FIRST_INSTANT:
                return rows
            event = self._event[rows]
            return rows[(self._starts[event] < upper) & (self._ends[event] >= lower)]
        events = np.flatnonzero((self._starts < upper) & (self._ends >= lower))
        return _parts(self._by_event, self._event_edges, events.tolist())


def _parts(rows: Rows, edges: Rows, parts: list[int]) -> Rows:
    return np.concatenate([rows[edges[part] : edges[part + 1]] for part in parts] or [rows[:0]])


def _folders_that_tell(folder: int, folders: tuple[str | None, ...], edges: Rows) -> list[int]:
    path = folders[folder]
    if path is None:
        return []
    if edges[folder + 1] > edges[folder]:
        return [folder]
    parent = PurePosixPath(path).parent
    if parent.name == "":
        return []
    own, low, high = (
        _place(folders, f"{parent}{sign}") for sign in ("", "/", "0")
    )  # 0 comes after / in ASCII
    inside = [*([own] if folders[own] == str(parent) else []), *range(low, high)]
    return [f for f in inside if edges[f + 1] > edges[f]]


def _place(folders: tuple[str | None, ...], name: str) -> int:
    """The position where a name is or would be inserted in the folders (ascending, null last)."""
    return bisect_left(folders, name, hi=len(folders) - 1, key=lambda folder: folder or "")


def _compared_events(dated_vector: Rows, event: Rows, embeddings: Embeddings) -> _ComparedEvents:
    order = np.argsort(event, kind="stable")
    ids, starts, counts = np.unique(event[order], return_index=True, return_counts=True)
    most = max(_NEAREST, _ROWS_COMPARED // len(ids))
    chosen = [
        order[start + np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))]
        for start, n in zip(starts, counts, strict=True)
    ]
    vectors = embeddings.vectors(dated_vector[np.concatenate(chosen)])
    return _ComparedEvents(ids, vectors, np.cumsum([0] + [len(rows) for rows in chosen]))


def _nearness(vectors: NDArray[np.float32], events: _ComparedEvents) -> NDArray[np.float32]:
    """The mean cosine of each vector with the three nearest images of each event, shape (vectors, events)."""
    cosines = vectors @ events.vectors.T
    nearest = [
        -np.partition(-cosines[:, low:high], min(_NEAREST, high - low) - 1, axis=1)[:, :_NEAREST].mean(axis=1)
        for low, high in pairwise(events.edges)
    ]
    return np.stack(nearest, axis=1)


def _choose(
    own: Rows, candidates: Rows, likeness: NDArray[np.float64], min_confidence: float, joined: Joined
) -> None:
    nats = LIKENESS_WEIGHT * (likeness - LIKENESS_NEUTRAL)
    highest = np.maximum(nats.max(axis=1, keepdims=True), 0)
    odds = np.exp(nats - highest)
    probability = odds / (odds.sum(axis=1, keepdims=True) + np.exp(-highest))
    best = probability.argmax(axis=1)
    certainty = np.round(probability[np.arange(len(own)), best], 4)
    enough = certainty >= min_confidence
    joined.event[own[enough]] = candidates[best[enough]]
    joined.confidence[own[enough]] = certainty[enough]
