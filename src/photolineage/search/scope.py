"""The scope of a search: which images it covers, and the same as filters of the index."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.orm import aliased

from photolineage.catalog.notes import images_with, is_named, is_rated, names_in_use, says
from photolineage.catalog.orm import Event, EventImage, Image, Source
from photolineage.catalog.vocabulary import WrittenField
from photolineage.search.query import QueryError
from photolineage.settings.model_names import closest
from photolineage.stores.vector_index import Box, Circle, SearchFilters


@dataclass(frozen=True, slots=True)
class Scope:
    """Limits by source, time, place, event, and what people wrote. An empty value sets no limit.

    `sources` are keys; `events` are ids or titles. `keywords` and `people` are whole names, and `written` are parts of
    any text; the case of letters does not matter. Images with any of the given values of a limit are in the scope.
    `taken_from` is inclusive and `taken_to` is exclusive; both are aware. `least_rating` is 1 to 5.
    """

    sources: tuple[str, ...] = ()
    taken_from: datetime | None = None
    taken_to: datetime | None = None
    place: Box | Circle | None = None
    events: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    least_rating: int | None = None
    written: tuple[str, ...] = ()

    def filters(self, connection: Connection, model_id: int) -> SearchFilters:
        """The scope as filters for the index of a model. Raises QueryError for an unknown source, event or name."""
        images = [images_with(connection, condition) for condition in self._note_conditions(connection)]
        if self.events:
            images.append(_images_of(connection, model_id, self.events))
        try:
            return SearchFilters(
                sources=self.sources or None,
                copied_to_sources=_copied_to(connection, self.sources) if self.sources else (),
                taken_from=self.taken_from,
                taken_to=self.taken_to,
                place=self.place,
                image_ids=tuple(sorted(frozenset.intersection(*images))) if images else None,
            )
        except ValueError as error:
            raise QueryError(str(error)) from error

    @property
    def is_about_notes(self) -> bool:
        """Whether something that people wrote is a limit."""
        return bool(self.keywords or self.people or self.least_rating or self.written)

    def limits(self) -> dict[str, "Scope"]:
        """Each limit by the name of its option, as a scope of its own."""
        return {
            name: limit
            for name, limit in (
                ("source", Scope(sources=self.sources)),
                ("since", Scope(taken_from=self.taken_from)),
                ("before", Scope(taken_to=self.taken_to)),
                ("place", Scope(place=self.place)),
                ("event", Scope(events=self.events)),
                ("keyword", Scope(keywords=self.keywords)),
                ("person", Scope(people=self.people)),
                ("rating", Scope(least_rating=self.least_rating)),
                ("written", Scope(written=self.written)),
            )
            if limit != EVERYTHING
        }

    def _note_conditions(self, connection: Connection) -> Iterator[ColumnElement[bool]]:
        """One condition for each limit on what people wrote."""
        for field, names in ((WrittenField.KEYWORD, self.keywords), (WrittenField.PERSON, self.people)):
            if names:
                _require_known(connection, field, names)
                yield is_named(field, names)
        if self.least_rating is not None:
            yield is_rated(self.least_rating)
        if self.written:
            yield says(self.written)


EVERYTHING: Final = Scope()
"""All images of the library."""


def _copied_to(connection: Connection, sources: Sequence[str]) -> tuple[int, ...]:
    """The ids of images in other sources that have a copy in these sources. Raises QueryError."""
    ids = {key: source_id for source_id, key in connection.execute(select(Source.id, Source.key))}
    for source in sources:
        if source not in ids:
            raise QueryError(f"source {source!r} is not in the library; {closest(source, ids)}")
    chosen = [ids[source] for source in sources]
    original = aliased(Image)
    rows = connection.execute(
        select(Image.duplicate_of_id)
        .join(original, original.id == Image.duplicate_of_id)
        .where(Image.source_id.in_(chosen), original.source_id.not_in(chosen))
        .distinct()
    )
    return tuple(image_id for image_id in rows.scalars() if image_id is not None)


def _require_known(connection: Connection, field: WrittenField, names: Sequence[str]) -> None:
    """Raise QueryError if no image has one of these keywords, or shows one of these people."""
    for name in names:
        if not images_with(connection, is_named(field, [name])):
            known = names_in_use(connection, field)
            what = "has the keyword" if field is WrittenField.KEYWORD else "names the person"
            among = closest(name, known) if known else "no file and no sidecar has any"
            raise QueryError(f"no image {what} {name!r}; {among}")


def _images_of(connection: Connection, model_id: int, events: Sequence[str]) -> frozenset[int]:
    """The ids of the images of the model's events. Raises QueryError for an unknown event."""
    rows = connection.execute(select(Event.id, Event.title).where(Event.model_id == model_id))
    title_of = {event_id: title for event_id, title in rows}  # noqa: C416
    chosen = [event_id for event in events for event_id in _named(event, title_of)]
    return frozenset(
        connection.execute(select(EventImage.image_id).where(EventImage.event_id.in_(chosen))).scalars()
    )


def _named(event: str, title_of: dict[int, str]) -> list[int]:
    """The event with this id, or else the events with this title, as ids. Raises QueryError."""
    if event.isdecimal() and int(event) in title_of:
        return [int(event)]
    named = [event_id for event_id, title in title_of.items() if title.casefold() == event.casefold()]
    if not named:
        known = closest(event, title_of.values()) if title_of else "the model has no events yet"
        raise QueryError(f"this model has no event with the id or title {event!r}; {known}")
    return named
