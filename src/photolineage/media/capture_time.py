"""When a photograph was taken: the most trustworthy of what its file says, and nothing impossible."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from photolineage.catalog.vocabulary import TakenAtSource
from photolineage.media.exif import ExifFacts
from photolineage.media.file_names import time_in_file_name

EARLIEST: Final = datetime(1826, 1, 1, tzinfo=UTC)
"""The year of the first photograph that survives; scans are dated by what they show."""
_GPS_EPOCH: Final = datetime(1980, 1, 7, tzinfo=UTC)
"""The first day after the one on which GPS time begins, which receivers report before they have a fix."""
_CLOCK_RESET_DAYS: Final = frozenset((date(1969, 12, 31), date(1970, 1, 1), date(1980, 1, 1)))
"""What a clock that lost its battery says: the epochs of Unix (in the west the evening before) and of FAT."""
_TOLERANCE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """`taken_at` is aware UTC; `utc_offset_minutes` is None where only the assumed time zone was known."""

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
    """The time of the exposure by EXIF, else by GPS, else by the file's name, else by its modification time.

    `time_zone` is that of the place, where it is known; a time without an offset is local to it, else
    to the assumed one. Refused is a time before `EARLIEST`, more than a day after `now`, or of a reset clock.
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
    # A local time of unknown zone may be ahead of UTC by 14 hours: less than the tolerance.
    comparable = time if time.tzinfo else time.replace(tzinfo=UTC)
    return EARLIEST <= comparable <= now + _TOLERANCE


def _resolved(time: datetime, source: TakenAtSource, zone: ZoneInfo | None, assumed: ZoneInfo) -> CaptureTime:
    """The time in UTC with the offset that was in force, by EXIF itself or by the zone of the place."""
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
    """The modification time, moved into the range from `EARLIEST` to `now`: it is the last resort."""
    seconds = min(max(modified_ns / 1e9, EARLIEST.timestamp()), now.timestamp())
    return datetime.fromtimestamp(seconds, UTC)
