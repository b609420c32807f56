"""A hash of how a picture looks: pictures that look alike have hashes that differ in few bits."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_ALL_BITS: Final = 0xFFFF_FFFF_FFFF_FFFF
_SIDE: Final = 32
_LOWEST: Final = 8


def _cosines() -> NDArray[np.float64]:
    """The first rows of the matrix of the discrete cosine transform (DCT-II)."""
    frequency, position = np.arange(_LOWEST)[:, None], np.arange(_SIDE)[None, :]
    rows: NDArray[np.float64] = np.cos(math.pi / _SIDE * (position + 0.5) * frequency)
    return rows


_DCT: Final = _cosines()


def perceptual_hash(image: Image.Image) -> int:
    """The hash of an upright picture, as a signed number of 64 bits.

    The picture is scaled to 32 × 32 grey pixels. Each bit says whether one of the 8 × 8 lowest frequencies is above
    their median (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). The mean
    brightness is left out: it counts as 0.
    """
    grey = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64)
    strength = (_DCT @ grey @ _DCT.T).ravel()
    strength[0] = 0.0
    bits = strength > np.median(strength)
    return int.from_bytes(np.packbits(bits).tobytes(), signed=True)


def differing_bits(one: int, other: int) -> int:
    """How many of the 64 bits of two hashes differ."""
    return ((one ^ other) & _ALL_BITS).bit_count()
