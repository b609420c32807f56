"""Which share of a damaged picture is lost: from its pixels if the decoder says where it failed, else from its file.

Decoders of HEIF, WebP and JPEG 2000 make up a picture for data that are missing, and report nothing.
"""

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from photolineage.media.color import resizable

NEXT_TO_NOTHING: Final = 0.95
"""A picture of which this share is lost is refused."""
SILENT_DECODERS: Final = frozenset(("HEIF", "AVIF", "WEBP", "JPEG2000"))
_SAMPLED_SIDE: Final = 512
_WHITE: Final = 250
"""White paper is flat too, and no decoder fills a picture with white."""
_SHORTEST_RUN: Final = 8
EMPTY_BLOCK: Final = bytes(4096)
"""A page of memory: what a disk or a broken copy leaves empty. Compressed data have no such run of zeros."""


def flat_share(image: Image.Image) -> float:
    """The share of a damaged picture that has one colour over at least a quarter of a row. White does not count.

    Decoders fill what they could not decode in this way.
    """
    if max(image.size) > _SAMPLED_SIDE:
        scale = _SAMPLED_SIDE / max(image.size)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.NEAREST)
    pixels = np.asarray(resizable(image).convert("RGB"))
    height, width, _channels = pixels.shape
    same = (pixels[:, 1:] == pixels[:, :-1]).all(axis=2) & (pixels[:, 1:].min(axis=2) < _WHITE)
    least = min(max(_SHORTEST_RUN, width // 4), width - 1)
    lost = sum(
        length + 1
        for row in same
        for length in np.diff(np.flatnonzero(np.concatenate(([True], ~row, [True])))) - 1
        if length >= max(1, least)
    )
    return float(lost / (height * width))


def empty_share(data: bytes, image_format: str) -> float:
    """The share of the picture's data that the file does not have, or that are blocks of zeros."""
    missing = empty = total = 0
    for begin, size in _data_of_picture(data, image_format):
        total += size
        missing += max(0, begin + size - len(data))
        empty += _empty_bytes(data, begin, min(begin + size, len(data)))
    return (missing + empty) / max(1, total)


def _data_of_picture(data: bytes, image_format: str) -> Iterator[tuple[int, int]]:
    """Where the file's boxes of data begin, and their sizes. What phones append, such as a video, is not among them."""
    if image_format == "WEBP" or not data[4:8].isalpha():
        yield 0, len(data)
        return
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"ftyp" and position:
            return
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, position + 8)
        elif size == 0:
            size = len(data) - position
        if size < 8:
            return
        if kind in (b"mdat", b"idat", b"jp2c"):
            yield position, size
        position += size


def _empty_bytes(data: bytes, begin: int, end: int) -> int:
    """The bytes in blocks of zeros."""
    found = 0
    while (begin := data.find(EMPTY_BLOCK, begin, end)) >= 0:
        while data.startswith(EMPTY_BLOCK, begin, end):
            begin += len(EMPTY_BLOCK)
            found += len(EMPTY_BLOCK)
    return found
