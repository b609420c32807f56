"""Which page of a TIFF is the picture, and whether a TIFF with a thumbnail in front is a camera's raw file."""

import struct
from collections.abc import Iterator
from typing import Final

from PIL.ImageFile import ImageFile

NEW_SUBFILE_TYPE: Final = 254
MOST_PAGES: Final = 16
_PHOTOMETRIC_INTERPRETATION: Final = 262
_SUB_DIRECTORIES: Final = 330
_DNG_VERSION: Final = 50706
_SENSOR: Final = frozenset((32803, 34892))
"""A colour filter array, and the sensor's colours without one."""
_SHORT: Final = 3

Tags = dict[int, tuple[int, ...]]


def is_raw_tiff(data: bytes) -> bool:
    """Whether a classic TIFF is a raw file: one of its directories has the values of a sensor.

    A first page that is a reduced copy also counts, unless another page is the picture, or there is no other.
    """
    pages = list(_pages(data))
    if not pages:
        return False
    inner = [
        tags
        for page in pages
        for offset in page.get(_SUB_DIRECTORIES, ())[:MOST_PAGES]
        for tags, _next in [_directory(data, offset)]
    ]
    if any(_DNG_VERSION in tags or _is_sensor(tags) for tags in (*pages, *inner)):
        return True
    if not _is_reduced(pages[0]):
        return False
    return bool(inner or len(pages) > 1) and all(map(_is_reduced, pages))


def seek_picture(container: ImageFile) -> bool:
    """Go to the first page of a TIFF that is not a reduced copy. Returns whether that is another than the first."""
    for page in range(1, MOST_PAGES):
        if not _reduced_flag(container):
            return page > 1
        try:
            container.seek(page)
        except EOFError:
            break
    if not _reduced_flag(container):
        return True
    container.seek(0)
    return False


def _reduced_flag(container: ImageFile) -> bool:
    value = container.tag_v2.get(NEW_SUBFILE_TYPE, 0)  # type: ignore[attr-defined]
    return isinstance(value, int) and bool(value & 1)


def _is_sensor(tags: Tags) -> bool:
    return tags.get(_PHOTOMETRIC_INTERPRETATION, (0,))[0] in _SENSOR


def _is_reduced(tags: Tags) -> bool:
    return bool(tags.get(NEW_SUBFILE_TYPE, (0,))[0] & 1)


def _pages(data: bytes) -> Iterator[Tags]:
    """The directories in the chain of a classic TIFF, as far as they can be read."""
    if data[2:4] not in (b"*\x00", b"\x00*"):
        return
    offset = _integer(data, 4, "I")
    for _number in range(MOST_PAGES):
        tags, following = _directory(data, offset)
        if not tags:
            return
        yield tags
        if following == 0:
            return
        offset = following


def _directory(data: bytes, offset: int) -> tuple[Tags, int]:
    """The integer values of a directory's tags, and the offset of the next directory, 0 if there is none."""
    tags: Tags = {}
    count = _integer(data, offset, "H")
    for entry in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, values = (_integer(data, entry + at, code) for at, code in ((0, "H"), (2, "H"), (4, "I")))
        code, size = ("H", 2) if kind == _SHORT else ("I", 4)
        values = min(values, MOST_PAGES)
        start = entry + 8 if size * values <= 4 else _integer(data, entry + 8, "I")
        tags[tag] = tuple(_integer(data, start + size * number, code) for number in range(max(1, values)))
    return tags, _integer(data, offset + 2 + 12 * count, "I")


def _integer(data: bytes, offset: int, code: str) -> int:
    """The integer at an offset; 0 behind the end of the data."""
    try:
        value: int = struct.unpack_from(("<" if data[:2] == b"II" else ">") + code, data, offset)[0]
    except struct.error:
        return 0
    return value
