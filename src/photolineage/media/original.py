"""Read an original once, with all facts that the catalog stores about it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final

from blake3 import blake3
from PIL import Image

from photolineage.catalog.vocabulary import TakenAtPrecision, TakenAtSource, UtcOffsetSource, WrittenField
from photolineage.media.capture_time import capture_time
from photolineage.media.decoding import decode_file
from photolineage.media.formats import SUPPORTED_SUFFIXES
from photolineage.media.place import Place, time_zone_at
from photolineage.media.regular_file import open_regular_file, unreadable
from photolineage.media.sidecars import read_sidecars
from photolineage.media.written import Written, combined, place_in

PREVIEW_SHORT_SIDE: Final = 384
"""Pixels of the shorter side of a preview: enough for models of 224 to 384 pixels."""
_HASH_BYTES: Final = 16
_SET_IN_XMP: Final = "XMP "
_READ_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class OriginalImage:
    """The facts and the preview of an original.

    `content_hash` is the BLAKE3 of the file's bytes, 128 bits in hex: four times as fast as SHA-256 with hardware
    support, and long enough for 10¹² files without an expected collision. `width` and `height` are pixels of the
    upright original; `orientation` is EXIF's, as stored (1 to 8). `taken_at` is aware, in UTC; if only the day, the
    month or the year is known (`taken_at_precision`), it is the noon of its first day. `utc_offset_minutes` and
    `time_zone` (an IANA name, from GPS) are None if unknown. `lost_share`: the share of a damaged picture that could
    not be decoded, 0 to 1; None if the picture is whole. `quality` is `picture_quality`, 0 to 1. `written` is what
    people wrote in the image's sidecars and in the file; of the times, only the one that is used. `preview` is an
    upright sRGB JPEG without metadata, scaled to `PREVIEW_SHORT_SIDE` as by `decode_upright`; `perceptual_hash` is its
    hash.
    """

    content_hash: str
    size_bytes: int
    format: str
    width: int
    height: int
    orientation: int
    taken_at: datetime
    taken_at_source: TakenAtSource
    taken_at_precision: TakenAtPrecision
    utc_offset_minutes: int | None
    utc_offset_source: UtcOffsetSource | None
    time_zone: str | None
    latitude: float | None
    longitude: float | None
    altitude_m: float | None
    camera: str | None
    lost_share: float | None
    quality: float
    written: tuple[Written, ...]
    perceptual_hash: int
    preview: bytes

    @property
    def truncated(self) -> bool:
        """Whether the file is damaged, so that only a part of the picture could be decoded."""
        return self.lost_share is not None


def read_original(
    path: str | bytes | os.PathLike[str], *, assumed_time_zone: str = "UTC", sidecars: Sequence[str] = ()
) -> OriginalImage:
    """Read the original at `path` once. It is decoded in a process of its own.

    `assumed_time_zone` is the IANA name of the zone for times without an offset and without a place. `sidecars` are
    the names of the files beside it that say something about it, the most trustworthy first.
    Raises UnreadableImageError if the file cannot be read as an image.
    """
    file_name = PurePath(os.fsdecode(path)).name
    with open_regular_file(path) as (descriptor, status):
        decoded = decode_file(
            descriptor,
            short_side=PREVIEW_SHORT_SIDE,
            as_preview=True,
            named_as_image=PurePath(file_name).suffix.lower() in SUPPORTED_SUFFIXES,
        )
    assert decoded.quality is not None
    beside = read_sidecars(os.path.dirname(os.fsdecode(path)), sidecars) if sidecars else []
    written = combined([*beside, ("", decoded.exif.written)])
    place = _place(decoded.exif.place, written)
    assert decoded.perceptual_hash is not None
    time_zone = time_zone_at(place) if place else None
    time = capture_time(
        decoded.exif,
        file_name,
        status.st_mtime_ns,
        time_zone=time_zone,
        assumed_time_zone=assumed_time_zone,
        now=datetime.now(UTC),
        written=written,
    )
    return OriginalImage(
        content_hash=decoded.content_hash,
        size_bytes=decoded.size_bytes,
        format=decoded.format,
        width=decoded.width,
        height=decoded.height,
        orientation=decoded.exif.orientation,
        taken_at=time.taken_at,
        taken_at_source=time.source,
        taken_at_precision=time.precision,
        utc_offset_minutes=time.utc_offset_minutes,
        utc_offset_source=time.utc_offset_source,
        time_zone=time_zone,
        latitude=place.latitude if place else None,
        longitude=place.longitude if place else None,
        altitude_m=place.altitude_m if place else None,
        camera=decoded.exif.camera,
        lost_share=decoded.lost_share,
        quality=decoded.quality,
        written=tuple(one for one in written if one.field is not WrittenField.TIME or one is time.written),
        perceptual_hash=decoded.perceptual_hash,
        preview=decoded.picture,
    )


def _place(in_exif: Place | None, written: Sequence[Written]) -> Place | None:
    """The place that somebody set in a sidecar, else that of the GPS receiver, else any other.

    Takeout's place may be a guess, so the receiver's comes first.
    """
    found = place_in(written)
    if found is None:
        return in_exif
    statement, place = found
    is_set = bool(statement.origin) and statement.key.startswith(_SET_IN_XMP)
    return place if is_set or in_exif is None else in_exif


def open_picture(
    path: str | bytes | os.PathLike[str], short_side: int, *, expected_hash: str | None = None
) -> Image.Image:
    """The picture in a file, scaled as by `decode_upright`. The file is read once, and decoded as by `read_original`.

    Raises UnreadableImageError, and ChangedOriginalError if the content hash is not `expected_hash`.
    """
    with open_regular_file(path) as (descriptor, _status):
        decoded = decode_file(descriptor, short_side=short_side, expected_hash=expected_hash)
    return Image.frombytes("RGB", decoded.picture_size, decoded.picture)


def content_hash(data: bytes) -> str:
    """The BLAKE3 of `data`, 128 bits as 32 hex digits."""
    return blake3(data).hexdigest(length=_HASH_BYTES)


def hash_content(descriptor: int, on_read: Callable[[int], None] | None = None) -> str:
    """The `content_hash` of an open file, read from the disk and not from the system's cache, one MiB at a time.

    `on_read` gets the number of bytes after each read; it may wait. Raises UnreadableImageError.
    """
    hashed = blake3()
    try:
        _forget_cached(descriptor)
        offset = 0
        while data := os.pread(descriptor, _READ_BYTES, offset):
            hashed.update(data)
            offset += len(data)
            if on_read is not None:
                on_read(len(data))
        _forget_cached(descriptor)
    except OSError as error:
        raise unreadable(error) from error
    return hashed.hexdigest(length=_HASH_BYTES)


def _forget_cached(descriptor: int) -> None:
    """Let the system read the file from its disk the next time. macOS has no such call."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
