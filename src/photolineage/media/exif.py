"""Read the facts in a photo's EXIF. Damaged EXIF raises no error."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta, timezone
from typing import Final

from PIL import ExifTags, Image

from photolineage.catalog.vocabulary import TakenAtPrecision
from photolineage.media.embedded import of_the_file, written_in_exif
from photolineage.media.place import Place, has_fix, place_of_gps
from photolineage.media.written import Written
from photolineage.media.written_time import WrittenTime, parse_written_time

Directory = Image.Exif | Mapping[int, object]
"""Values by the number of their tag."""

_logger = logging.getLogger(__name__)

_EMPTY: Final[Mapping[int, object]] = {}
_MAX_CAMERA_LENGTH: Final = 128
_TIME_TAGS: Final = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.SubsecTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.SubsecTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
    (ExifTags.Base.DateTime, ExifTags.Base.SubsecTime, ExifTags.Base.OffsetTime),
)


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """`times` are from the camera's clock, the time of the exposure first. `gps_time` is in UTC.

    `orientation` is 1 to 8. `written` is what people wrote in the file, also outside EXIF.
    """

    orientation: int = 1
    camera: str | None = None
    times: tuple[WrittenTime, ...] = ()
    gps_time: WrittenTime | None = None
    place: Place | None = None
    written: tuple[Written, ...] = ()


def read_exif(exif: Image.Exif) -> ExifFacts:
    """The facts in `exif`. Damaged and impossible values are left out."""
    return facts_of_directories(
        exif, _directory(exif, ExifTags.IFD.Exif), _directory(exif, ExifTags.IFD.GPSInfo)
    )


def facts_of_directories(base: Directory, camera_ifd: Directory, gps_ifd: Directory) -> ExifFacts:
    """The facts in EXIF's three directories: of the image, of the exposure, and of the GPS receiver."""
    gps = {tag: _value(gps_ifd, tag) for tag in gps_ifd}
    believed = has_fix(gps)
    return ExifFacts(
        orientation=stored_orientation(base),
        camera=_camera(_text(base, ExifTags.Base.Make), _text(base, ExifTags.Base.Model)),
        times=tuple(_camera_times(base, camera_ifd)),
        gps_time=_gps_time(gps) if believed else None,
        place=place_of_gps(gps) if believed else None,
        written=of_the_file(written_in_exif(base, camera_ifd)),
    )


def stored_orientation(exif: Directory) -> int:
    """The orientation tag, 1 to 8. It is 1 if the tag is missing or invalid."""
    orientation = _value(exif, ExifTags.Base.Orientation)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _directory(exif: Image.Exif, tag: int) -> Directory:
    try:
        return exif.get_ifd(tag)
    except Exception:  # Pillow's parser raises a dozen kinds of errors on damaged directories
        _logger.debug("EXIF directory %#x is damaged", tag, exc_info=True)
        return _EMPTY


def _value(directory: Directory, tag: int) -> object:
    try:
        return directory.get(tag)
    except Exception:  # Pillow parses a value when it is first read
        _logger.debug("EXIF tag %#x is damaged", tag, exc_info=True)
        return None


def _text(directory: Directory, tag: int) -> str:
    """The tag's text up to the first NUL, without control characters. Empty if the tag is missing or not text."""
    value = _value(directory, tag)
    if isinstance(value, str):
        value = value.encode(
            "latin-1", "replace"
        )  # today's cameras write UTF-8, and Pillow decodes it as Latin-1
    if not isinstance(value, bytes):
        return ""
    raw = value.lstrip(b"\0").split(b"\0", 1)[0]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(letter for letter in text if letter.isprintable()).strip()


def _camera(make: str, model: str) -> str | None:
    """Make and model, as in "Canon EOS 40D". The make is left out if the model begins with one of its words."""
    words = {word.strip(".,").casefold() for word in make.split()}
    first = model.split(maxsplit=1)[0].casefold() if model else ""
    name = model if first in words else f"{make} {model}"
    return " ".join(name.split())[:_MAX_CAMERA_LENGTH] or None


def _camera_times(base: Directory, camera_ifd: Directory) -> list[WrittenTime]:
    """The times, each from the directory where it belongs, else from the other one."""
    times = []
    for time_tag, subsecond_tag, offset_tag in _TIME_TAGS:
        subseconds, offset = _text(camera_ifd, subsecond_tag), _text(camera_ifd, offset_tag)
        for directory in (base, camera_ifd) if time_tag == ExifTags.Base.DateTime else (camera_ifd, base):
            time = parse_written_time(_text(directory, time_tag), subseconds, offset)
            if time is not None:
                times.append(time)
                break
    return [_with_borrowed_offset(time, times) for time in times]


def _with_borrowed_offset(time: WrittenTime, others: Sequence[WrittenTime]) -> WrittenTime:
    """The time with the offset of another one that reads the same to the second, if it has no offset itself."""
    if time.time.tzinfo is not None or not time.is_exact:
        return time
    reading = time.time.replace(microsecond=0)
    for other in others:
        offset = other.time.tzinfo
        if isinstance(offset, timezone) and other.time.replace(microsecond=0, tzinfo=None) == reading:
            return replace(time, borrowed_offset=offset)
    return time


def _gps_time(gps_ifd: Directory) -> WrittenTime | None:
    """The time of the GPS receiver, in UTC. Without a time of day, it is the day."""
    day = parse_written_time(_text(gps_ifd, ExifTags.GPS.GPSDateStamp))
    if day is None or day.precision != TakenAtPrecision.DAY:
        return None
    midnight = day.time.replace(hour=0, tzinfo=UTC)
    clock = _value(gps_ifd, ExifTags.GPS.GPSTimeStamp)
    if clock is None:
        return WrittenTime(day.time.replace(tzinfo=UTC), TakenAtPrecision.DAY)
    if not isinstance(clock, tuple) or len(clock) != 3:
        return None
    try:
        hours, minutes, seconds = (float(part) for part in clock)
        if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):
            return None
        return WrittenTime(midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds))
    except (ArithmeticError, TypeError, ValueError):
        return None
