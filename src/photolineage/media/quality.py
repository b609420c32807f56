"""How sharp and how level a picture is: to choose the best of several pictures of the same thing."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHORT_SIDE = 192
"""Pixels of the shorter side after scaling down. Sharp at this size looks sharp in an album; noise averages out."""
LONGEST_SIDE = 4 * SHORT_SIDE
"""The longer side of a panorama is squeezed to this, so that it takes no longer than any other picture."""
HALF_SHARP = 1_000.0
"""The variance of the Laplacian (in squared 8-bit grey levels) at which the sharpness is 0.5.

The median of 37 photos by many cameras is 1,770. The median of the demo library's pictures is 770.
"""
LEVEL_DEGREES, LINE_DEGREES = 2.5, 15.0
"""Lines within the first angle of the horizontal or vertical are level; those within the second should be level."""


def picture_quality(image: Image.Image) -> float:
    """The mean of the sharpness and the levelness of an upright picture, 0 to 1.

    Sharpness is computed from the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", 2000). Levelness is the share of level gradients, by energy, among those within `LINE_DEGREES` of the
    horizontal and the vertical. A picture without such gradients gets the share that chance gives.
    """
    scale = SHORT_SIDE / min(image.size)
    size = tuple(min(max(3, round(side * scale)), LONGEST_SIDE) for side in image.size)
    grey = np.asarray(image.convert("L").resize((size[0], size[1]), Image.Resampling.BOX), dtype=np.float32)
    return round((_sharpness(grey) + _levelness(grey)) / 2, 3)


def _sharpness(grey: NDArray[np.float32]) -> float:
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    variance = float(np.var(around - 4 * grey[1:-1, 1:-1]))
    return variance / (variance + HALF_SHARP)


def _levelness(grey: NDArray[np.float32]) -> float:
    across, down = abs(grey[1:-1, 2:] - grey[1:-1, :-2]), abs(grey[2:, 1:-1] - grey[:-2, 1:-1])
    energy, longer, shorter = across**2 + down**2, np.maximum(across, down), np.minimum(across, down)
    lines = _energy_within(LINE_DEGREES, energy, longer, shorter)
    if lines == 0:
        return LEVEL_DEGREES / LINE_DEGREES
    return _energy_within(LEVEL_DEGREES, energy, longer, shorter) / lines


def _energy_within(
    degrees: float, energy: NDArray[np.float32], longer: NDArray[np.float32], shorter: NDArray[np.float32]
) -> float:
    within = shorter <= math.tan(math.radians(degrees)) * longer
    return float(np.vdot(energy, within.astype(np.float32)))
