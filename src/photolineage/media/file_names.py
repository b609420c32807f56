"""Read the time that cameras, phones and messengers write into a file's name."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Final

from photolineage.catalog.vocabulary import TakenAtPrecision
from photolineage.media.written_time import WrittenTime, parse_offset

_YEAR_FIRST = r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<dash>[-_.:]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
_DAY_FIRST = r"(?<!\d)(?P<day>\d\d)(?P<dash>[-_.])(?P<month>\d\d)(?P=dash)(?P<year>(?:19|20)\d\d)"
_FRACTION = r"(?:[-_.]?(?P<fraction>\d{3}|(?<=\d)\d{2}|(?<=\d)\d{6}))?(?!\d)"
_CLOCK = (
    r"(?:(?P<hour>\d{1,2})(?P<colon>[-_.:])(?P<minute>\d\d)(?P=colon)(?P<second>\d\d)"
    r"|(?P<hour_>\d\d)(?P<minute_>\d\d)(?P<second_>\d\d))" + _FRACTION
)
_ZONE = r"(?P<zone>Z(?![A-Za-z0-9])|(?<=\d)[+-]\d\d:?\d\d(?!\d))?"
_AM, _PM = r"a\.?\s?m\b|上午|午前|오전", r"p\.?\s?m\b|下午|午後|오후"
_HALF = rf"(?:[\s_]?(?P<half>{_AM}|{_PM}))?"

# 20230714_183012, 2023-07-14 18.30.12, 2023-07-14-18-30-12-123, 20230714183012345, 2023-07-14-18301234
_DATE_AND_TIME = re.compile(
    _YEAR_FIRST + r"(?:[-_. ]|, )*" + _CLOCK + r"(?P<zone>Z(?![A-Za-z0-9]))?", re.ASCII
)
# 20230714T163012Z, 2023-07-14T18_30_12+0200
_ISO_TIME = re.compile(_YEAR_FIRST + "T" + _CLOCK + _ZONE, re.ASCII)
# Screenshot 2023-07-14 at 6.30.12 PM, Bildschirmfoto 2023-07-14 um 18.30.12, 截屏2023-07-14 下午6.30.12:
# the word between date and time depends on the language
_SCREENSHOT = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)[\s_](?P<word>[^\d/]{0,16}?)[\s_]?"
    r"(?P<hour>\d{1,2})(?P<colon>[.:])(?P<minute>\d\d)(?P=colon)(?P<second>\d\d)(?!\d)" + _HALF,
    re.IGNORECASE,
)
# photo_1@14-07-2023_18-30-12: Telegram
_DAY_FIRST_AND_TIME = re.compile(_DAY_FIRST + "[_ ]" + _CLOCK, re.ASCII)
_DATE = re.compile(_YEAR_FIRST + r"(?!\d)", re.ASCII)
_UNIX_MILLISECONDS = re.compile(r"(?<!\d)(1\d{12})(?!\d)", re.ASCII)
_NOON: Final = time(12)


def time_in_file_name(name: str) -> WrittenTime | None:
    """The time in the name, or None. It is aware if the name has a zone or is in UTC. A date alone means its noon."""
    for pattern, time_of in _PATTERNS:
        for match in pattern.finditer(name):
            try:
                return time_of(match)
            except ValueError:  # the digits only look like a date
                continue
    return None


def _date_and_time(match: re.Match[str]) -> WrittenTime:
    found = match.groupdict()
    hour, minute, second = (int(found[name] or found[f"{name}_"]) for name in ("hour", "minute", "second"))
    microsecond = int((found["fraction"] or "").ljust(6, "0"))
    # Of the common cameras, only Google's name files in UTC without saying so.
    zone = UTC if match.string.startswith("PXL_") else parse_offset(found.get("zone") or "")
    return WrittenTime(datetime.combine(_day(match), time(hour, minute, second, microsecond, zone)))


def _screenshot(match: re.Match[str]) -> WrittenTime:
    if not match["word"].strip("._- ,") and not match["half"]:
        raise ValueError("a date and a time without a word between them")
    hour = int(match["hour"])
    half = f"{match['word']} {match['half'] or ''}"
    if 1 <= hour <= 12 and re.search(f"{_AM}|{_PM}", half, re.IGNORECASE):
        hour = hour % 12 + (12 if re.search(_PM, half, re.IGNORECASE) else 0)
    clock = time(hour, int(match["minute"]), int(match["second"]))
    return WrittenTime(datetime.combine(_day(match), clock))


def _date(match: re.Match[str]) -> WrittenTime:
    return WrittenTime(datetime.combine(_day(match), _NOON), TakenAtPrecision.DAY)


def _day(match: re.Match[str]) -> date:
    return date(int(match["year"]), int(match["month"]), int(match["day"]))


def _unix_milliseconds(match: re.Match[str]) -> WrittenTime:
    return WrittenTime(datetime.fromtimestamp(int(match[1]) / 1000, UTC))


_PATTERNS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], WrittenTime]], ...]] = (
    (_SCREENSHOT, _screenshot),
    (_ISO_TIME, _date_and_time),
    (_DATE_AND_TIME, _date_and_time),
    (_DAY_FIRST_AND_TIME, _date_and_time),
    (_UNIX_MILLISECONDS, _unix_milliseconds),
    (_DATE, _date),
)
