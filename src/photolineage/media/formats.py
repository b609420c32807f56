"""Open an image in the format that its first bytes show. The name of its file does not matter."""

import contextlib
import ctypes
import io
import logging
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import pillow_heif
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from photolineage.media.tiff_pages import is_raw_tiff

# fmt: off
RAW_SUFFIXES: Final = frozenset(
    (
        ".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".kdc", ".mef", ".mos", ".mrw", ".nef",
        ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".srw", ".x3f",
    )
)
SUPPORTED_SUFFIXES: Final = RAW_SUFFIXES | frozenset(
    (
        ".avif", ".bmp", ".gif", ".heic", ".heics", ".heif", ".heifs", ".hif", ".jfif", ".jpe", ".jpeg",
        ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp",
    )
)
# fmt: on
"""The suffixes of the files to read, in lower case and with the dot."""

RAW: Final = "RAW"

# The plugins are called directly: `Image.open` has one limit of pixels for the whole process, and that limit is
# below the sensors of today's phones (200 megapixels).
_PLUGINS: Final[dict[str, Callable[[io.BytesIO], ImageFile]]] = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "HEIF": pillow_heif.HeifImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
_PREFIXES: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\x00", RAW),
    (b"FOVb", RAW),
    (b"\x00MRM", RAW),
)
_TIFF_PREFIXES: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_HEIF_BRANDS: Final = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
_AVIF_BRANDS: Final = frozenset((b"avif", b"avis"))

_EXIF_ITEM: Final = b"Exif\x00"
"""The type of the EXIF item in an AVIF file's table of contents, with the end of its name."""
_PNG_COMPRESSED_METADATA: Final = frozenset((b"zTXt", b"iTXt", b"iCCP"))

# Pillow warns about damaged tags, which every real library has, and about large images, which are limited here.
# The filters are set once: `warnings.catch_warnings` changes the filters of the whole process, so it is unsafe in
# threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Without this handler, logging's handler of last resort prints the errors that Pillow logs.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# libtiff prints its errors to stderr itself: one for each row of a damaged fax. The decoder's status is enough.
# If Pillow is linked differently than in its wheels, the function is missing and libtiff still prints.
with contextlib.suppress(AttributeError):
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)  # type: ignore[attr-defined]


def format_of(data: bytes) -> str | None:
    """The image format of the first bytes: a key of `_PLUGINS`, "RAW" for a camera's own, or None if unknown."""
    for prefix, name in _PREFIXES:
        if data.startswith(prefix):
            return name
    if data.startswith(_TIFF_PREFIXES):
        return RAW if data[8:10] == b"CR" or is_raw_tiff(data) else "TIFF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _format_of_brands(data)
    return None


def open_container(data: bytes, image_format: str) -> ImageFile:
    """Open the image in `data`: the header is read, the pixels are not.

    Raises the errors of Pillow's plugin for `image_format`.
    """
    plugin = _PLUGINS[image_format]
    try:
        return plugin(io.BytesIO(data))
    except (SyntaxError, ValueError):
        picture = _without_damaged_metadata(data, image_format)
        if picture is None:
            raise
        return plugin(io.BytesIO(picture))


def _without_damaged_metadata(data: bytes, image_format: str) -> bytes | None:
    """The file without metadata that can prevent opening it, or None if no such metadata is found."""
    if image_format == "PNG":
        return b"".join(_needed_png_chunks(data))
    if image_format == "AVIF" and _EXIF_ITEM in data:
        return data.replace(_EXIF_ITEM, b"none\x00", 1)
    return None


def _format_of_brands(data: bytes) -> str | None:
    """The format of an ISO base media file from its brand, or from its compatible brands if that is generic."""
    (box_size,) = struct.unpack(">I", data[:4])
    brands = {data[start : start + 4] for start in range(16, min(box_size, len(data), 256), 4)}
    major = data[8:12]
    if major == b"crx ":
        return RAW
    if major in _AVIF_BRANDS or (major in (b"mif1", b"msf1") and brands & _AVIF_BRANDS):
        return "AVIF"
    return "HEIF" if major in _HEIF_BRANDS else None


def _needed_png_chunks(data: bytes) -> Iterator[bytes]:
    """The chunks of a PNG without damaged metadata and without compressed metadata (it can unpack to gigabytes)."""
    yield data[:8]
    position = 8
    while position + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        chunk = data[position : position + 12 + size]
        is_critical = not kind[0] & 0x20
        if is_critical or (
            kind not in _PNG_COMPRESSED_METADATA and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])
        ):
            yield chunk
        position += 12 + size
