"""Read the dates and times that cameras and programs write, also incomplete ones."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from photolineage.catalog.vocabulary import TIMES_OF_DAY, TakenAtPrecision

_MAX_OFFSET: Final = timedelta(hours=14)
_OFFSET: Final = re.compile(r"\s*(?:(Z)|([+-])(\d{1,2}):?(\d{2}))\s*$", re.ASCII)

# Programs separate the fields by one of these signs, and some write " 8" instead of "08".
_YEAR, _FIELD, _CLOCK_FIELD = r"(\d{4})", r"[:/.-]\s?(\d{1,2})", r":\s?(\d{1,2})"
_DATE = _YEAR + _FIELD + _FIELD
_ZONE = r"\s*(Z|[+-]\d{1,2}:?\d{2})?\s*$"
_SECOND_FORM: Final = re.compile(
    rf"{_DATE}[ T]+(\d{{1,2}}){_CLOCK_FIELD}{_CLOCK_FIELD}(?:\.(\d{{1,9}}))?{_ZONE}", re.ASCII
)
_MINUTE_FORM: Final = re.compile(rf"{_DATE}[ T]+(\d{{1,2}}){_CLOCK_FIELD}[:\s]*?{_ZONE}", re.ASCII)

# EXIF says: fields that are unknown are blank. Some programs write zeros instead.
_NO_FIELD = r"(?:[:/.-]\s*(?:00?)?)?"
_NO_CLOCK = r"(?:[T:\s]*|[T\s]+00:00(?::00)?\s*)$"
_DAY_FORM: Final = re.compile(rf"{_DATE}[T:\s]*$", re.ASCII)
_MONTH_FORM: Final = re.compile(rf"{_YEAR}{_FIELD}{_NO_FIELD}{_NO_CLOCK}", re.ASCII)
_YEAR_FORM: Final = re.compile(rf"{_YEAR}{_NO_FIELD}{_NO_FIELD}{_NO_CLOCK}", re.ASCII)
_NOON: Final = 12


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """A time as it was written: aware if it has an offset, else naive.

    If less than the minute is known, `time` is the noon of the day, or of the first day of the month or year.
    `borrowed_offset` is the offset of another time of the same file that reads the same.
    """

    time: datetime
    precision: TakenAtPrecision = TakenAtPrecision.SECOND
    borrowed_offset: timezone | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the time of day is known."""
        return self.precision in TIMES_OF_DAY

    def contains(self, other: datetime) -> bool:
        """Whether the other time is in the same second, minute, day, month or year, whichever this one gives.

        Offsets are ignored.
        """
        parts = {
            TakenAtPrecision.YEAR: 1,
            TakenAtPrecision.MONTH: 2,
            TakenAtPrecision.DAY: 3,
            TakenAtPrecision.MINUTE: 5,
        }
        known = parts.get(self.precision, 6)
        return self.time.timetuple()[:known] == other.timetuple()[:known]


def parse_written_time(text: str, subseconds: str = "", offset: str = "") -> WrittenTime | None:
    """A time as EXIF or XMP has it, with fraction and offset. None if no date is in it, or an impossible one.

    An hour 24 is the first hour of the same day: phones that count the hours from 1 to 24 write it after midnight.
    A second 60 is the first second of the next minute.
    """
    text = text.strip("\0 \t\r\n")
    for form, time_of in _FORMS:
        match = form.match(text)
        if match is not None:
            try:
                return time_of(match, subseconds, offset)
            except ValueError:  # zeros for unknown fields, or a date that does not exist
                continue
    return None


def parse_offset(text: str) -> timezone | None:
    """An offset such as "+02:00", "-0530" or "Z". None if it is missing or impossible."""
    match = _OFFSET.match(text)
    if match is None:
        return None
    utc, sign, hours, minutes = match.groups()
    if utc:
        return UTC
    distance = timedelta(hours=int(hours), minutes=int(minutes))
    if distance > _MAX_OFFSET:
        return None
    return timezone(-distance if sign == "-" else distance)


def _to_the_second(match: re.Match[str], subseconds: str, offset: str) -> WrittenTime:
    *fields, fraction, own_offset = match.groups()
    digits = re.match(r"\d*", fraction or subseconds.strip(), re.ASCII)
    microsecond = int((digits.group() if digits else "").ljust(6, "0")[:6])
    time = _at(*map(int, fields)).replace(microsecond=microsecond)
    return WrittenTime(time.replace(tzinfo=parse_offset(own_offset or offset)))


def _to_the_minute(match: re.Match[str], _subseconds: str, offset: str) -> WrittenTime:
    *fields, own_offset = match.groups()
    time = _at(*map(int, fields))
    return WrittenTime(time.replace(tzinfo=parse_offset(own_offset or offset)), TakenAtPrecision.MINUTE)


def _at(year: int, month: int, day: int, hour: int, minute: int, second: int = 0) -> datetime:
    is_leap = second == 60
    time = datetime(year, month, day, 0 if hour == 24 else hour, minute, 59 if is_leap else second)  # noqa: DTZ001
    return time + timedelta(seconds=1) if is_leap else time


def _noon(precision: TakenAtPrecision) -> Callable[[re.Match[str], str, str], WrittenTime]:
    def noon(match: re.Match[str], _subseconds: str, offset: str) -> WrittenTime:
        year, month, day = ([int(field) for field in match.groups()] + [1, 1])[:3]
        return WrittenTime(datetime(year, month, day, _NOON, tzinfo=parse_offset(offset)), precision)

    return noon


_FORMS: Final = (
    (_SECOND_FORM, _to_the_second),
    (_MINUTE_FORM, _to_the_minute),
    (_DAY_FORM, _noon(TakenAtPrecision.DAY)),
    (_MONTH_FORM, _noon(TakenAtPrecision.MONTH)),
    (_YEAR_FORM, _noon(TakenAtPrecision.YEAR)),
)
