"""Pauses between shots, in logarithms, as integers: sums of them do not depend on where a timeline begins."""

import numpy as np
from numpy.typing import NDArray

MICRONATS = 1_000_000


def log_seconds(gap_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The natural logarithm of each gap in seconds, in millionths; gaps below a second count as one second."""
    seconds = np.maximum(gap_us / 1e6, 1.0)
    return np.asarray(np.rint(np.log(seconds) * MICRONATS), dtype=np.int64)


def local_mean(log_gaps: NDArray[np.int64], open_gap: NDArray[np.bool_], window: int) -> NDArray[np.int64]:
    """The mean log gap of each gap's neighbourhood: itself and up to `window` gaps on either side.

    The neighbourhood ends at the timeline's ends, and at gaps that are not `open_gap` (which get their own value):
    what lies behind those counts for nothing, as gaps beyond the collection's ends do in PhotoTOC.
    """
    count = len(log_gaps)
    if count == 0:
        return log_gaps.copy()
    position = np.arange(count)
    last_closed = np.maximum.accumulate(np.where(open_gap, -1, position))
    next_closed = np.minimum.accumulate(np.where(open_gap, count, position)[::-1])[::-1]
    low = np.maximum(position - window, last_closed + 1)
    high = np.minimum(position + window + 1, next_closed)
    sums = np.concatenate(([0], np.cumsum(np.where(open_gap, log_gaps, 0))))
    size = np.maximum(high - low, 1)
    return np.where(open_gap, (sums[high] - sums[low]) // size, log_gaps)


def phototoc_boundaries(
    gap_us: NDArray[np.int64], *, window: int = 10, ratio: float = 17.0
) -> NDArray[np.bool_]:
    """Whether each gap between neighbours in time ends an event, by PhotoTOC's rule.

    A gap is a boundary where its logarithm reaches the local mean log gap plus ln `ratio` (Platt, Czerwinski and
    Field, "PhotoTOC: automatic clustering for browsing personal photographs", 2003: d = 10, K = ln 17).
    """
    logs = log_seconds(gap_us)
    means = local_mean(logs, np.ones(len(logs), dtype=np.bool_), window)
    return np.asarray(logs - means >= np.log(ratio) * MICRONATS, dtype=np.bool_)
