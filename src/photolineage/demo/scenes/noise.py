"""Fractal value noise and random ridge lines: the irregularity of clouds, rock and horizons."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field: TypeAlias = NDArray[np.float32]


def enlarged(grid: Field, shape: tuple[int, int]) -> Field:
    """A 2-D field resampled bicubically to `shape` (rows, columns)."""
    picture = Image.fromarray(grid).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    enlargement: Field = np.asarray(picture, dtype=np.float32)
    return enlargement


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    cells: tuple[float, float] = (3.0, 4.0),
    octaves: int = 5,
    persistence: float = 0.5,
) -> Field:
    """Fractal value noise in [0, 1]: `cells` is the coarsest grid (rows, columns), doubled each octave."""
    total = np.zeros(shape, dtype=np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        rows, columns = (max(2, round(cell * 2**octave)) for cell in cells)
        grid = rng.random((min(rows, shape[0]), min(columns, shape[1])), dtype=np.float32)
        total += amplitude * enlarged(grid, shape)
        amplitude *= persistence
    low, high = float(total.min()), float(total.max())
    spread: Field = (total - low) / np.float32(max(high - low, 1e-6))
    return spread


def smoothstep(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, and a smooth Hermite step between."""
    share: Field = np.clip((field - low) / (high - low), 0.0, 1.0, dtype=np.float32)
    return share * share * (np.float32(3) - np.float32(2) * share)


def ridge(rng: np.random.Generator, points: int, *, roughness: float = 0.5) -> Field:
    """A ridge line of `points` heights in [0, 1] by midpoint displacement.

    `roughness` is the share of the displacement that each halving keeps: 0.4 is hilly, 0.6 is jagged.
    """
    heights = rng.random(2, dtype=np.float32)
    amplitude = 1.0
    while len(heights) < points:
        middle = (heights[:-1] + heights[1:]) / 2 + amplitude * (
            rng.random(len(heights) - 1, dtype=np.float32) - 0.5
        )
        merged = np.empty(2 * len(heights) - 1, dtype=np.float32)
        merged[0::2], merged[1::2] = heights, middle
        heights, amplitude = merged, amplitude * roughness
    heights = heights[:points]
    low, high = float(heights.min()), float(heights.max())
    spread: Field = (heights - low) / np.float32(max(high - low, 1e-6))
    return spread
