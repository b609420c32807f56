"""Which perceptual hashes differ in a few bits, found without comparing each with each."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.int64]

MOST_BITS: Final = 4
"""A picture that was scaled down to a quarter, or saved as JPEG with quality 20, differs from itself in at most so many
of the 64 bits (docs/stacks.md)."""
_BANDS: Final = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))
"""First bit and width of each band. Hashes that differ in at most four bits are equal in one of five bands."""
_ROWS_AT_ONCE: Final = 2_000


def similar_hashes(hashes: Hashes) -> dict[int, set[int]]:
    """For each of these different hashes with a similar one: the positions of the similar ones."""
    similar: dict[int, set[int]] = defaultdict(set)
    for shift, width in _BANDS:
        band = (hashes.view(np.uint64) >> np.uint64(shift)) & np.uint64(2**width - 1)
        for rows in _runs(band):
            for one, other in _similar_pairs(hashes, rows):
                similar[one].add(other)
                similar[other].add(one)
    return dict(similar)


def _runs(values: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """The positions of each value that occurs more than once."""
    if not len(values):
        return
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=values[order][:1] ^ np.uint64(1)))
    for start, end in zip(starts, np.append(starts[1:], len(values)), strict=True):
        if end - start > 1:
            yield order[start:end]


def _similar_pairs(hashes: Hashes, rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        differing = np.bitwise_count((hashes[some][:, None] ^ hashes[rows][None, :]).view(np.uint64))
        for row, column in np.argwhere(differing <= MOST_BITS):
            if some[row] < rows[column]:
                yield int(some[row]), int(rows[column])
