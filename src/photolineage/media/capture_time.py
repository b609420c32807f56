"""When a photo was taken: the most trustworthy possible time that its file gives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from photolineage.catalog.vocabulary import TakenAtPrecision, TakenAtSource, UtcOffsetSource, WrittenField
from photolineage.media.exif import ExifFacts
from photolineage.media.file_names import time_in_file_name
from photolineage.media.written import Written
from photolineage.media.written_time import WrittenTime, parse_written_time

EARLIEST: Final = datetime(1826, 1, 1, tzinfo=UTC)
"""The year of the oldest surviving photo. Scans are often dated by what they show."""
_GPS_EPOCH: Final = datetime(1980, 1, 7, tzinfo=UTC)
"""The day after the GPS epoch. Receivers report the epoch itself before they have a fix."""
_CLOCK_RESET_DAYS: Final = frozenset((date(1969, 12, 31), date(1970, 1, 1), date(1980, 1, 1)))
"""Dates of a clock that lost its battery: the Unix epoch (the evening before in the west) and the FAT epoch."""
_TOLERANCE: Final = timedelta(days=1)
_CORRECTABLE: Final = frozenset(
    ("XMP exif:DateTimeOriginal", "XMP photoshop:DateCreated", "Takeout photoTakenTime")
)
"""The fields of a sidecar in which programs keep a time that somebody corrected."""
_IN_UTC: Final = "Takeout photoTakenTime"
_LARGEST_OFFSET: Final = timedelta(hours=14)
_OFFSET_STEP: Final = timedelta(minutes=15)
"""Every offset from UTC is a multiple of this."""


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """`taken_at` is aware, in UTC. The offset and its source are None if only the assumed time zone was known.

    `written` says where the time is written, if it is from a sidecar, or in the file but not in EXIF.
    """

    taken_at: datetime
    source: TakenAtSource
    precision: TakenAtPrecision
    utc_offset_minutes: int | None
    utc_offset_source: UtcOffsetSource | None
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    source: TakenAtSource
    time: WrittenTime
    written: Written | None = None


def capture_time(
    exif: ExifFacts,
    file_name: str,
    modified_ns: int,
    *,
    time_zone: str | None,
    assumed_time_zone: str,
    now: datetime,
    written: Sequence[Written] = (),
) -> CaptureTime:
    """The capture time from EXIF, else from GPS, else as it is written elsewhere, else from the file's name or time.

    `written` is what is written in the sidecars and in the file. A time in a sidecar that contradicts EXIF is a
    correction, and comes first.
    If that gives only the day, the month or the year, a later source that agrees and knows more is taken instead.
    `time_zone` is the zone of the place, if known. A time without an offset is local to that zone, else it has the
    offset of a time in EXIF that reads the same, else it is local to the assumed zone. Times before `EARLIEST`, more
    than a day after `now`, or of a reset clock are refused.
    """
    zone = ZoneInfo(time_zone) if time_zone else None
    assumed = ZoneInfo(assumed_time_zone)
    possible = [found for found in _candidates(exif, file_name, written) if _is_possible(found.time, now)]
    if not possible:
        file_time = WrittenTime(_file_time(modified_ns, now))
        return _resolved(_Candidate(TakenAtSource.FILE_TIME, file_time), zone, assumed)
    chosen = _correction(possible) or possible[0]
    for later in possible[possible.index(chosen) + 1 :]:
        if not chosen.time.is_exact and _knows_more(later.time, chosen.time, zone):
            chosen = later
    return _resolved(chosen, zone, assumed)


def _candidates(exif: ExifFacts, file_name: str, written: Sequence[Written]) -> Iterator[_Candidate]:
    """Every time, the most trustworthy first, as if nobody had corrected any: sidecars come after the camera."""
    for time in exif.times:
        yield _Candidate(TakenAtSource.EXIF, time)
    if exif.gps_time is not None and exif.gps_time.time >= _GPS_EPOCH:
        yield _Candidate(TakenAtSource.GPS, exif.gps_time)
    for one in written:
        if one.field is WrittenField.TIME and (elsewhere := parse_written_time(one.value)) is not None:
            yield _Candidate(TakenAtSource.SIDECAR if one.origin else TakenAtSource.EMBEDDED, elsewhere, one)
    named = time_in_file_name(file_name)
    if named is not None:
        yield _Candidate(TakenAtSource.FILE_NAME, named)


def _correction(possible: Sequence[_Candidate]) -> _Candidate | None:
    """The first time in a sidecar, if it contradicts the time that the image would have without it."""
    first = possible[0]
    for found in possible:
        if (
            found.source is TakenAtSource.SIDECAR
            and found.written is not None
            and found.written.key in _CORRECTABLE
        ):
            return None if _agree(found, first) else found
    return None


def _agree(corrected: _Candidate, first: _Candidate) -> bool:
    """Whether both are the same time, as far as the less exact one tells.

    Takeout gives an instant, and assumes a time zone if the camera wrote none: a difference of a time zone is none.
    """
    ours, theirs = first.time.time.replace(microsecond=0), corrected.time.time.replace(microsecond=0)
    if corrected.time.contains(ours) or first.time.contains(theirs):
        return True
    if ours.tzinfo is not None and theirs.tzinfo is not None and ours == theirs:
        return True
    difference = ours.replace(tzinfo=UTC) - theirs.replace(tzinfo=UTC)
    is_zone = abs(difference) <= _LARGEST_OFFSET and not difference % _OFFSET_STEP
    return corrected.written is not None and corrected.written.key == _IN_UTC and is_zone


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


def _resolved(candidate: _Candidate, zone: ZoneInfo | None, assumed: ZoneInfo) -> CaptureTime:
    """The time in UTC, with the offset that the file or the zone of the place gives."""
    written, source = candidate.time, candidate.source
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
    return CaptureTime(
        time.astimezone(UTC), source, written.precision, minutes, offset_source, candidate.written
    )


def _file_time(modified_ns: int, now: datetime) -> datetime:
    """The modification time, limited to the range from `EARLIEST` to `now`. It is the last resort."""
    seconds = min(max(modified_ns / 1e9, EARLIEST.timestamp()), now.timestamp())
    return datetime.fromtimestamp(seconds, UTC)
