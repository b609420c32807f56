"""The precisions that a device computes in natively, and the agreement between two precisions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photolineage.catalog.vocabulary import Precision

LEAST_COSINE = 0.995
"""A precision is used only if its mean cosine with float32 is at least this."""
NEIGHBORS = 10

_INSTRUCTIONS = {
    Precision.BFLOAT16: ("amx_bf16", "avx512_bf16"),
    Precision.INT8: ("avx512_vnni", "avx_vnni"),
}
"""The processor instructions for each precision, under torch's names; the fastest precision first."""


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


def available_device() -> str:
    """`cuda` if torch finds a GPU, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def native_precisions(device: str) -> tuple[Precision, ...]:
    """The precisions that the device has instructions for, the fastest first, float32 last.

    bfloat16 needs AMX, AVX512-BF16 or an Ampere GPU; int8 needs VNNI, on Intel's and AMD's processors. Without these
    instructions, bfloat16 is emulated, several times slower than float32, and int8 is not faster than float32.
    """
    import torch

    if device == "cuda":
        native = {Precision.BFLOAT16: torch.cuda.is_bf16_supported(including_emulation=False)}
    else:
        capabilities = torch.cpu.get_capabilities()
        native = {
            precision: any(capabilities.get(name) for name in names)
            for precision, names in _INSTRUCTIONS.items()
        }
    return (*(precision for precision, is_native in native.items() if is_native), Precision.FLOAT32)


def agreement(vectors: NDArray[np.float32], reference: NDArray[np.float32]) -> Agreement:
    """The agreement of unit vectors (n, dim) with the float32 vectors of the same images; n is at least 1."""
    cosine = float(np.mean(np.sum(vectors * reference, axis=1)))
    if len(vectors) <= 2 * NEIGHBORS:
        return Agreement(cosine, None)
    pairs = zip(_nearest(vectors), _nearest(reference), strict=True)
    return Agreement(cosine, float(np.mean([len(set(a) & set(b)) / NEIGHBORS for a, b in pairs])))


def _nearest(vectors: NDArray[np.float32]) -> list[list[int]]:
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    nearest: list[list[int]] = np.argpartition(-similarity, NEIGHBORS, axis=1)[:, :NEIGHBORS].tolist()
    return nearest
