"""Unpack a JPEG XL file: the JPEG that was packed into it, or its picture."""

import logging
import struct
from typing import Final

from PIL import Image

from photolineage.catalog.vocabulary import FailureReason
from photolineage.media.errors import UnreadableImageError

_logger = logging.getLogger(__name__)

_CODESTREAM: Final = b"\xff\x0a"
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_MODES: Final = {"F;16": "F"}
_TIFF_STARTS: Final = (b"II*\x00", b"MM\x00*")
_EXIF_BOX, _XMP_BOX, _COMPRESSED_BOX = b"Exif", b"xml ", b"brob"
_MOST_UNPACKED: Final = 2**23
"""More than the readers of XMP and EXIF take."""


def unpack_jpeg_xl(data: bytes) -> bytes | tuple[Image.Image, bytes]:
    """The bytes of the JPEG that was packed, or the upright picture with its profile and XMP in `info`, and its EXIF.

    Raises UnreadableImageError if the package that reads this format is missing, and the errors of that package.
    """
    try:
        from pillow_jxl import Decoder
    except ImportError:
        raise UnreadableImageError(
            FailureReason.UNSUPPORTED,
            "reading JPEG XL requires the package pillow-jxl-plugin: pip install pillow-jxl-plugin",
        ) from None
    # Other images are decoded at the same time, so more threads for this one would not help.
    is_jpeg, facts, content, icc_profile, boxes = Decoder(num_threads=0)(data)
    if is_jpeg:
        return bytes(content)
    mode = _MODES.get(facts.mode, facts.mode)
    image = Image.frombytes(mode, (facts.width, facts.height), content)
    if icc_profile:
        image.info["icc_profile"] = icc_profile
    facts_of = dict(_unpacked(box.box_type, bytes(box.data)) for box in reversed(boxes))
    image.info["xmp"] = facts_of.get(_XMP_BOX, b"")
    exif = facts_of.get(_EXIF_BOX, b"")
    if exif[4:8] in _TIFF_STARTS:  # behind the offset of the TIFF header
        exif = exif[4:]
    return image, exif


def _unpacked(kind: bytes, content: bytes) -> tuple[bytes, bytes]:
    """The kind and the content of a box. Many programs compress what is written about the picture."""
    if kind != _COMPRESSED_BOX or content[:4] not in (_XMP_BOX, _EXIF_BOX):
        return kind, content
    import pyarrow as pa

    try:
        unpacked = pa.CompressedInputStream(pa.BufferReader(content[4:]), "brotli").read(_MOST_UNPACKED)
    except OSError:
        _logger.debug("the box %r is damaged", content[:4], exc_info=True)
        return content[:4], b""
    return content[:4], unpacked


def size_of_jpeg_xl(head: bytes) -> tuple[int, int]:
    """The size in the first bytes of a file. Raises struct.error if they end before it."""
    start = 0 if head.startswith(_CODESTREAM) else _start_of_codestream(head)
    bits = int.from_bytes(head[start + 2 : start + 16].ljust(14, b"\0"), "little")
    if len(head) < start + 3:
        raise struct.error("the file ends before its size")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    def side(is_small: int) -> int:
        return (take(5) + 1) * 8 if is_small else take((9, 13, 18, 30)[take(2)]) + 1

    is_small = take(1)
    height = side(is_small)
    ratio = take(3)
    if ratio == 0:
        return side(is_small), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _start_of_codestream(head: bytes) -> int:
    position = 0
    while True:
        size, kind = struct.unpack_from(">I4s", head, position)
        begin = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, begin)
            begin += 8
        if kind == b"jxlp":
            begin += 4
        if kind in (b"jxlc", b"jxlp"):
            return begin
        if size < 8:
            raise struct.error("a box without an end")
        position += size
