"""When a photo was taken: the most trustworthy possible time that its file gives."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from photolineage.catalog.vocabulary import TakenAtSource
from photolineage.media.exif import ExifFacts
from photolineage.media.file_names import time_in_file_name

EARLIEST: Final = datetime(1826, 1, 1, tzinfo=UTC)
"""The year of the oldest surviving photo. Scans are often dated by what they show."""
_GPS_EPOCH: Final = datetime(1980, 1, 7, tzinfo=UTC)
"""The day after the GPS epoch. Receivers report the epoch itself before they have a fix."""
_CLOCK_RESET_DAYS: Final = frozenset((date(1969, 12, 31), date(1970, 1, 1), date(1980, 1, 1)))
"""Dates of a clock that lost its battery: the Unix epoch (the evening before in the west) and the FAT epoch."""
_TOLERANCE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """`taken_at` is aware, in UTC. `utc_offset_minutes` is None if only the assumed time zone was known."""

    taken_at: datetime
    source: TakenAtSource
    utc_offset_minutes: int | None


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

    `time_zone` is the zone of the place, if known. A time without an offset is local to that zone, else to the
    assumed zone. Times before `EARLIEST`, more than a day after `now`, or of a reset clock are refused.
    """
    zone = ZoneInfo(time_zone) if time_zone else None
    assumed = ZoneInfo(assumed_time_zone)
    for time in exif.times:
        if _is_possible(time, now):
            return _resolved(time, TakenAtSource.EXIF, zone, assumed)
    if exif.gps_time is not None and exif.gps_time >= _GPS_EPOCH and _is_possible(exif.gps_time, now):
        return _resolved(exif.gps_time, TakenAtSource.GPS, zone, assumed)
    named = time_in_file_name(file_name)
    if named is not None and _is_possible(named, now):
        return _resolved(named, TakenAtSource.FILE_NAME, zone, assumed)
    return _resolved(_file_time(modified_ns, now), TakenAtSource.FILE_TIME, zone, assumed)


def _is_possible(time: datetime, now: datetime) -> bool:
    if time.date() in _CLOCK_RESET_DAYS:
        return False
    # A local time in an unknown zone is at most 14 hours ahead of UTC: less than the tolerance.
    comparable = time if time.tzinfo else time.replace(tzinfo=UTC)
    return EARLIEST <= comparable <= now + _TOLERANCE


def _resolved(time: datetime, source: TakenAtSource, zone: ZoneInfo | None, assumed: ZoneInfo) -> CaptureTime:
    """The time in UTC, with the offset that EXIF or the zone of the place gives."""
    if time.tzinfo is None:
        local_zone: tzinfo = zone or assumed
        time = time.replace(tzinfo=local_zone)
        offset = time.utcoffset() if zone else None
    elif time.tzinfo is UTC and zone is not None:
        offset = time.astimezone(zone).utcoffset()
    elif source is TakenAtSource.EXIF:
        offset = time.utcoffset()
    else:
        offset = None
    minutes = None if offset is None else round(offset / timedelta(minutes=1))
    return CaptureTime(time.astimezone(UTC), source, minutes)


def _file_time(modified_ns: int, now: datetime) -> datetime:
    """The modification time, limited to the range from `EARLIEST` to `now`. It is the last resort."""
    seconds = min(max(modified_ns / 1e9, EARLIEST.timestamp()), now.timestamp())
    return datetime.fromtimestamp(seconds, UTC)
