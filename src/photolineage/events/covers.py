"""The looks of whole events: the image that stands for the largest visual mode, and how alike the images are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photolineage.events.looks import Embeddings, Floats, LooksScale, blocks_of_runs

Rows = NDArray[np.int64]

_BANDWIDTH = 0.12  # in units of likeness: a few times closer than what tells strangers from neighbours
_MEAN_SHIFTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """For each event: the row of the medoid of its largest visual mode, and its cohesion (NaN below two embedded)."""

    medoid: Rows
    cohesion: NDArray[np.float64]


def appearance(
    embeddings: Embeddings, vector: Rows, starts: Rows, scale: LooksScale, quality: NDArray[np.float64]
) -> Appearance:
    """Look at each run of rows: run k is rows `starts[k]` to `starts[k + 1]` of `vector`, embedding rows (-1: none).

    The mode is sought by mean shift from the run's mean with a kernel that is narrow against the difference between
    strangers and neighbours. Among images that are as near to the mode as makes no difference to the eye, the one
    of the highest `quality` (0 to 1) is the medoid. A run without embeddings is represented by its middle row.
    """
    ends = np.append(starts[1:], len(vector))
    medoid, cosine = (starts + ends - 1) // 2, np.full(len(starts), np.nan)
    kernel = _BANDWIDTH * (scale.neighbours - scale.strangers)
    for first, last in blocks_of_runs(starts, len(vector)):
        vectors = embeddings.vectors(vector[starts[first] : ends[last - 1]])
        for run in range(first, last):
            embedded = starts[run] + np.flatnonzero(vector[starts[run] : ends[run]] >= 0)
            if len(embedded):
                own = vectors[embedded - starts[first]]
                preference = _nearness_to_mode(own, kernel) + kernel * quality[embedded]
                medoid[run] = embedded[np.argmax(np.round(preference, 4))]
                cosine[run] = _mean_cosine(own)
    return Appearance(medoid, np.round(scale.likeness(cosine), 4))


def _mean_cosine(vectors: Floats) -> float:
    """The mean cosine of two different rows; NaN of a single one."""
    count, total = len(vectors), vectors.sum(axis=0)
    return round((float(total @ total) - count) / (count * (count - 1)), 4) if count > 1 else float("nan")


def _nearness_to_mode(vectors: Floats, kernel: float) -> Floats:
    """The cosine of each row with the mode that mean shift reaches from their mean."""
    weight = np.ones(len(vectors), dtype=np.float32)
    for _ in range(_MEAN_SHIFTS):
        nearness = _cosine_with(vectors, weight @ vectors)
        weight = np.exp((nearness - nearness.max()) / np.float32(kernel))
    return _cosine_with(vectors, weight @ vectors)


def _cosine_with(vectors: Floats, direction: Floats) -> Floats:
    return np.asarray(vectors @ (direction / max(float(np.linalg.norm(direction)), 1e-12)), dtype=np.float32)
