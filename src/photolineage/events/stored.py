"""Reads the events from the catalog, and writes the changes of a new clustering."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from photolineage.catalog.engine import database_time
from photolineage.catalog.orm import Base, Event, EventImage
from photolineage.events.records import Event as FoundEvent
from photolineage.events.stability import EventMatching

ROWS_PER_STATEMENT = 5_000
EVENTS = Base.metadata.tables[Event.__tablename__]

Item = TypeVar("Item")


def members_of_events(connection: Connection, model_id: int) -> dict[int, set[int]]:
    """The image ids of each event of a model, by the event's id."""
    members: dict[int, set[int]] = {}
    rows = connection.execute(
        select(EventImage.event_id, EventImage.image_id).where(EventImage.model_id == model_id)
    )
    for event_id, image_id in rows:
        members.setdefault(event_id, set()).add(image_id)
    return members


def store_events(
    connection: Connection,
    model_id: int,
    events: Sequence[FoundEvent],
    titles: Sequence[str],
    matching: EventMatching,
    former: Mapping[int, Collection[int]],
) -> None:
    """Write the differences between a model's `former` events and these. `updated_at`: when an event last changed."""
    rows = [_row(model_id, event, title) for event, title in zip(events, titles, strict=True)]
    ids = _store_rows(connection, model_id, rows, matching)
    event_of: dict[int, int] = {}
    for event, event_id in zip(events, ids, strict=True):
        event_of |= dict.fromkeys(event.members.tolist(), event_id)
    before = {image: event_id for event_id, images in former.items() for image in images}
    moved = [image for image, event_id in before.items() if event_of.get(image) != event_id]
    for images in _portions(moved):
        connection.execute(
            delete(EventImage).where(EventImage.model_id == model_id, EventImage.image_id.in_(images))
        )
    joined = [
        {"model_id": model_id, "image_id": image, "event_id": event_id}
        for image, event_id in event_of.items()
        if before.get(image) != event_id
    ]
    for memberships in _portions(joined):
        connection.execute(insert(EventImage), memberships)
    for vanished in _portions(matching.vanished):
        connection.execute(delete(Event).where(Event.id.in_(vanished)))


def _store_rows(
    connection: Connection, model_id: int, rows: Sequence[Mapping[str, Any]], matching: EventMatching
) -> list[int]:
    """Insert the created events and update those that differ. Returns the id of each row."""
    now = database_time(connection)
    known = connection.execute(select(EVENTS).where(Event.model_id == model_id)).mappings()
    stored = {row["id"]: row for row in known}
    ids = list(matching.kept)
    changed = [
        {**row, "updated_at": now, "event_id": event_id}
        for row, event_id in zip(rows, ids, strict=True)
        if event_id is not None and any(stored[event_id][name] != value for name, value in row.items())
    ]
    if changed:
        connection.execute(update(EVENTS).where(Event.id == bindparam("event_id")), changed)
    created = [{**rows[position], "updated_at": now} for position in matching.created]
    if created:
        statement = insert(Event).returning(Event.id, sort_by_parameter_order=True)
        for position, event_id in zip(
            matching.created, connection.execute(statement, created).scalars(), strict=True
        ):
            ids[position] = event_id
    return [event_id for event_id in ids if event_id is not None]


def _row(model_id: int, event: FoundEvent, title: str) -> dict[str, Any]:
    return {
        "model_id": model_id,
        "title": title,
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "utc_offset_minutes": event.utc_offset_minutes,
        "latitude": event.latitude,
        "longitude": event.longitude,
        "radius_m": event.radius_m,
        "image_count": event.image_count,
        "cover_image_id": event.cover_image_id,
        "cohesion": event.cohesion,
        "confidence": event.confidence,
    }


def _portions(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), ROWS_PER_STATEMENT):
        yield items[start : start + ROWS_PER_STATEMENT]
