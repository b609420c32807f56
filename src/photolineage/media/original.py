"""Read an original once, with all facts that the catalog stores about it."""

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
from photolineage.media.decode import decode
from photolineage.media.errors import ChangedOriginalError, UnreadableImageError
from photolineage.media.formats import SUPPORTED_SUFFIXES, format_of
from photolineage.media.place import time_zone_at
from photolineage.media.quality import picture_quality

PREVIEW_SHORT_SIDE: Final = 384
"""Pixels of the shorter side of a preview: enough for models of 224 to 384 pixels."""
MAX_FILE_BYTES: Final = 2**30
"""1 GiB: more than the largest originals have (a TIFF of 100 megapixels with 16 bits has 600 MB)."""
_PREVIEW_ENCODING: Final = {"quality": 85, "subsampling": "4:4:4"}
"""The same size as quality 90 with halved colour resolution, but 3 to 4 dB closer to the original."""
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
    """The facts and the preview of an original.

    `content_hash` is the BLAKE3 of the file's bytes, 128 bits in hex: four times as fast as SHA-256 with hardware
    support, and long enough for 10¹² files without an expected collision. `width` and `height` are pixels of the
    upright original; `orientation` is EXIF's, as stored (1 to 8). `taken_at` is aware, in UTC. `utc_offset_minutes`
    and `time_zone` (an IANA name, from GPS) are None if unknown. `truncated`: only the first part of the image could
    be decoded. `quality` is `picture_quality`, 0 to 1. `preview` is an upright sRGB JPEG without metadata, scaled to
    `PREVIEW_SHORT_SIDE` as by `decode_upright`.
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
    """Read the original at `path` once.

    `assumed_time_zone` is the IANA name of the zone for times without an offset and without a place.
    Raises UnreadableImageError if the file cannot be read as an image.
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
    """The original's picture, scaled as by `decode_upright`. The file is read once.

    Raises ChangedOriginalError if the content hash is not `expected_hash`, and UnreadableImageError.
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
        raise UnreadableImageError(FailureReason.EMPTY, "the file is empty")
    return data, status.st_mtime_ns


def _open_without_waiting(path: str, flags: int) -> int:
    """Open without blocking: opening a pipe would otherwise wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _refuse_too_many_bytes(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise UnreadableImageError(
            FailureReason.TOO_LARGE, f"{size:,} bytes exceed the limit of {MAX_FILE_BYTES:,}"
        )


def _refuse_unknown_format(data: bytes, file_name: str) -> None:
    """Refuse an unknown format: as corrupt if the file is named like an image, else as unsupported."""
    if format_of(data) is not None:
        return
    is_named_as_image = PurePath(file_name).suffix.lower() in SUPPORTED_SUFFIXES
    reason = FailureReason.CORRUPT if is_named_as_image else FailureReason.UNSUPPORTED
    raise UnreadableImageError(reason, f"no known image format begins with the bytes {data[:16]!r}")


def _preview(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **_PREVIEW_ENCODING)
    return buffer.getvalue()
