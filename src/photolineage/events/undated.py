"""Finds an event for images without a trustworthy time, by looks and folder."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from photolineage.events.looks import Embeddings, LooksScale
from photolineage.events.timeline import Library, Timeline

Rows = NDArray[np.int64]

_ROWS_COMPARED = 16_384
_UNDATED_AT_ONCE = 1024
"""How many undated images are compared at once with some tens of thousands of dated ones: about 200 MB."""
_NEAREST = 3

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

    If the folder has no dated images, all folders under its parent are searched. The likeness to an event is the
    likeness to its three nearest images. The probability compares the events of the folder with each other and with
    "none of them".
    """
    undated = library.undated
    joined = Joined(np.full(len(undated), -1, dtype=np.int64), np.zeros(len(undated)))
    embedded = np.flatnonzero(undated.vector >= 0)
    dated_rows = np.flatnonzero(dated.vector >= 0)
    dated_rows = dated_rows[np.argsort(dated.folder[dated_rows], kind="stable")]
    edges = np.searchsorted(dated.folder[dated_rows], np.arange(len(library.folders) + 1))
    for folder in np.unique(undated.folder[embedded]):
        own = embedded[undated.folder[embedded] == folder]
        folders = _folders_that_tell(int(folder), library.folders, edges)
        rows = np.concatenate([dated_rows[edges[f] : edges[f + 1]] for f in folders] or [dated_rows[:0]])
        if len(rows):
            events = _compared_events(dated.vector[rows], event_of_dated[rows], embeddings)
            for first in range(0, len(own), _UNDATED_AT_ONCE):
                some = own[first : first + _UNDATED_AT_ONCE]
                likeness = scale.likeness(_nearness(embeddings.vectors(undated.vector[some]), events))
                _choose(some, events.ids, likeness, min_confidence, joined)
    return joined


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
