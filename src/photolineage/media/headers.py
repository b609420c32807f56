"""The way from the first byte of a file to its picture, with a limit for junk and for the number of parts.

Pillow reads junk byte by byte: 40 MB of zeros behind the header of a JPEG would take it seven seconds.
"""

import io
import re
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from photolineage.catalog.vocabulary import FailureReason
from photolineage.media.errors import UnreadableImageError

MOST_JUNK: Final = 2**16
MOST_PARTS: Final = 4_096
"""Segments, chunks or extensions before the picture. A profile and long metadata need some hundreds."""
START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_BARE: Final = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers without a length."""
_MARKER: Final = re.compile(rb"\xff([^\xff\x00])")
_START_OF_IMAGE: Final = b"\xff\xd8"


def jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """The marker, the place and the size (without the marker) of each segment, up to the first scan.

    Raises UnreadableImageError if there is no scan, and struct.error if the file ends before it.
    """
    position = max(0, _seek_and_read(file, 0, 16).find(_START_OF_IMAGE)) + 2
    junk = 0
    for _number in range(MOST_PARTS):
        found = _MARKER.match(head := _seek_and_read(file, position, 4))
        if found is None:
            found = _MARKER.search(head := _seek_and_read(file, position, MOST_JUNK))
            if found is None and len(head) < MOST_JUNK:
                raise struct.error("the file ends before its first scan")
            if found is None:
                raise _no_picture("JPEG", f"no marker in the {len(head):,} bytes after byte {position:,}")
        junk += found.end() - 2
        if junk > MOST_JUNK:
            raise _no_picture("JPEG", f"more than {MOST_JUNK:,} bytes between its segments belong to none")
        marker, position = found[1][0], position + found.end()
        if marker in _BARE:
            continue
        if marker == _END_OF_IMAGE:
            raise _no_picture("JPEG", "it ends before its first scan")
        (size,) = struct.unpack(">H", _seek_and_read(file, position, 2).rjust(2, b"\0"))
        if size >= 2:
            yield marker, position, size
            position += size
        if marker == START_OF_SCAN:
            return
    raise _no_picture("JPEG", f"more than {MOST_PARTS:,} segments before its first scan")


def readable_header(data: bytes, image_format: str) -> bytes:
    """The file's bytes without junk in its header. Raises UnreadableImageError if they do not come to a picture."""
    check = _CHECKS.get(image_format)
    try:
        return check(data) if check else data
    except struct.error:
        return data  # it ends early; Pillow says what is missing


def _jpeg(data: bytes) -> bytes:
    position = 2 if data.startswith(_START_OF_IMAGE) else 0
    pieces = [_START_OF_IMAGE]
    for marker, begin, size in jpeg_segments(io.BytesIO(data)):
        if begin - position != 2:
            pieces.append(bytes((0xFF, marker)))
            pieces.append(data[begin : begin + size])
        else:
            pieces.append(data[position : begin + size])
        position = begin + size
    header = b"".join(pieces)
    return data if len(header) == position else header + data[position:]


def _png(data: bytes) -> bytes:
    position = 8
    for _number in range(MOST_PARTS):
        if position + 8 > len(data):
            return data  # Pillow says what is missing
        size, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IDAT":
            return data
        if not kind.isalpha():
            raise _no_picture("PNG", f"no chunk begins at byte {position:,}")
        position += 12 + size
    raise _no_picture("PNG", f"more than {MOST_PARTS:,} chunks before its picture")


def _gif(data: bytes) -> bytes:
    flags = data[10] if len(data) > 10 else 0
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    junk = 0
    for _number in range(MOST_PARTS + MOST_JUNK):
        kind = data[position : position + 1]
        if kind in (b",", b";", b""):
            return data  # Pillow says what is missing
        if kind == b"!":
            position += 2
            while size := data[position : position + 1]:
                position += 1 + size[0]
                if size == b"\0":
                    break
        else:
            position += 1
        junk += kind != b"!"
        if junk > MOST_PARTS:
            break
    raise _no_picture("GIF", f"no picture in its first {position:,} bytes")


def _no_picture(image_format: str, why: str) -> UnreadableImageError:
    return UnreadableImageError(FailureReason.CORRUPT, f"this {image_format} has no picture: {why}")


def _seek_and_read(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)


_CHECKS: Final[dict[str, Callable[[bytes], bytes]]] = {"JPEG": _jpeg, "PNG": _png, "GIF": _gif}
