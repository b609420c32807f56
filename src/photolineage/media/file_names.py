"""Read the time that cameras, phones and messengers write into a file's name."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Final

# 20230714_183012, 2023-07-14 18.30.12, 2023-07-14-18-30-12-123, 2023-07-14 at 6.30.12 PM, 20230714183012345
_DATE_AND_TIME = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<separator>[-_.:]?)(?P<month>\d\d)(?P=separator)(?P<day>\d\d)"
    r"(?:[-_. T]|[ _]at[ _]|, )*"
    r"(?P<hour>\d{1,2})(?P<colon>[-_.:]?)(?P<minute>\d\d)(?P=colon)(?P<second>\d\d)"
    r"(?:[-_.]?(?P<millisecond>\d{3}))?(?!\d)(?:[ \u202f_]?(?P<half>[AaPp])[Mm]\b)?",
    re.ASCII,
)
_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<separator>[-_.]?)(?P<month>\d\d)(?P=separator)(?P<day>\d\d)(?!\d)",
    re.ASCII,
)
_UNIX_MILLISECONDS = re.compile(r"(?<!\d)(1\d{12})(?!\d)", re.ASCII)
_NOON: Final = time(12)


def time_in_file_name(name: str) -> datetime | None:
    """The time in the name, or None. It is aware if the pattern is in UTC, else naive. A date alone means noon."""
    for pattern, time_of in _PATTERNS:
        for match in pattern.finditer(name):
            try:
                return time_of(match)
            except ValueError:  # the digits only look like a date
                continue
    return None


def _date_and_time(match: re.Match[str]) -> datetime:
    hour = int(match["hour"])
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"{hour} is not an hour of a 12-hour clock")
        hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    clock = time(hour, int(match["minute"]), int(match["second"]), int(match["millisecond"] or 0) * 1000)
    is_utc = match.string.startswith("PXL_")  # of the common cameras, only Google's names files in UTC
    return datetime.combine(_day(match), clock, UTC if is_utc else None)


def _date(match: re.Match[str]) -> datetime:
    return datetime.combine(_day(match), _NOON)


def _day(match: re.Match[str]) -> date:
    return date(int(match["year"]), int(match["month"]), int(match["day"]))


def _unix_milliseconds(match: re.Match[str]) -> datetime:
    return datetime.fromtimestamp(int(match[1]) / 1000, UTC)


_PATTERNS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], datetime]], ...]] = (
    (_DATE_AND_TIME, _date_and_time),
    (_UNIX_MILLISECONDS, _unix_milliseconds),
    (_DATE, _date),
)
