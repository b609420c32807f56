"""Read the facts in a photo's EXIF. Damaged EXIF raises no error."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from PIL import ExifTags, Image

from photolineage.media.place import Place, place_of_gps

_logger = logging.getLogger(__name__)

_EMPTY: Final[Mapping[int, object]] = {}
_MAX_CAMERA_LENGTH: Final = 128
_MAX_OFFSET: Final = timedelta(hours=14)
_DATE_TIME = re.compile(
    r"(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})[ T]+(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,9}))?"
    r"\s*(Z|[+-]\d{1,2}:?\d{2})?\s*$",
    re.ASCII,
)
_OFFSET = re.compile(r"\s*(?:(Z)|([+-])(\d{1,2}):?(\d{2}))\s*$", re.ASCII)
_TIME_TAGS: Final = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.SubsecTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.SubsecTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
    (ExifTags.Base.DateTime, ExifTags.Base.SubsecTime, ExifTags.Base.OffsetTime),
)


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """`times` are from the camera's clock, the time of the exposure first. They are naive if EXIF has no offset.

    `gps_time` is aware, in UTC. `orientation` is 1 to 8.
    """

    orientation: int = 1
    camera: str | None = None
    times: tuple[datetime, ...] = ()
    gps_time: datetime | None = None
    place: Place | None = None


def read_exif(exif: Image.Exif) -> ExifFacts:
    """The facts in `exif`. Damaged and impossible values are left out."""
    camera_ifd, gps_ifd = _directory(exif, ExifTags.IFD.Exif), _directory(exif, ExifTags.IFD.GPSInfo)
    return ExifFacts(
        orientation=stored_orientation(exif),
        camera=_camera(_text(exif, ExifTags.Base.Make), _text(exif, ExifTags.Base.Model)),
        times=tuple(_camera_times(exif, camera_ifd)),
        gps_time=_gps_time(gps_ifd),
        place=place_of_gps({tag: _value(gps_ifd, tag) for tag in gps_ifd}),
    )


def stored_orientation(exif: Image.Exif) -> int:
    """The orientation tag, 1 to 8. It is 1 if the tag is missing or invalid."""
    orientation = _value(exif, ExifTags.Base.Orientation)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def parse_exif_time(text: str, subseconds: str = "", offset: str = "") -> datetime | None:
    """An EXIF time with fraction and offset. Naive if the offset is missing or impossible; None if it is invalid."""
    match = _DATE_TIME.match(text.strip())
    if match is None:
        return None
    *fields, fraction, own_offset = match.groups()
    digits = re.match(r"\d*", fraction or subseconds.strip(), re.ASCII)
    microsecond = int((digits.group() if digits else "").ljust(6, "0")[:6])
    try:
        return datetime(*map(int, fields), microsecond, tzinfo=_time_zone(own_offset or offset))  # type: ignore[misc, arg-type]
    except ValueError:
        return None


def _directory(exif: Image.Exif, tag: int) -> Mapping[int, object]:
    try:
        return exif.get_ifd(tag)
    except Exception:  # Pillow's parser raises a dozen kinds of errors on damaged directories
        _logger.debug("EXIF directory %#x is damaged", tag, exc_info=True)
        return _EMPTY


def _value(directory: Image.Exif | Mapping[int, object], tag: int) -> object:
    try:
        return directory.get(tag)
    except Exception:  # Pillow parses a value when it is first read
        _logger.debug("EXIF tag %#x is damaged", tag, exc_info=True)
        return None


def _text(directory: Image.Exif | Mapping[int, object], tag: int) -> str:
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


def _camera_times(exif: Image.Exif, camera_ifd: Mapping[int, object]) -> Iterator[datetime]:
    for time_tag, subsecond_tag, offset_tag in _TIME_TAGS:
        directory = exif if time_tag == ExifTags.Base.DateTime else camera_ifd
        time = parse_exif_time(
            _text(directory, time_tag), _text(camera_ifd, subsecond_tag), _text(camera_ifd, offset_tag)
        )
        if time is not None:
            yield time


def _gps_time(gps_ifd: Mapping[int, object]) -> datetime | None:
    date = re.fullmatch(
        r"(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})", _text(gps_ifd, ExifTags.GPS.GPSDateStamp), re.ASCII
    )
    clock = _value(gps_ifd, ExifTags.GPS.GPSTimeStamp)
    if date is None or not isinstance(clock, tuple) or len(clock) != 3:
        return None
    try:
        hours, minutes, seconds = (float(part) for part in clock)
        if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):
            return None
        midnight = datetime(*map(int, date.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
        return midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    except (ArithmeticError, TypeError, ValueError):
        return None


def _time_zone(offset: str) -> timezone | None:
    match = _OFFSET.match(offset)
    if match is None:
        return None
    utc, sign, hours, minutes = match.groups()
    if utc:
        return UTC
    distance = timedelta(hours=int(hours), minutes=int(minutes))
    if distance > _MAX_OFFSET:
        return None
    return timezone(-distance if sign == "-" else distance)
