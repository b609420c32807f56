"""One original, read from its disk once: everything that the catalog wants to know about it."""

import errno
import io
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final

from blake3 import blake3
from PIL import Image

from photolineage.catalog.vocabulary import FailureReason, TakenAtSource
from photolineage.media.capture_time import capture_time
from photolineage.media.containers import SUPPORTED_SUFFIXES, format_of
from photolineage.media.decode import decode
from photolineage.media.errors import ChangedOriginalError, UnreadableImageError
from photolineage.media.place import time_zone_at
from photolineage.media.quality import picture_quality

PREVIEW_SHORT_SIDE: Final = 384
"""Pixels of the shorter side of a preview, enough for the models of 224 to 384 pixels."""
MAX_FILE_BYTES: Final = 2**30
"""1 GiB, above the largest originals of cameras and scanners (a TIFF of 100 megapixels, 16 bits: 600 MB)."""
_PREVIEW_ENCODING: Final = {"quality": 85, "subsampling": "4:4:4"}
"""As many bytes as quality 90 with halved colour resolution, and 3 to 4 dB closer to the original."""
_HASH_BYTES: Final = 16

_REASON_OF_ERRNO: Final = {
    errno.ENOENT: FailureReason.VANISHED,
    errno.ENOTDIR: FailureReason.VANISHED,
    errno.EACCES: FailureReason.PERMISSION_DENIED,
    errno.EPERM: FailureReason.PERMISSION_DENIED,
    errno.EISDIR: FailureReason.UNSUPPORTED,
    errno.ENXIO: FailureReason.UNSUPPORTED,  # a socket
}


@dataclass(frozen=True, slots=True)
class OriginalImage:
    """What one reading of an original yields.

    `content_hash` is the BLAKE3 of the file's bytes, 128 bits in hex: four times as fast as SHA-256 with a
    processor's own instructions for it, and long enough that no two of 10¹² files are expected to share one.
    `width` and `height` are upright pixels of the original, `orientation` is EXIF's as stored (1 to 8).
    `taken_at` is aware UTC; `utc_offset_minutes` and `time_zone` (an IANA name, by GPS) are None if unknown.
    `truncated` images were decoded as far as they go. `quality` is how sharp and level the picture is, 0 to 1
    (`picture_quality`). `preview` is an upright sRGB JPEG without metadata, scaled as `decode_upright` does to
    `PREVIEW_SHORT_SIDE`.
    """

    content_hash: str
    size_bytes: int
    format: str
    width: int
    height: int
    orientation: int
    taken_at: datetime
    taken_at_source: TakenAtSource
    utc_offset_minutes: int | None
    time_zone: str | None
    latitude: float | None
    longitude: float | None
    altitude_m: float | None
    camera: str | None
    truncated: bool
    quality: float
    preview: bytes


def read_original(path: str | bytes | os.PathLike[str], *, assumed_time_zone: str = "UTC") -> OriginalImage:
    """Everything about the original at `path`, from one reading of its bytes.

    `assumed_time_zone` is the IANA name of the zone of a time that comes without offset and without a place.
    Raises `UnreadableImageError` for whatever is wrong with the file.
    """
    data, modified_ns = _read_bytes(path)
    file_name = PurePath(os.fsdecode(path)).name
    _refuse_unknown_format(data, file_name)
    decoded = decode(data, short_side=PREVIEW_SHORT_SIDE)
    place = decoded.exif.place
    time_zone = time_zone_at(place) if place else None
    time = capture_time(
        decoded.exif,
        file_name,
        modified_ns,
        time_zone=time_zone,
        assumed_time_zone=assumed_time_zone,
        now=datetime.now(UTC),
    )
    return OriginalImage(
        content_hash=content_hash(data),
        size_bytes=len(data),
        format=decoded.format,
        width=decoded.width,
        height=decoded.height,
        orientation=decoded.exif.orientation,
        taken_at=time.taken_at,
        taken_at_source=time.source,
        utc_offset_minutes=time.utc_offset_minutes,
        time_zone=time_zone,
        latitude=place.latitude if place else None,
        longitude=place.longitude if place else None,
        altitude_m=place.altitude_m if place else None,
        camera=decoded.exif.camera,
        truncated=decoded.truncated,
        quality=picture_quality(decoded.image),
        preview=_preview(decoded.image),
    )


def open_original(path: str | bytes | os.PathLike[str], expected_hash: str, short_side: int) -> Image.Image:
    """The original's picture, as `decode_upright` scales it, from one reading of its bytes.

    Raises `ChangedOriginalError` where they are no longer those of `expected_hash`, `UnreadableImageError`
    where there is no picture.
    """
    data, _ = _read_bytes(path)
    found = content_hash(data)
    if found != expected_hash:
        raise ChangedOriginalError(expected_hash, found)
    return decode(data, short_side=short_side).image


def content_hash(data: bytes) -> str:
    """The BLAKE3 of `data`, 128 bits as 32 hex digits."""
    return blake3(data).hexdigest(length=_HASH_BYTES)


def _read_bytes(path: str | bytes | os.PathLike[str]) -> tuple[bytes, int]:
    """The file's bytes, and its modification time in nanoseconds."""
    try:
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImageError(FailureReason.UNSUPPORTED, "not a regular file")
            _refuse_too_many_bytes(status.st_size)
            data = file.read()
    except OSError as error:
        reason = _REASON_OF_ERRNO.get(error.errno or 0, FailureReason.UNREADABLE)
        raise UnreadableImageError(reason, error.strerror or str(error)) from error
    _refuse_too_many_bytes(len(data))
    if not data:
        raise UnreadableImageError(FailureReason.EMPTY, "the file has no bytes")
    return data, status.st_mtime_ns


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe would otherwise keep its reader waiting until somebody writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _refuse_too_many_bytes(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise UnreadableImageError(
            FailureReason.TOO_LARGE, f"{size:,} bytes are more than the limit of {MAX_FILE_BYTES:,}"
        )


def _refuse_unknown_format(data: bytes, file_name: str) -> None:
    """Bytes of no known format are damage in a file that is named as an image, and no image in any other."""
    if format_of(data) is not None:
        return
    is_named_as_image = PurePath(file_name).suffix.lower() in SUPPORTED_SUFFIXES
    reason = FailureReason.CORRUPT if is_named_as_image else FailureReason.UNSUPPORTED
    raise UnreadableImageError(reason, f"no known image format begins with the bytes {data[:16]!r}")


def _preview(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **_PREVIEW_ENCODING)
    return buffer.getvalue()
