"""Decode a JPEG with the warnings of its decoder, which Pillow does not tell."""

import re
from typing import Final

import simplejpeg
from PIL import Image
from PIL.ImageFile import ImageFile

from photolineage.media.damage import EMPTY_BLOCK, empty_share, flat_share

END_OF_IMAGE: Final = b"\xff\xd9"
_COLOR_SPACES: Final = {"RGB": "RGB", "L": "GRAY"}
_EXTRANEOUS: Final = re.compile(r"(\d+) extraneous bytes before marker")
_MOST_EXTRANEOUS: Final = 4096
"""Many cameras write a few bytes too many. More are the rest of data that could not be decoded."""
_HARMLESS: Final = (
    "Invalid SOS parameters",
    "Inconsistent progression",
    "Unknown Adobe color",
    "JFIF major revision",
)
_BLOCK: Final = 8
_KEPT_ZEROS: Final = 64
"""The header of a scan ends with zeros."""


def load_jpeg(container: ImageFile, data: bytes) -> float | None:
    """Decode the pixels of an open JPEG at the container's size. Returns the share that is lost; None for a whole one.

    Zeros can decode to stripes, and a progressive JPEG only loses its detail: so empty parts of the file count too.
    Raises ValueError if this decoder cannot decode the file; then the container is as before.
    """
    # The decoder would read zeros to their end, and decode them.
    full = data.rstrip(b"\0") + bytes(_KEPT_ZEROS) if data.endswith(EMPTY_BLOCK) else data
    color_space = _COLOR_SPACES.get(container.mode)
    if color_space is None:
        warning = _warning(full)
        container.load()
    else:
        warning = _decode(container, full, color_space)
    if warning is None or _is_harmless(warning):
        return None
    end = data.rfind(END_OF_IMAGE)
    picture = data[:end] if end > len(data) // 2 else data
    return max(_flat_share(full), empty_share(picture, "JPEG"))


def _decode(container: ImageFile, data: bytes, color_space: str) -> str | None:
    """Give the container its pixels. Returns the decoder's first warning."""
    width, height = container.size
    scaled = {"min_width": width, "min_height": height, "min_factor": 1}
    warning = None
    try:
        pixels = simplejpeg.decode_jpeg(data, color_space, strict=True, **scaled)
    except ValueError as error:
        warning = str(error)
        pixels = simplejpeg.decode_jpeg(data, color_space, strict=False, **scaled)
    if pixels.shape[:2] != (height, width):
        raise ValueError(f"decoded at {pixels.shape[:2]} instead of {(height, width)}")
    container.im = Image.frombuffer(container.mode, container.size, pixels, "raw", container.mode, 0, 1).im
    container.tile = []
    return warning


def _warning(data: bytes) -> str | None:
    """The decoder's first warning about a JPEG in other colours, which Pillow converts better."""
    try:
        simplejpeg.decode_jpeg(data, "CMYK", strict=True, min_width=1, min_height=1, min_factor=_BLOCK)
    except ValueError as error:
        return str(error)
    return None


def _is_harmless(warning: str) -> bool:
    extraneous = _EXTRANEOUS.search(warning)
    if extraneous:
        return int(extraneous[1]) <= _MOST_EXTRANEOUS
    return any(text in warning for text in _HARMLESS)


def _flat_share(data: bytes) -> float:
    """From the picture at an eighth of its size: a block that was not decoded is a pixel like its neighbour."""
    blocks = simplejpeg.decode_jpeg(data, "RGB", strict=False, min_width=1, min_height=1, min_factor=_BLOCK)
    return flat_share(Image.fromarray(blocks))
