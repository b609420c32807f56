"""The pinned searches in the catalog. Photos are stored by their content, so that a moved photo still counts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, insert, select, update

from photolineage.catalog.engine import DATABASE_TIME, advisory_lock, run_in_transaction
from photolineage.catalog.orm import Image, PinnedSearch
from photolineage.errors import PhotolineageError
from photolineage.explain.places import UnknownPhotoError, find_places, known_sources
from photolineage.plain_text import printable
from photolineage.search.query import Query, QueryError, Weighted
from photolineage.search.scope import Scope
from photolineage.settings import Settings
from photolineage.stores.vector_index import Box, Circle

PINS_LOCK: Final = 0x70696E73
"""The key of the PostgreSQL lock for changes of pinned searches."""
CONTENT_DIGITS: Final = 32
"""The number of digits of a content hash. The id of an image has fewer."""


class PinError(PhotolineageError):
    """A search cannot be pinned, or a pin cannot be read or removed. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class KnownContent:
    """The content of a photo of the library, and the path of one file with this content."""

    content_hash: str
    path: Path


@dataclass(frozen=True, slots=True)
class PinnedQuery:
    """What to search for, and where. `pictures` are the content hashes of pictures of the library.

    The scope has no events: an event belongs to one model, so it cannot limit a search with another model.
    """

    texts: tuple[Weighted[str], ...]
    pictures: tuple[Weighted[str], ...]
    scope: Scope

    def in_words(self) -> str:
        """The search on one line, for a person."""
        texts = [_with_weight(f"“{text.value.strip()}”", text.weight) for text in self.texts]
        pictures = [
            _with_weight(f"the picture {picture.value[:8]}…", picture.weight) for picture in self.pictures
        ]
        return printable(", ".join([*texts, *pictures, *_filters(self.scope)]))


@dataclass(frozen=True, slots=True)
class Pin:
    """A search that must find the photo with this content among its first `within` hits.

    `path`: where the photo was when the search was pinned. `id` is None before the pin is stored.
    """

    query: PinnedQuery
    content_hash: str
    path: Path
    within: int
    id: int | None = None


def make_pins(
    settings: Settings,
    connection: Connection,
    query: Query,
    scope: Scope,
    expected: Sequence[str],
    within: int,
    *,
    folder: Path | None = None,
) -> list[Pin]:
    """One pin for each expected photo, not stored yet.

    A photo is given by its id, its path or its content hash. Relative paths are looked for in `folder`, then below each
    source. Raises UnknownPhotoError for a photo that the catalog does not know, and PinError.
    """
    if query.image_files or scope.events:
        raise PinError(
            "a pinned search cannot have an image file or an event: the file may change, and an event belongs to one "
            "model. Use texts, images of the library, and the other filters"
        )
    pictures = tuple(
        Weighted(known_content(settings, connection, str(image.value)).content_hash, image.weight)
        for image in query.image_ids
    )
    by_content: dict[str, KnownContent] = {}
    for asked in expected:
        photo = known_content(settings, connection, asked, folder=folder)
        by_content.setdefault(photo.content_hash, photo)  # a copy is the same photo
    pinned = PinnedQuery(query.texts, pictures, scope)
    return [Pin(pinned, photo.content_hash, photo.path, within) for photo in by_content.values()]


def known_content(
    settings: Settings, connection: Connection, asked: str, *, folder: Path | None = None
) -> KnownContent:
    """The content of the photo that somebody asks for, by id, path or content hash.

    Raises UnknownPhotoError, and PinError if the photo was not read yet.
    """
    if len(asked) == CONTENT_DIGITS and (of_hash := _image_with(connection, asked)) is not None:
        image_id = str(of_hash)
        return replace(known_content(settings, connection, image_id), content_hash=asked)
    places = find_places(connection, known_sources(settings, connection), asked, folder)
    images = [(place, place.image) for place in places if place.image is not None]
    if not images:
        raise UnknownPhotoError(
            f"{printable(asked)} is not in the catalog. `photolineage why {printable(asked)}` says why"
        )
    for place, image in images:
        if image.content_hash is not None:
            return KnownContent(image.content_hash, place.file)
    place, image = images[0]
    raise PinError(
        f"{printable(place.file)} was not read yet (it is {image.state}), so its content is not known. "
        f"`photolineage why {image.id}` says what to do"
    )


def list_pins(connection: Connection) -> list[Pin]:
    """Every pin, oldest first. Raises PinError if something else has changed a row."""
    rows = connection.execute(select(PinnedSearch.__table__).order_by(PinnedSearch.id))
    return [
        Pin(_query_of(row.id, row.search), row.content_hash, Path(row.path), row.within, row.id)
        for row in rows
    ]


def store_pins(engine: Engine, pins: Sequence[Pin]) -> list[Pin]:
    """Store the pins. If the same search is pinned to the same photo already, that pin gets the new `within`."""
    return run_in_transaction(engine, lambda connection: [_store(connection, pin) for pin in pins])


def remove_pins(engine: Engine, ids: Sequence[int]) -> None:
    """Remove these pins. Raises PinError, and removes nothing, if one of them does not exist."""

    def remove(connection: Connection) -> None:
        advisory_lock(connection, PINS_LOCK)
        known = set(connection.execute(select(PinnedSearch.id)).scalars())
        if unknown := [pin_id for pin_id in ids if pin_id not in known]:
            raise PinError(
                f"there is no pinned search {', '.join(map(str, unknown))}. Nothing was removed. "
                "`photolineage pin` lists them"
            )
        connection.execute(delete(PinnedSearch).where(PinnedSearch.id.in_(ids)))

    run_in_transaction(engine, remove)


def rename_source_in_pins(connection: Connection, old: str, new: str) -> None:
    """Let pins that search in a source search in it under its new key. A pin that exists already is not made twice."""
    for row in connection.execute(select(PinnedSearch.__table__).order_by(PinnedSearch.id)).all():
        try:
            query = _query_of(row.id, row.search)
        except PinError:  # somebody else has changed it: `list_pins` says so
            continue
        if old not in query.scope.sources:
            continue
        sources = tuple(new if source == old else source for source in query.scope.sources)
        search = _as_json(replace(query, scope=replace(query.scope, sources=sources)))
        same = (PinnedSearch.search == search, PinnedSearch.content_hash == row.content_hash)
        mine = PinnedSearch.id == row.id
        if connection.execute(select(PinnedSearch.id).where(*same)).first() is not None:
            connection.execute(delete(PinnedSearch).where(mine))
        else:
            connection.execute(update(PinnedSearch).where(mine).values(search=search))


def _store(connection: Connection, pin: Pin) -> Pin:
    advisory_lock(connection, PINS_LOCK)
    search = _as_json(pin.query)
    same = (PinnedSearch.search == search, PinnedSearch.content_hash == pin.content_hash)
    known = connection.execute(select(PinnedSearch.id).where(*same)).scalar_one_or_none()
    facts = {"path": str(pin.path), "within": pin.within}
    if known is not None:
        connection.execute(update(PinnedSearch).where(PinnedSearch.id == known).values(facts))
        return replace(pin, id=known)
    new: int = connection.execute(
        insert(PinnedSearch)
        .values(search=search, content_hash=pin.content_hash, created_at=DATABASE_TIME, **facts)
        .returning(PinnedSearch.id)
    ).scalar_one()
    return replace(pin, id=new)


def _image_with(connection: Connection, content_hash: str) -> int | None:
    return connection.execute(
        select(Image.id).where(Image.content_hash == content_hash).order_by(Image.id).limit(1)
    ).scalar_one_or_none()


def _as_json(query: PinnedQuery) -> str:
    """The same text for the same search: without what is empty, and with times in UTC."""
    scope = query.scope
    parts: dict[str, Any] = {
        "texts": [[text.value.strip(), text.weight] for text in query.texts],
        "pictures": [[picture.value, picture.weight] for picture in query.pictures],
        "sources": sorted(scope.sources),
        "since": _written(scope.taken_from),
        "before": _written(scope.taken_to),
        "keywords": sorted(scope.keywords),
        "people": sorted(scope.people),
        "rating": scope.least_rating,
        "written": sorted(scope.written),
    }
    match scope.place:
        case Circle(latitude, longitude, radius_km):
            parts["near"] = [latitude, longitude, radius_km]
        case Box(south, west, north, east):
            parts["box"] = [south, west, north, east]
    return json.dumps({name: part for name, part in parts.items() if part})


def _query_of(pin_id: int, search: str) -> PinnedQuery:
    try:
        parts = json.loads(search)
        return PinnedQuery(
            tuple(Weighted(str(text), float(weight)) for text, weight in parts.get("texts", ())),
            tuple(Weighted(str(picture), float(weight)) for picture, weight in parts.get("pictures", ())),
            Scope(
                tuple(map(str, parts.get("sources", ()))),
                _read(parts.get("since")),
                _read(parts.get("before")),
                Circle(*parts["near"]) if "near" in parts else Box(*parts["box"]) if "box" in parts else None,
                keywords=tuple(map(str, parts.get("keywords", ()))),
                people=tuple(map(str, parts.get("people", ()))),
                least_rating=int(parts["rating"]) if "rating" in parts else None,
                written=tuple(map(str, parts.get("written", ()))),
            ),
        )
    except (ValueError, TypeError, AttributeError, QueryError) as error:
        raise PinError(
            f"pinned search {pin_id} cannot be read: {printable(str(error))}. Photolineage did not write it like this. "
            f"Remove it: `photolineage pin --remove {pin_id}`"
        ) from error


def _written(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()


def _read(time: str | None) -> datetime | None:
    return None if time is None else datetime.fromisoformat(time)


def _with_weight(part: str, weight: float) -> str:
    if weight == 1:
        return part
    return f"not {part}" if weight == -1 else f"{weight:g} × {part}"


def _filters(scope: Scope) -> list[str]:
    words = [f"source {source}" for source in scope.sources]
    words += [
        f"{name} {time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        for name, time in (("since", scope.taken_from), ("before", scope.taken_to))
        if time is not None
    ]
    match scope.place:
        case Circle(latitude, longitude, radius_km):
            words.append(f"within {radius_km:g} km of {latitude:g} {longitude:g}")
        case Box(south, west, north, east):
            words.append(f"in the box {south:g} {west:g} {north:g} {east:g}")
    words += [f"keyword {keyword}" for keyword in scope.keywords]
    words += [f"person {person}" for person in scope.people]
    if scope.least_rating is not None:
        words.append(f"at least {scope.least_rating} stars")
    return [*words, *(f"with “{text}” written" for text in scope.written)]
