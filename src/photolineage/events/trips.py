"""Joins outings far from home into one trip, and cuts events that are too long."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def joins_a_trip(
    begins: Rows,
    ends: Rows,
    forced: NDArray[np.bool_],
    away: NDArray[np.bool_],
    located: NDArray[np.bool_],
    trip_gap_hours: float,
) -> NDArray[np.bool_]:
    """Whether each boundary between neighbouring events lies within a trip.

    `begins` and `ends` (microseconds), `away` and `located` have one value per event, `forced` one per boundary. A trip
    joins an event that is away to the next one that is, across events without a known place, if every pause between
    them is at most `trip_gap_hours`.
    """
    count = len(begins)
    passable = ~forced & (begins[1:] - ends[:-1] <= trip_gap_hours * 3_600e6)
    position = np.arange(count)
    # the nearest located event on each side, including the event itself, and the nearest boundary that ends a trip
    before = np.maximum.accumulate(np.where(located, position, -1))[:-1]
    after = np.minimum.accumulate(np.where(located, position, count)[::-1])[::-1][1:]
    wall_before = np.maximum.accumulate(np.where(passable, -1, position[:-1]))
    wall_after = np.minimum.accumulate(np.where(passable, count, position[:-1])[::-1])[::-1]
    reachable = (before > wall_before) & (after <= wall_after) & (before >= 0) & (after < count)
    left = away[np.maximum(before, 0)]
    right = away[np.minimum(after, count - 1)]
    return np.asarray(passable & reachable & left & right)


def cut_to_length(starts: Rows, at: NDArray[np.int64], limit_us: int) -> Rows:
    """The first rows of the events, after cutting each one longer than `limit_us` at its longest pause."""
    last = np.append(starts[1:], len(at)) - 1
    too_long = np.flatnonzero(at[last] - at[starts] > limit_us)
    cuts: list[int] = []
    pending = [(int(starts[event]), int(last[event])) for event in too_long]
    while pending:
        first, final = pending.pop()
        if at[final] - at[first] > limit_us:
            cut = first + 1 + int(np.argmax(np.diff(at[first : final + 1])))
            cuts.append(cut)
            pending += [(first, cut - 1), (cut, final)]
    return np.union1d(starts, np.array(cuts, dtype=np.int64))
