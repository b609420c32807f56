"""How much memory an image takes while it is decoded, from the first bytes of its file.

The header may lie; the process that decodes the image is therefore not given much more than this.
"""

import re
import struct
from collections.abc import Callable
from typing import BinaryIO, Final

from photolineage.media.formats import RAW, format_of
from photolineage.media.headers import START_OF_SCAN, jpeg_segments
from photolineage.media.jpeg_xl import size_of_jpeg_xl
from photolineage.media.tiff_pages import MOST_PAGES, NEW_SUBFILE_TYPE

_BASE: Final = 2**25
"""For buffers that do not grow with the picture, and for the scaled picture and its preview."""
_PER_ROW: Final = 16
"""Pillow keeps pointers to each row."""
_BYTES_PER_PIXEL: Final = {
    "PNG": 9, "BMP": 9, "GIF": 9, "TIFF": 9, "WEBP": 17, "HEIF": 8, "AVIF": 12, "JXL": 24, "JPEG2000": 9, "PSD": 9,
}  # fmt: skip
"""Measured with 24 megapixels: palette and transparency need 6 to 9, others less. WebP keeps four copies."""
_DEEP: Final = 12
"""Grey values of 16 or 32 bits, which are brought to 8 bits at full size."""
_HEAD_BYTES: Final = 2**16
_MOST_TAGS: Final = 4_096
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SEQUENTIAL: Final = frozenset((0xC0, 0xC1))
_JPEG_SCALES: Final = (8, 4, 2)
_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL = 258, 277
_WIDTH, _HEIGHT = 256, 257
_SPATIAL_EXTENT: Final = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)


def memory_to_decode(file: BinaryIO, file_bytes: int, short_side: int | None) -> int:
    """The bytes that decoding takes, with those of the file itself. The file is left at any position.

    If the header cannot be read, the picture counts as empty: then it cannot be decoded either, or only as far as
    the memory of such a picture goes. Raises UnreadableImageError if the file has no picture.
    """
    head = file.read(_HEAD_BYTES)
    image_format = format_of(head)
    if image_format == RAW:
        return 2 * file_bytes + _BASE  # LibRaw copies the file; a camera's preview is a JPEG of one scan
    need = _NEED_OF_FORMAT.get(image_format or "")
    try:
        return file_bytes + _BASE + (need(file, head, short_side) if need else 0)
    except struct.error:
        return file_bytes + _BASE


def _whole(width: int, height: int, bytes_per_pixel: float) -> int:
    return int(width * height * bytes_per_pixel) + height * _PER_ROW


def _jpeg(file: BinaryIO, head: bytes, short_side: int | None) -> int:
    """A JPEG of one scan is decoded row by row, and scaled; one of several is kept whole, as coefficients."""
    del head
    frame: tuple[int, bytes] | None = None
    for marker, position, size in jpeg_segments(file):
        file.seek(position + 2)
        if marker in _JPEG_FRAMES and frame is None:
            frame = marker, file.read(size - 2)
        elif marker == START_OF_SCAN:
            components = file.read(1)
            return _jpeg_of_frame(*frame, components[0], short_side) if frame and components else 0
    return 0


def _jpeg_of_frame(marker: int, frame: bytes, components_of_scan: int, short_side: int | None) -> int:
    height, width, components = struct.unpack_from(">xHHB", frame)
    scale = 1
    if short_side is not None:
        ratio = min(width, height) / (short_side - short_side // 24)
        scale = next((scale for scale in _JPEG_SCALES if scale <= ratio), 1)
    need = _whole(width // scale, height // scale, 9)
    if marker in _JPEG_SEQUENTIAL and components_of_scan == components:
        return need
    samples = [byte for (byte,) in struct.iter_unpack("xBx", frame[6 : 6 + 3 * components])]
    areas = [(byte >> 4) * (byte & 15) for byte in samples]
    return need + _whole(width, height, 2 * sum(areas) / max(1, *areas))


def _png(_file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    width, height, bits, color = struct.unpack_from(">IIBB", head, 16)
    return _whole(width, height, _DEEP if bits == 16 and color == 0 else _BYTES_PER_PIXEL["PNG"])


def _gif(_file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    width, height = struct.unpack_from("<HH", head, 6)
    return _whole(width, height, _BYTES_PER_PIXEL["GIF"])


def _bmp(_file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    (size,) = struct.unpack_from("<I", head, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", head, 18)
    return _whole(abs(width), abs(height), _BYTES_PER_PIXEL["BMP"])


def _webp(_file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    kind = head[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(head[start : start + 3], "little") + 1 for start in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", head, 26))
    return _whole(width, height, _BYTES_PER_PIXEL["WEBP"])


def _heif(_file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    return _largest_extent(head, _BYTES_PER_PIXEL["HEIF"])


def _avif(_file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    return _largest_extent(head, _BYTES_PER_PIXEL["AVIF"])


def _largest_extent(head: bytes, bytes_per_pixel: int) -> int:
    """From the largest of the file's images: a grid of tiles names its own size too."""
    sizes = [struct.unpack(">II", found) for found in _SPATIAL_EXTENT.findall(head)]
    return max((_whole(width, height, bytes_per_pixel) for width, height in sizes), default=0)


def _jpeg_xl(_file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    width, height = size_of_jpeg_xl(head)
    return _whole(width, height, _BYTES_PER_PIXEL["JXL"])


def _jpeg_2000(_file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    start = head.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return 0
    right, bottom, left, top = struct.unpack_from(">IIII", head, start + 8)
    (components,) = struct.unpack_from(">H", head, start + 40)
    width, height = max(0, right - left), max(0, bottom - top)
    return _whole(width, height, _BYTES_PER_PIXEL["JPEG2000"] + 4 * min(components, 16))


def _psd(_file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    height, width = struct.unpack_from(">II", head, 14)
    return _whole(width, height, _BYTES_PER_PIXEL["PSD"])


def _tiff(file: BinaryIO, head: bytes, _short_side: int | None) -> int:
    """What the picture takes. It is the first page, or a later one if the first one is a reduced copy."""
    order = "<" if head[:2] == b"II" else ">"
    is_big = head[2:4] in (b"+\x00", b"\x00+")
    (offset,) = struct.unpack_from(order + ("Q" if is_big else "I"), head, 8 if is_big else 4)
    need = 0
    for _number in range(MOST_PAGES):
        if not 0 < offset < 2**63:
            break
        file.seek(offset)
        tags, offset = _tiff_directory(file, order, is_big=is_big)
        need = max(need, _tiff_page(tags))
        if not tags.get(NEW_SUBFILE_TYPE, 0) & 1:
            break
    return need


def _tiff_directory(file: BinaryIO, order: str, *, is_big: bool) -> tuple[dict[int, int], int]:
    """The tags of the directory at the file's position, each with its first value or the place of its values.

    Also the offset of the next directory, 0 if there is none.
    """
    tags: dict[int, int] = {}
    places: dict[int, int] = {}
    offset_kind, count_kind, entry_bytes = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    (count,) = struct.unpack(order + count_kind, file.read(struct.calcsize(count_kind)))
    entries = file.read(min(count, _MOST_TAGS) * entry_bytes)
    for start in range(0, len(entries) - entry_bytes + 1, entry_bytes):
        tag, kind = struct.unpack_from(order + "HH", entries, start)
        value = "H" if kind == 3 else offset_kind
        places[tag] = struct.unpack_from(
            order + offset_kind, entries, start + entry_bytes - (8 if is_big else 4)
        )[0]
        tags[tag] = struct.unpack_from(order + value, entries, start + entry_bytes - (8 if is_big else 4))[0]
    following = file.read(struct.calcsize(offset_kind))
    if tags.get(_SAMPLES_PER_PIXEL, 1) * 2 > (8 if is_big else 4):  # the tag holds the place of their depths
        tags[_BITS_PER_SAMPLE] = _depth_at(file, order, places.get(_BITS_PER_SAMPLE, 0))
    if count > _MOST_TAGS or len(following) < struct.calcsize(offset_kind):
        return tags, 0
    return tags, struct.unpack(order + offset_kind, following)[0]


def _tiff_page(tags: dict[int, int]) -> int:
    """The largest picture that a directory can mean, and the bytes of its samples in one strip."""
    width, height, samples = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0), tags.get(_SAMPLES_PER_PIXEL, 1)
    depth = tags.get(_BITS_PER_SAMPLE, 8)
    converted = _DEEP if samples == 1 and depth > 8 else _BYTES_PER_PIXEL["TIFF"]
    return _whole(width, height, converted + samples * min(64, max(8, depth)) / 8)


def _depth_at(file: BinaryIO, order: str, place: int) -> int:
    if not 0 < place < 2**63:
        return 16
    file.seek(place)
    depth: int = struct.unpack(order + "H", file.read(2))[0]
    return depth


_NEED_OF_FORMAT: Final[dict[str, Callable[[BinaryIO, bytes, int | None], int]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "BMP": _bmp,
    "WEBP": _webp,
    "HEIF": _heif,
    "AVIF": _avif,
    "TIFF": _tiff,
    "JXL": _jpeg_xl,
    "JPEG2000": _jpeg_2000,
    "PSD": _psd,
}
