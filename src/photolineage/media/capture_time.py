"""When a photo was taken: the most trustworthy possible time that its file gives."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from photolineage.catalog.vocabulary import TakenAtPrecision, TakenAtSource, UtcOffsetSource
from photolineage.media.exif import ExifFacts
from photolineage.media.file_names import time_in_file_name
from photolineage.media.written_time import WrittenTime

EARLIEST: Final = datetime(1826, 1, 1, tzinfo=UTC)
"""The year of the oldest surviving photo. Scans are often dated by what they show."""
_GPS_EPOCH: Final = datetime(1980, 1, 7, tzinfo=UTC)
"""The day after the GPS epoch. Receivers report the epoch itself before they have a fix."""
_CLOCK_RESET_DAYS: Final = frozenset((date(1969, 12, 31), date(1970, 1, 1), date(1980, 1, 1)))
"""Dates of a clock that lost its battery: the Unix epoch (the evening before in the west) and the FAT epoch."""
_TOLERANCE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """`taken_at` is aware, in UTC. The offset and its source are None if only the assumed time zone was known."""

    taken_at: datetime
    source: TakenAtSource
    precision: TakenAtPrecision
    utc_offset_minutes: int | None
    utc_offset_source: UtcOffsetSource | None


def capture_time(
    exif: ExifFacts,
    file_name: str,
    modified_ns: int,
    *,
    time_zone: str | None,
    assumed_time_zone: str,
    now: datetime,
) -> CaptureTime:
    """The capture time from EXIF, else from GPS, else from the file's name, else from its modification time.

    If that gives only the day, the month or the year, a later source that agrees and knows more is taken instead.
    `time_zone` is the zone of the place, if known. A time without an offset is local to that zone, else it has the
    offset of a time in EXIF that reads the same, else it is local to the assumed zone. Times before `EARLIEST`, more
    than a day after `now`, or of a reset clock are refused.
    """
    zone = ZoneInfo(time_zone) if time_zone else None
    assumed = ZoneInfo(assumed_time_zone)
    possible = [found for found in _candidates(exif, file_name) if _is_possible(found[1], now)]
    if not possible:
        file_time = WrittenTime(_file_time(modified_ns, now))
        return _resolved(file_time, TakenAtSource.FILE_TIME, zone, assumed)
    source, time = possible[0]
    for later_source, later in possible[1:]:
        if not time.is_exact and _knows_more(later, time, zone):
            source, time = later_source, later
    return _resolved(time, source, zone, assumed)


def _candidates(exif: ExifFacts, file_name: str) -> Iterator[tuple[TakenAtSource, WrittenTime]]:
    for time in exif.times:
        yield TakenAtSource.EXIF, time
    if exif.gps_time is not None and exif.gps_time.time >= _GPS_EPOCH:
        yield TakenAtSource.GPS, exif.gps_time
    named = time_in_file_name(file_name)
    if named is not None:
        yield TakenAtSource.FILE_NAME, named


def _knows_more(later: WrittenTime, time: WrittenTime, zone: ZoneInfo | None) -> bool:
    """Whether `later` is more exact than `time`, and within the day, month or year that `time` gives."""
    precisions = list(TakenAtPrecision)
    local = later.time.astimezone(zone) if later.time.tzinfo is not None and zone is not None else later.time
    return precisions.index(later.precision) < precisions.index(time.precision) and time.contains(local)


def _is_possible(written: WrittenTime, now: datetime) -> bool:
    time = written.time
    is_of_a_day = written.precision not in (TakenAtPrecision.MONTH, TakenAtPrecision.YEAR)
    if is_of_a_day and time.date() in _CLOCK_RESET_DAYS:
        return False
    # A local time in an unknown zone is at most 14 hours ahead of UTC: less than the tolerance.
    comparable = time if time.tzinfo else time.replace(tzinfo=UTC)
    return EARLIEST <= comparable <= now + _TOLERANCE


def _resolved(
    written: WrittenTime, source: TakenAtSource, zone: ZoneInfo | None, assumed: ZoneInfo
) -> CaptureTime:
    """The time in UTC, with the offset that the file or the zone of the place gives."""
    time, offset, offset_source = written.time, None, None
    if time.tzinfo is None and zone is not None:
        time = time.replace(tzinfo=zone)
        offset, offset_source = time.utcoffset(), UtcOffsetSource.PLACE
    elif time.tzinfo is None and written.borrowed_offset is not None:
        time = time.replace(tzinfo=written.borrowed_offset)
        offset, offset_source = time.utcoffset(), UtcOffsetSource.SAME_TIME
    elif time.tzinfo is None:
        time = time.replace(tzinfo=assumed)
    elif time.tzinfo is UTC and zone is not None:
        offset, offset_source = time.astimezone(zone).utcoffset(), UtcOffsetSource.PLACE
    elif source is TakenAtSource.EXIF or time.tzinfo is not UTC:
        offset, offset_source = time.utcoffset(), UtcOffsetSource.STATED
    minutes = None if offset is None else round(offset / timedelta(minutes=1))
    return CaptureTime(time.astimezone(UTC), source, written.precision, minutes, offset_source)


def _file_time(modified_ns: int, now: datetime) -> datetime:
    """The modification time, limited to the range from `EARLIEST` to `now`. It is the last resort."""
    seconds = min(max(modified_ns / 1e9, EARLIEST.timestamp()), now.timestamp())
    return datetime.fromtimestamp(seconds, UTC)
