"""The looks of whole events: the image that represents the most common look, and how alike the images are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photolineage.events.looks import Embeddings, Floats, LooksScale, blocks_of_runs

Rows = NDArray[np.int64]

_BANDWIDTH = 0.12  # in units of likeness: much closer than strangers are to neighbours
_MEAN_SHIFTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """For each event: the row of the medoid of its largest visual mode, and its cohesion (NaN below two embedded)."""

    medoid: Rows
    cohesion: NDArray[np.float64]


def appearance(
    embeddings: Embeddings, vector: Rows, starts: Rows, scale: LooksScale, quality: NDArray[np.float64]
) -> Appearance:
    """The appearance of each run. Run k is rows `starts[k]` to `starts[k + 1]` of `vector`: embedding rows (-1: none).

    Mean shift finds the mode, from the run's mean, with a kernel much narrower than the difference between strangers
    and neighbours. Of the images nearest to the mode, which look the same to the eye, the medoid is the one with the
    highest `quality` (0 to 1). The middle row represents a run without embeddings.
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
    """The mean cosine of two different rows; NaN for a single row."""
    count, total = len(vectors), vectors.sum(axis=0)
    return round((float(total @ total) - count) / (count * (count - 1)), 4) if count > 1 else float("nan")


def _nearness_to_mode(vectors: Floats, kernel: float) -> Floats:
    """The cosine of each row with the mode that mean shift finds from the mean of the rows."""
    weight = np.ones(len(vectors), dtype=np.float32)
    for _ in range(_MEAN_SHIFTS):
        nearness = _cosine_with(vectors, weight @ vectors)
        weight = np.exp((nearness - nearness.max()) / np.float32(kernel))
    return _cosine_with(vectors, weight @ vectors)


def _cosine_with(vectors: Floats, direction: Floats) -> Floats:
    return np.asarray(vectors @ (direction / max(float(np.linalg.norm(direction)), 1e-12)), dtype=np.float32)
