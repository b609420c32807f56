"""Search without words: every image in a scope that somebody wrote something about, the newest first."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, or_, select

from photolineage.catalog.engine import reading
from photolineage.catalog.orm import Image, Source
from photolineage.catalog.queries import SHOWN_ID, find_model
from photolineage.catalog.vocabulary import ImageState
from photolineage.search.find import FoundImages, located
from photolineage.search.query import QueryError
from photolineage.search.scope import Scope
from photolineage.settings import Settings
from photolineage.stores.files import open_files
from photolineage.stores.previews import PreviewStore
from photolineage.stores.vector_index import Box, Circle, SearchFilters

_IDS_PER_QUERY: Final = 500
_NO_MODEL: Final = 0
_UNDATED: Final = datetime(1, 1, 1, tzinfo=UTC)


def list_images(
    settings: Settings, engine: Engine, model_key: str, scope: Scope, *, k: int = 10, page: int = 1
) -> FoundImages:
    """The images in the scope: page number `page`, with `k` images on a page. No model is loaded.

    Of a stack, the image that shows is listed once, at the time of its newest image in the scope. The scope limits
    what is written. The model is that of its events. Raises QueryError.
    """
    if not scope.is_about_notes:
        raise QueryError(
            "the query is empty. Give a text, an image file, an image of the library, or a filter by what is written: "
            "--keyword, --person, --rating or --written"
        )
    with reading(engine) as connection:
        model = find_model(connection, model_key)
        filters = scope.filters(connection, model.id if model else _NO_MODEL)
        newest: dict[int, datetime] = {}
        for taken_at, shown_id in _matching(connection, filters):
            newest[shown_id] = max(taken_at, newest.get(shown_id, _UNDATED))
    found = sorted(newest, key=lambda shown_id: (newest[shown_id], shown_id), reverse=True)
    hits = [(shown_id, None) for shown_id in found[(page - 1) * k : page * k]]
    return FoundImages(located(engine, hits), (), engine, PreviewStore(open_files(settings)))


def _matching(connection: Connection, filters: SearchFilters) -> Iterator[tuple[datetime, int]]:
    """The time of each image that passes the filters, and the id of the image that shows instead of it."""
    conditions = [
        Image.state == ImageState.REGISTERED,
        Image.duplicate_of_id.is_(None),
        *_conditions(filters),
    ]
    statement = select(SHOWN_ID, Image.taken_at, Image.latitude, Image.longitude).join(
        Source, Source.id == Image.source_id
    )
    for ids in _batches(filters.image_ids or ()):
        rows = connection.execute(statement.where(Image.id.in_(ids), *conditions))
        for shown_id, taken_at, latitude, longitude in rows:
            if _is_within(filters.place, latitude, longitude):
                yield taken_at or _UNDATED, shown_id


def _conditions(filters: SearchFilters) -> Iterator[ColumnElement[bool]]:
    if filters.sources is not None:
        copied = Image.id.in_(filters.copied_to_sources)
        yield or_(Source.key.in_(filters.sources), copied)
    if filters.taken_from is not None:
        yield Image.taken_at >= filters.taken_from
    if filters.taken_to is not None:
        yield Image.taken_at < filters.taken_to
    if filters.place is not None:
        box = filters.place if isinstance(filters.place, Box) else filters.place.bounding_box()
        eastward, westward = Image.longitude >= box.west, Image.longitude <= box.east
        yield Image.latitude.between(box.south, box.north)
        yield eastward & westward if box.west <= box.east else or_(eastward, westward)


def _is_within(place: Box | Circle | None, latitude: float | None, longitude: float | None) -> bool:
    """Whether a position inside the bounding box is inside the circle, too."""
    if not isinstance(place, Circle):
        return True
    return latitude is not None and longitude is not None and place.contains(latitude, longitude)


def _batches(ids: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(ids), _IDS_PER_QUERY):
        yield ids[start : start + _IDS_PER_QUERY]
