"""The album's pages as HTML. The templates escape all texts from people and cameras."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from photolineage.album.content import AlbumPicture, Month, by_day
from photolineage.album.likeness import SimilarPicture
from photolineage.catalog.listing import ListedEvent
from photolineage.events.titles import SEPARATOR

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
STYLE_SHEET = "style.css"
OVERVIEW = "index.html"
MONTHS, EVENTS, PICTURES = "months", "events", "pictures"


@dataclass(frozen=True, slots=True)
class Album:
    """Facts for all pages. `cover_hashes`: hashes by image id. `pictures`: hashes of pictures with a preview."""

    model_key: str
    months: Sequence[Month]
    image_count: int
    images_in_no_event: int
    cover_hashes: Mapping[int, str]
    pictures: Set[str]


def picture_path(content_hash: str) -> str:
    """The path of a picture, relative to the album's folder."""
    return f"{PICTURES}/{content_hash[:2]}/{content_hash}.jpg"


def overview_page(album: Album) -> str:
    """The first page: every month with its largest events."""
    return _rendered("overview.html.j2", "", album.model_key, album=album)


def unfinished_page(model_key: str) -> str:
    """The page that replaces the first page until all others are written."""
    return _rendered("unfinished.html.j2", "", model_key)


def month_page(album: Album, month: Month) -> str:
    """One month: its events in order of their start."""
    return _rendered("month.html.j2", "../", album.model_key, album=album, month=month)


def event_page(
    album: Album,
    event: ListedEvent,
    pictures: Sequence[AlbumPicture],
    files: int,
    similar: Sequence[SimilarPicture],
    titles: Mapping[int, str],
    neighbours: tuple[ListedEvent | None, ListedEvent | None],
) -> str:
    """One event: its facts, its pictures by day, and pictures of other events that resemble its cover.

    `files`: how many files the event has, with copies and whole stacks. `neighbours` are the previous and the next
    event. Pictures without a preview are only counted.
    """
    shown = [picture for picture in pictures if picture.content_hash in album.pictures]
    return _rendered(
        "event.html.j2",
        "../",
        album.model_key,
        album=album,
        event=event,
        subject=event.title.split(SEPARATOR)[0],
        days=by_day(shown),
        without_preview=len(pictures) - len(shown),
        not_shown=files - len(pictures),
        similar=[
            picture
            for picture in similar
            if picture.content_hash in album.pictures and picture.event_id in titles
        ],
        titles=titles,
        before=neighbours[0],
        after=neighbours[1],
    )


def style_sheet() -> str:
    """The style of all pages."""
    return (TEMPLATES / STYLE_SHEET).read_text()


def _rendered(template: str, root: str, model_key: str, **values: object) -> str:
    return _environment().get_template(template).render(root=root, model_key=model_key, **values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "picture": picture_path,
        "day": _day,
        "month": lambda day: f"{day:%B %Y}",
        "clock": lambda moment: f"{moment:%H:%M}",
        "coordinates": _coordinates,
        "distance": _distance,
        "count": _count,
    }
    environment.globals |= {"when": _when}
    return environment


def _day(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _when(first: datetime, last: datetime) -> str:
    """A time span, as in "14 July 2023, 18:30 to 21:05"."""
    begin, end = (f"{moment.day} {moment:%B %Y}, {moment:%H:%M}" for moment in (first, last))
    if begin == end:
        return begin
    return f"{begin} to {last:%H:%M}" if first.date() == last.date() else f"{begin} to {end}"


def _coordinates(event: ListedEvent) -> str:
    latitude, longitude = event.latitude or 0.0, event.longitude or 0.0
    return (
        f"{abs(latitude):.4f}° {'N' if latitude >= 0 else 'S'}, "
        f"{abs(longitude):.4f}° {'E' if longitude >= 0 else 'W'}"
    )


def _distance(metres: float) -> str:
    return f"{metres:.0f} m" if metres < 1000 else f"{metres / 1000:.1f} km"


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
