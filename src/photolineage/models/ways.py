"""The ways in which a device can compute a model: a precision and a backend. Which one is the fastest."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from photolineage.catalog.vocabulary import Precision

LEAST_COSINE: Final = 0.995
"""A way is used only if the mean cosine of its embeddings with float32's is at least this."""
LEAST_GAIN: Final = 0.1
"""A way must take at least this much less time than a more exact one to replace it. Less may be noise."""
NEIGHBORS: Final = 10


class Backend(StrEnum):
    """The library that computes the image half of a model."""

    TORCH = "torch"
    OPENVINO = "openvino"


@dataclass(frozen=True, slots=True)
class Way:
    """How the image half of a model is computed."""

    precision: Precision
    backend: Backend

    def __str__(self) -> str:
        return f"{self.precision} with {_NAMES[self.backend]}"


_NAMES: Final = {Backend.TORCH: "torch", Backend.OPENVINO: "OpenVINO"}
REFERENCE: Final = Way(Precision.FLOAT32, Backend.TORCH)
"""Every other way is compared with this one."""

WAYS: Final = {
    "cpu": (
        REFERENCE,
        Way(Precision.FLOAT32, Backend.OPENVINO),
        Way(Precision.BFLOAT16, Backend.TORCH),
        Way(Precision.BFLOAT16, Backend.OPENVINO),
        Way(Precision.INT8, Backend.OPENVINO),
    ),
    "cuda": (
        REFERENCE,
        Way(Precision.FLOAT16, Backend.TORCH),
        Way(Precision.BFLOAT16, Backend.TORCH),
    ),
}
"""The ways of each device, the most exact first. One that the device computes slowly loses by its time."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of embeddings with the float32 embeddings of the same images.

    `cosine`: the mean over the images. `neighbors`: the mean share of an image's ten nearest neighbours that are the
    same in both; None if there are too few images.
    """

    cosine: float
    neighbors: float | None

    @property
    def suffices(self) -> bool:
        """Whether embeddings in both precisions may be mixed in one index."""
        return self.cosine >= LEAST_COSINE

    def __str__(self) -> str:
        cosine = f"mean cosine with float32 {self.cosine:.4f}"
        if self.neighbors is None:
            return cosine
        return f"{cosine}, {self.neighbors:.0%} of the ten nearest neighbours in common"


@dataclass(frozen=True, slots=True)
class Timing:
    """One way as measured on one machine.

    `milliseconds` per image: of one core on a processor, of the whole device on a GPU. `agreement`: None if the way is
    far too slow to be compared. `problem`: why the way cannot be computed; then the others are None.
    """

    way: Way
    milliseconds: float | None = None
    agreement: Agreement | None = None
    problem: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the way may be used: it is the reference, or its embeddings agree with the reference's."""
        return self.way == REFERENCE or (self.agreement is not None and self.agreement.suffices)


def available_device() -> str:
    """`cuda` if torch finds a GPU, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def unmeasured_way(precision: Precision, device: str) -> Way:
    """The way for embeddings in a precision where nothing was measured: float32 if the device does not have it."""
    return next((way for way in WAYS[device] if way.precision == precision), REFERENCE)


def fastest(timings: Sequence[Timing], precisions: Collection[Precision] = tuple(Precision)) -> Way:
    """The fastest way that agrees with float32, among those of `precisions` and float32.

    The first precision is preferred, then the more exact one: a way replaces a preferred one only if it is faster by
    `LEAST_GAIN`.
    """
    order = [*dict.fromkeys([*precisions, Precision.FLOAT32])]
    usable = [timing for timing in timings if timing.agrees and timing.way.precision in order]
    held, least = REFERENCE, float("inf")
    for timing in sorted(usable, key=lambda timing: order.index(timing.way.precision)):
        if timing.milliseconds is not None and timing.milliseconds <= (1 - LEAST_GAIN) * least:
            held, least = timing.way, timing.milliseconds
    return held


def agreement(vectors: NDArray[np.float32], reference: NDArray[np.float32]) -> Agreement:
    """The agreement of unit vectors (n, dim) with the float32 vectors of the same images; n is at least 1.

    Vectors that are not finite agree with nothing.
    """
    cosine = float(np.nan_to_num(np.mean(np.sum(vectors * reference, axis=1)), posinf=0))
    if len(vectors) <= 2 * NEIGHBORS:
        return Agreement(cosine, None)
    pairs = zip(_nearest(vectors), _nearest(reference), strict=True)
    return Agreement(cosine, float(np.mean([len(set(a) & set(b)) / NEIGHBORS for a, b in pairs])))


def _nearest(vectors: NDArray[np.float32]) -> list[list[int]]:
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    nearest: list[list[int]] = np.argpartition(-similarity, NEIGHBORS, axis=1)[:, :NEIGHBORS].tolist()
    return nearest
