"""Logarithms of the pauses between shots, as integers, so that sums do not depend on where a timeline begins."""

import numpy as np
from numpy.typing import NDArray

MICRONATS = 1_000_000
# Both from Platt, Czerwinski and Field, "PhotoTOC: automatic clustering for browsing personal photographs", 2003:
# d = 10 and K = ln 17.
LOCAL_WINDOW = 10
"""The local mean of a gap covers this many gaps on each side."""
LOCAL_RATIO = 17.0
"""A pause this many times the local geometric mean ends an event in PhotoTOC. Here it counts 0."""


def log_seconds(gap_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The natural logarithm of each gap in seconds, in millionths; gaps below a second count as one second."""
    seconds = np.maximum(gap_us / 1e6, 1.0)
    return np.asarray(np.rint(np.log(seconds) * MICRONATS), dtype=np.int64)


def local_mean(log_gaps: NDArray[np.int64], open_gap: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The mean log gap of each gap's neighbourhood: itself and up to `LOCAL_WINDOW` gaps on either side.

    The neighbourhood ends at the ends of the timeline and at gaps that are not `open_gap` (which get their own
    value), as it ends at the collection's ends in PhotoTOC.
    """
    count = len(log_gaps)
    if count == 0:
        return log_gaps.copy()
    position = np.arange(count)
    last_closed = np.maximum.accumulate(np.where(open_gap, -1, position))
    next_closed = np.minimum.accumulate(np.where(open_gap, count, position)[::-1])[::-1]
    low = np.maximum(position - LOCAL_WINDOW, last_closed + 1)
    high = np.minimum(position + LOCAL_WINDOW + 1, next_closed)
    sums = np.concatenate(([0], np.cumsum(np.where(open_gap, log_gaps, 0))))
    size = np.maximum(high - low, 1)
    return np.where(open_gap, (sums[high] - sums[low]) // size, log_gaps)


def phototoc_boundaries(gap_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each gap between neighbours in time ends an event, by PhotoTOC's rule.

    A gap is a boundary if its logarithm is at least the local mean log gap plus ln `LOCAL_RATIO`.
    """
    logs = log_seconds(gap_us)
    means = local_mean(logs, np.ones(len(logs), dtype=np.bool_))
    return np.asarray(logs - means >= np.log(LOCAL_RATIO) * MICRONATS, dtype=np.bool_)
