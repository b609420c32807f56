"""Outings far from home become one trip; no event becomes longer than its limit."""

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

    `begins` and `ends` (microseconds), `away` and `located` tell of the events, `forced` of the boundaries. A trip
    goes from one event that is away to the next one that is, across events whose place is unknown, if no pause on
    the way is longer than `trip_gap_hours`.
    """
    count = len(begins)
    passable = ~forced & (begins[1:] - ends[:-1] <= trip_gap_hours * 3_600e6)
    position = np.arange(count)
    # the nearest located event on either side, itself included, and the nearest impassable boundary
    before = np.maximum.accumulate(np.where(located, position, -1))[:-1]
    after = np.minimum.accumulate(np.where(located, position, count)[::-1])[::-1][1:]
    wall_before = np.maximum.accumulate(np.where(passable, -1, position[:-1]))
    wall_after = np.minimum.accumulate(np.where(passable, count, position[:-1])[::-1])[::-1]
    reachable = (before > wall_before) & (after <= wall_after) & (before >= 0) & (after < count)
    left = away[np.maximum(before, 0)]
    right = away[np.minimum(after, count - 1)]
    return np.asarray(passable & reachable & left & right)


def cut_to_length(starts: Rows, at: NDArray[np.int64], limit_us: int) -> Rows:
    """The first rows of events none of which spans more than `limit_us`: longer ones are cut at their longest
    pause."""
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
