"""Near-duplicates of a picture, as people make them: cropped, scaled down, saved again."""

import io
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from PIL import Image

CROPPED_SIDE = 0.8
"""The share of each side that a crop at a random place keeps: 64% of the picture."""
RESCALED_SIDE = 0.5
RECOMPRESSED_QUALITY = 30
"""The JPEG quality of a picture sent through a messenger."""


class Variation(StrEnum):
    """How a picture is changed into a near-duplicate."""

    CROP = "crop"
    RESCALE = "rescale"
    RECOMPRESS = "recompress"


def vary(picture: Image.Image, variation: Variation, seed: int) -> Image.Image:
    """A near-duplicate of an RGB picture; the same seed gives the same result."""
    return _MAKE[variation](picture, np.random.default_rng(seed))


def _crop(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    size = [max(1, round(side * CROPPED_SIDE)) for side in picture.size]
    left, top = (
        int(random.integers(0, whole - part + 1)) for whole, part in zip(picture.size, size, strict=True)
    )
    return picture.crop((left, top, left + size[0], top + size[1]))


def _rescale(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    del random
    width, height = (max(1, round(side * RESCALED_SIDE)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def _recompress(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    del random
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=RECOMPRESSED_QUALITY)
    return Image.open(stream).convert("RGB")


_MAKE: Mapping[Variation, Callable[[Image.Image, np.random.Generator], Image.Image]] = MappingProxyType(
    {Variation.CROP: _crop, Variation.RESCALE: _rescale, Variation.RECOMPRESS: _recompress}
)
