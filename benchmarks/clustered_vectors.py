"""Vectors distributed like embeddings of photographs, in a file, with queries and their true neighbours."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_CHUNK = 20_000
_ROWS_A_CENTRE = 150
_SPREAD = 0.6
"""The size of a cluster relative to the distances between clusters."""


@dataclass(frozen=True, slots=True)
class ClusteredVectors:
    """`rows` unit vectors of `dim` float16 in a file without a header, and float32 queries of the same distribution.

    As with CLIP, few directions carry most of the variance and no two vectors are nearly opposite: in a random
    orthogonal basis, the standard deviation of component n of centres and deviations falls with the square root of n,
    and all vectors have a common mean.
    """

    path: Path
    rows: int
    dim: int = 512
    seed: int = 0

    def write(self) -> None:
        """Write the file."""
        space = _Space(self.rows, self.dim, self.seed)
        with self.path.open("wb") as file:
            for first in range(0, self.rows, _CHUNK):
                file.write(space.draw(min(_CHUNK, self.rows - first)).astype(np.float16).tobytes())

    def queries(self, count: int) -> NDArray[np.float32]:
        """Vectors of the same distribution that are not in the file, (count, dim)."""
        space = _Space(self.rows, self.dim, self.seed)
        space.random = np.random.default_rng(self.seed + 1)
        return space.draw(count)

    def read(self, first: int, count: int) -> NDArray[np.float16]:
        """Rows of the file, (count, dim)."""
        values = np.fromfile(self.path, np.float16, count * self.dim, offset=first * self.dim * 2)
        return values.reshape(count, self.dim)

    def chunks(self, rows: int | None = None) -> Iterator[tuple[int, NDArray[np.float16]]]:
        """The first `rows` rows in chunks, each with the number of its first row."""
        end = self.rows if rows is None else rows
        for first in range(0, end, _CHUNK):
            yield first, self.read(first, min(_CHUNK, end - first))

    def exact_neighbours(self, queries: NDArray[np.float32], k: int, rows: int) -> NDArray[np.int64]:
        """For each query, the `k` rows with the greatest cosine among the first `rows`: (n, k), nearest first."""
        best = np.full((len(queries), 0), 0.0, dtype=np.float32)
        best_rows = np.empty((len(queries), 0), dtype=np.int64)
        for first, vectors in self.chunks(rows):
            cosines = queries @ vectors.astype(np.float32).T
            numbers = np.broadcast_to(np.arange(first, first + len(vectors)), cosines.shape)
            candidates = np.concatenate([best, cosines], axis=1)
            candidate_rows = np.concatenate([best_rows, numbers], axis=1)
            nearest = np.argpartition(-candidates, k - 1, axis=1)[:, :k]
            best = np.take_along_axis(candidates, nearest, axis=1)
            best_rows = np.take_along_axis(candidate_rows, nearest, axis=1)
        return np.take_along_axis(best_rows, np.argsort(-best, axis=1), axis=1)


class _Space:
    def __init__(self, rows: int, dim: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._scale = (np.arange(dim, dtype=np.float32) + 1) ** -0.5
        self._basis = np.linalg.qr(self.random.standard_normal((dim, dim)))[0].astype(np.float32)
        self._mean = self._deviations(1)[0]
        self._centres = self._deviations(max(1, rows // _ROWS_A_CENTRE))

    def draw(self, count: int) -> NDArray[np.float32]:
        centres = self._centres[self.random.integers(0, len(self._centres), count)]
        vectors = (self._mean + centres + _SPREAD * self._deviations(count)) @ self._basis
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def _deviations(self, count: int) -> NDArray[np.float32]:
        return self.random.standard_normal((count, len(self._scale)), dtype=np.float32) * self._scale


def vector_column(vectors: NDArray[np.float16]) -> pa.FixedSizeListArray:
    """Vectors (n, dim) as an Arrow column, without a copy."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
