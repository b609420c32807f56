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
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PsdImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from photolineage.media.headers import readable_header
from photolineage.media.tiff_pages import is_raw_tiff

# fmt: off
RAW_SUFFIXES: Final = frozenset(
    (
        ".3fr", ".arw", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc",
        ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw",
        ".x3f",
    )
)
SUPPORTED_SUFFIXES: Final = RAW_SUFFIXES | frozenset(
    (
        ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heics", ".heif", ".heifs", ".hif", ".insp", ".j2c",
        ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpeg_large", ".jpf", ".jpg", ".jpg-large", ".jpg:large",
        ".jpg_large", ".jps", ".jpx", ".jxl", ".mpo", ".png", ".png-large", ".png:large", ".png_large", ".psd",
        ".tif", ".tiff", ".webp",
    )
)
# fmt: on
"""The suffixes of the files to read, in lower case and with the dot."""

RAW: Final = "RAW"
JPEG_XL: Final = "JXL"
HEAD_BYTES: Final = 64
"""Enough for `format_of` to name a format, but not always to tell a raw file from a TIFF."""


_HEIF_IMAGE_FILE: Final[Callable[[io.BytesIO], ImageFile]] = pillow_heif.HeifImageFile


def _open_heif(file: io.BytesIO) -> ImageFile:
    """A photo of some phones and of image editors has more than libheif's 1,000 items.

    The memory and the time of a decoder have their own limits.
    """
    try:
        return _HEIF_IMAGE_FILE(file)
    except Exception as error:
        if "security limit of 1000 items" not in str(error):
            raise
    pillow_heif.options.DISABLE_SECURITY_LIMITS = True
    try:
        file.seek(0)
        return _HEIF_IMAGE_FILE(file)
    finally:
        pillow_heif.options.DISABLE_SECURITY_LIMITS = False


# The plugins are called directly: `Image.open` has one limit of pixels for the whole process, and that limit is
# below the sensors of today's phones (200 megapixels).
_PLUGINS: Final[dict[str, Callable[[io.BytesIO], ImageFile]]] = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "HEIF": _open_heif,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PSD": PsdImagePlugin.PsdImageFile,
}
_PREFIXES: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\r\n\xff\xd8\xff", "JPEG"),  # behind the header of a web server's answer
    (b"\n\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\xff\x0a", JPEG_XL),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", JPEG_XL),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"8BPS\x00\x01", "PSD"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\x00", RAW),
    (b"FOVb", RAW),
    (b"\x00MRM", RAW),
    (b"II\x1a\x00\x00\x00HEAPCCDR", RAW),
)
_BMP_HEADERS: Final = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
"""The sizes of the headers of a BMP's bitmap, since OS/2 1.x. The letters "BM" alone begin many texts."""
_SHORT_BMP_HEADER, _LONG_BMP_HEADER = 16, 40
_PHASE_ONE: Final = (b"IIII", b"MMMM")
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


def beginning_of(data: bytes) -> str:
    """How a file begins: as text, or else as hexadecimal numbers, between which a page can break the line."""
    text = data[:16].decode("ascii", "replace")
    return f"“{text}”" if text.isascii() and text.isprintable() else f"the bytes {data[:16].hex(' ')}"


def format_of(data: bytes) -> str | None:
    """The image format of the first bytes: a key of `_PLUGINS`, `JPEG_XL`, `RAW` for a camera's own, or None."""
    for prefix, name in _PREFIXES:
        if data.startswith(prefix):
            return name
    if data[:2] == b"BM" and data[14:18] and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if data.startswith(_TIFF_PREFIXES):
        return RAW if data[8:10] == b"CR" or data[8:12] in _PHASE_ONE or is_raw_tiff(data) else "TIFF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _format_of_brands(data)
    return None


def open_container(data: bytes, image_format: str) -> ImageFile:
    """Open the image in `data`: the header is read, the pixels are not.

    Raises UnreadableImageError, and the errors of Pillow's plugin for `image_format`.
    """
    plugin = _PLUGINS[image_format]
    data = _with_long_header(data) if image_format == "BMP" else readable_header(data, image_format)
    try:
        return plugin(io.BytesIO(data))
    except (SyntaxError, ValueError):
        picture = _without_damaged_metadata(data, image_format)
        if picture is None:
            raise
        return plugin(io.BytesIO(picture))


def _with_long_header(data: bytes) -> bytes:
    """A BMP of OS/2 2.x may leave out the end of its header, which Pillow needs."""
    if int.from_bytes(data[14:18], "little") != _SHORT_BMP_HEADER:
        return data
    (offset,) = struct.unpack_from("<I", data, 10)
    more = _LONG_BMP_HEADER - _SHORT_BMP_HEADER
    start = data[:10] + struct.pack("<II", offset + more, _LONG_BMP_HEADER) + data[18:30]
    return start + bytes(more) + data[30:]


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
        if not kind.isalpha():
            return
        is_critical = not kind[0] & 0x20
        if is_critical or (
            kind not in _PNG_COMPRESSED_METADATA and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])
        ):
            yield chunk
        position += 12 + size
