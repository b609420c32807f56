"""What the album shows: events by month, and the pictures of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from pathlib import PurePosixPath

from sqlalchemy import Connection, select

from photolineage.catalog.listing import ListedEvent, local_time
from photolineage.catalog.orm import EventImage, Image
from photolineage.catalog.vocabulary import TIMES_OF_DAY, TakenAtPrecision
from photolineage.plain_text import encodable


@dataclass(frozen=True, slots=True)
class AlbumPicture:
    """A picture of an event. `taken_at` is local time at the place, or in UTC if the offset is unknown."""

    image_id: int
    content_hash: str
    file_name: str
    taken_at: datetime | None
    precision: TakenAtPrecision | None = None

    @property
    def day(self) -> date | None:
        """The local day, None if it is not known."""
        is_known = self.precision not in (TakenAtPrecision.MONTH, TakenAtPrecision.YEAR)
        return self.taken_at.date() if self.taken_at is not None and is_known else None

    @property
    def has_clock(self) -> bool:
        """Whether the time of day is known."""
        return self.taken_at is not None and (self.precision is None or self.precision in TIMES_OF_DAY)


@dataclass(frozen=True, slots=True)
class Day:
    """The pictures of one local day of an event. `date` is None for pictures whose day is not known."""

    date: date | None
    pictures: Sequence[AlbumPicture]


@dataclass(frozen=True, slots=True)
class Month:
    """The events that begin in one month, in order of their start."""

    first_day: date
    events: Sequence[ListedEvent]

    @property
    def key(self) -> str:
        """The month as in "2023-07"."""
        return f"{self.first_day:%Y-%m}"

    @property
    def image_count(self) -> int:
        """The number of images in all events of the month."""
        return sum(event.image_count for event in self.events)

    @property
    def largest(self) -> Sequence[ListedEvent]:
        """The events of the month, those with the most images first."""
        return sorted(self.events, key=lambda event: (-event.image_count, event.id))


def by_month(events: Sequence[ListedEvent]) -> list[Month]:
    """The events grouped by the local month of their start, newest month first."""
    ordered = sorted(events, key=lambda event: (event.starts_at.replace(tzinfo=None), event.id))
    months = groupby(ordered, key=lambda event: event.starts_at.date().replace(day=1))
    return [Month(first_day, list(found)) for first_day, found in months][::-1]


def pictures_of(connection: Connection, event: ListedEvent) -> list[AlbumPicture]:
    """The pictures of an event in order of time, those without a time last.

    Copies are left out, and so are the images that a stack does not show.
    """
    rows = connection.execute(
        select(
            Image.id,
            Image.content_hash,
            Image.path,
            Image.taken_at,
            Image.taken_at_precision,
            Image.utc_offset_minutes,
        )
        .join(EventImage, EventImage.image_id == Image.id)
        .where(EventImage.event_id == event.id, Image.content_hash.is_not(None), Image.stack_of_id.is_(None))
        .order_by(Image.taken_at.is_(None), Image.taken_at, Image.id)
    )
    pictures: dict[str, AlbumPicture] = {}
    for row in rows:
        offset = event.utc_offset_minutes if row.utc_offset_minutes is None else row.utc_offset_minutes
        taken_at = None if row.taken_at is None else local_time(row.taken_at, offset)
        name = encodable(PurePosixPath(row.path).name)
        picture = AlbumPicture(row.id, row.content_hash, name, taken_at, row.taken_at_precision)
        pictures.setdefault(row.content_hash, picture)
    return list(pictures.values())


def by_day(pictures: Sequence[AlbumPicture]) -> list[Day]:
    """The pictures grouped by local day, those whose day is not known last. The order within a day is kept."""
    days: dict[date | None, list[AlbumPicture]] = {}
    for picture in pictures:
        days.setdefault(picture.day, []).append(picture)
    return [Day(day, days[day]) for day in sorted(days, key=lambda day: day or date.max)]
