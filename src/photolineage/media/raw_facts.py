"""Read the EXIF of a camera's raw file. LibRaw decodes the picture, but does not give these facts.

Every raw format keeps its EXIF in TIFF directories: alone, under another header, or in a part of a container.
"""

import io
import logging
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from PIL import Image, JpegImagePlugin

from photolineage.media.embedded import of_the_file, written_in_xmp
from photolineage.media.exif import Directory, ExifFacts, facts_of_directories, read_exif

_logger = logging.getLogger(__name__)

_TIFF_HEADS: Final = {
    b"II*\0": b"II*\0",
    b"MM\0*": b"MM\0*",
    b"IIRO": b"II*\0",  # Olympus and OM System
    b"IIRS": b"II*\0",
    b"MMOR": b"MM\0*",
    b"IIU\0": b"II*\0",  # Panasonic and Leica
}
"""The first bytes of raw files that are a TIFF from their first byte, and those that a TIFF has there."""
_MINOLTA: Final = b"\0MRM"
_MINOLTA_TIFF: Final = b"\0TTW"
_FUJIFILM: Final = b"FUJIFILMCCD-RAW"
_FUJIFILM_JPEG_AT: Final = 84
_CANON_BOX: Final = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_XMP_BOX: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_PANASONIC_JPEG: Final = 0x2E
_MOST_BOXES: Final = 256
_JPEG: Final = b"\xff\xd8\xff"


def read_raw_facts(data: bytes) -> ExifFacts | None:
    """The facts in a raw file's EXIF, or None if it has none that can be read. Damaged bytes raise no error."""
    try:
        return _facts(data)
    except Exception:  # Pillow's parser raises a dozen kinds of errors on damaged directories
        _logger.debug("the EXIF of the raw file is damaged", exc_info=True)
        return None


def _facts(data: bytes) -> ExifFacts | None:
    if data[:4] in _TIFF_HEADS:
        tiff = _directory(_TIFF_HEADS[data[:4]] + data[4:])
        facts = read_exif(tiff)
        jpeg = tiff.get(_PANASONIC_JPEG) if data.startswith(b"IIU\0") else None
        return facts if facts.times or not isinstance(jpeg, bytes) else _facts_of_jpeg(jpeg)
    if data.startswith(_MINOLTA):
        parts = dict(_minolta_parts(data))
        return read_exif(_directory(parts[_MINOLTA_TIFF])) if _MINOLTA_TIFF in parts else None
    if data.startswith(_FUJIFILM):
        start, size = struct.unpack_from(">II", data, _FUJIFILM_JPEG_AT)
        return _facts_of_jpeg(data[start : start + size])
    if data[4:12] == b"ftypcrx ":
        return _canon_facts(data)
    return None


def _directory(tiff: bytes) -> Image.Exif:
    """The first directory of a TIFF."""
    exif = Image.Exif()
    exif.load_from_fp(io.BytesIO(tiff))
    return exif


def _facts_of_jpeg(data: bytes) -> ExifFacts | None:
    if not data.startswith(_JPEG):
        return None
    return read_exif(JpegImagePlugin.JpegImageFile(io.BytesIO(data)).getexif())


def _minolta_parts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The names and contents of the blocks before the picture in an MRW file."""
    (size,) = struct.unpack_from(">I", data, 4)
    position, end = 8, min(8 + size, len(data))
    while position + 8 <= end:
        name, length = struct.unpack_from(">4sI", data, position)
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length


def _canon_facts(data: bytes) -> ExifFacts | None:
    """The facts in a CR3 file, which keeps each directory of EXIF as a TIFF in a box of its own, and XMP in another."""
    directories: dict[bytes, Directory] = {}
    xmp = b""
    for kind, outer in _boxes(data):
        if kind == b"uuid" and outer.startswith(_XMP_BOX):
            xmp = outer[len(_XMP_BOX) :]
        if kind == b"moov":
            for extension, content in _boxes(outer):
                if extension == b"uuid" and content.startswith(_CANON_BOX):
                    directories |= {
                        name: _directory(tiff)
                        for name, tiff in _boxes(content[len(_CANON_BOX) :])
                        if name in (b"CMT1", b"CMT2", b"CMT4")
                    }
    if not directories:
        return None
    facts = facts_of_directories(
        directories.get(b"CMT1", {}), directories.get(b"CMT2", {}), directories.get(b"CMT4", {})
    )
    return replace(facts, written=of_the_file(written_in_xmp(xmp), facts.written))


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The types and contents of the boxes in an ISO base media file, or in one of its boxes."""
    position = 0
    for _number in range(_MOST_BOXES):
        if position + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1 and start + 8 <= len(data):
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = len(data) if size == 0 else position + size
        if end < start:
            return
        yield kind, data[start:end]
        position = end
