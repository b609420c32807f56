"""The scope of a search: sources, events, times and places of a built library."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, update

from photolineage.catalog.column_types import DamagedCatalogError
from photolineage.catalog.orm import Event, EventImage, Image, Source
from photolineage.models.registry import require_model
from photolineage.search.find import find_images
from photolineage.search.query import Query, QueryError, Weighted
from photolineage.search.scope import Scope
from photolineage.stores.vector_index import Box, Circle
from tests.library import Library

HOSTILE = [
    "'; DROP TABLE image; --",
    "photos' OR '1'='1",
    '"photos"',
    "%",
    "photos\x00",
    "[bold]",
    "../../etc",
    "写真\n☃",
]


@pytest.fixture
def built(library: Library) -> Library:
    library.scan()
    library.register_all()
    of_2024 = [row.id for path, row in library.images().items() if path.startswith("2024/")]
    with library.engine.begin() as connection:
        connection.execute(update(Image).where(Image.id.in_(of_2024)).values(latitude=43.55, longitude=10.31))
    library.embed_all()
    library.index()
    return library


@pytest.fixture
def within(built: Library) -> Callable[..., list[str]]:
    """The paths of all images of a scope."""

    def paths(**scope: Any) -> list[str]:
        query = Query(image_ids=(Weighted(built.images()["2024/07.jpg"].id),))
        found = find_images(
            built.settings,
            built.engine,
            "tiny-a",
            query,
            scope=Scope(**scope),
            k=50,
        )
        return sorted(hit.path.relative_to(built.root).as_posix() for hit in found.hits)

    return paths


def add_event(library: Library, title: str, *names: str) -> int:
    images = library.images()
    moment = datetime(2023, 6, 1, tzinfo=UTC)
    with library.engine.begin() as connection:
        model_id = require_model(connection, "tiny-a").id
        event_id: int = connection.execute(
            insert(Event)
            .values(
                model_id=model_id,
                title=title,
                starts_at=moment,
                ends_at=moment,
                image_count=len(names),
                confidence=1.0,
                updated_at=moment,
            )
            .returning(Event.id)
        ).scalar_one()
        connection.execute(
            insert(EventImage),
            [{"model_id": model_id, "image_id": images[name].id, "event_id": event_id} for name in names],
        )
    return event_id


def test_no_bound_is_the_whole_library(within: Callable[..., list[str]]) -> None:
    assert len(within()) == 26


def test_a_time_range_begins_with_its_first_moment_and_ends_before_its_last(
    within: Callable[..., list[str]],
) -> None:
    bounds = {
        "taken_from": datetime(2023, 6, 1, 12, 2, tzinfo=UTC),
        "taken_to": datetime(2023, 6, 1, 12, 6, tzinfo=UTC),
    }
    assert within(**bounds) == ["2023/02.jpg", "2023/04.jpg"]


def test_a_place_is_a_circle_or_a_box(within: Callable[..., list[str]]) -> None:
    of_2024 = [f"2024/{number:02}.jpg" for number in range(13)]
    assert within(place=Circle(43.5, 10.3, 20)) == of_2024
    assert within(place=Circle(43.5, 10.3, 2)) == []
    assert within(place=Box(43, 10, 44, 11)) == of_2024
    assert within(place=Box(44, 10, 45, 11)) == []


def test_an_event_is_named_by_its_id_or_its_title(built: Library, within: Callable[..., list[str]]) -> None:
    beach = add_event(built, "Beach · Livorno", "2023/00.jpg", "2023/05.jpg")
    add_event(built, "Snow", "2024/01.jpg")
    add_event(built, "snow", "2024/02.jpg")
    assert within(events=(str(beach),)) == ["2023/00.jpg", "2023/05.jpg"]
    assert within(events=("beach · livorno",)) == ["2023/00.jpg", "2023/05.jpg"]
    assert within(events=("Snow",)) == ["2024/01.jpg", "2024/02.jpg"]
    assert within(events=("Snow", str(beach))) == ["2023/00.jpg", "2023/05.jpg", "2024/01.jpg", "2024/02.jpg"]


def test_an_unknown_event_is_answered_with_the_closest(
    built: Library, within: Callable[..., list[str]]
) -> None:
    with pytest.raises(QueryError, match=r"no event with the id or title '7'.*the model has no events yet"):
        within(events=("7",))
    add_event(built, "Beach · Livorno", "2023/00.jpg")
    with pytest.raises(
        QueryError, match=r"no event with the id or title 'Beach Livorno'; closest: Beach · Livorno"
    ):
        within(events=("Beach Livorno",))


def test_an_unknown_source_is_answered_with_the_closest(within: Callable[..., list[str]]) -> None:
    assert len(within(sources=("photos",))) == 26
    with pytest.raises(QueryError, match="source 'fotos' is not in the library; closest: photos"):
        within(sources=("fotos",))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_a_name(within: Callable[..., list[str]], name: str) -> None:
    for scope in ({"sources": (name,)}, {"events": (name,)}):
        with pytest.raises(QueryError) as refused:
            within(**scope)
        assert repr(name) in str(refused.value)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_title_is_found_and_a_hostile_source_is_damage(
    built: Library, within: Callable[..., list[str]], name: str
) -> None:
    if "\x00" in name:
        pytest.skip("no database keeps it in a text")
    add_event(built, name, "2023/00.jpg")
    assert within(events=(name,)) == ["2023/00.jpg"]
    with built.engine.begin() as connection:
        connection.execute(update(Source).values(key=name))
    with pytest.raises(DamagedCatalogError, match=r"source\.key"):
        within(sources=(name,))


def test_an_image_is_in_the_source_of_its_copy_too(built: Library, within: Callable[..., list[str]]) -> None:
    with built.engine.begin() as connection:
        other = connection.execute(
            insert(Source)
            .values(key="backup", root=built.root, created_at=datetime.now(UTC))
            .returning(Source.id)
        ).scalar_one()
        connection.execute(update(Image).where(Image.path == "2023/copy.jpg").values(source_id=other))
    assert within(sources=("backup",)) == ["2023/03.jpg"]
    assert within(sources=("backup", "photos")) == within()


def test_a_time_that_ends_before_it_begins_is_refused(within: Callable[..., list[str]]) -> None:
    moment = datetime(2023, 6, 1, tzinfo=UTC)
    with pytest.raises(QueryError, match=r"taken_from .* is not before taken_to"):
        within(taken_from=moment, taken_to=moment)


def test_each_limit_is_a_scope_of_its_own() -> None:
    start, place = datetime(2024, 1, 1, tzinfo=UTC), Circle(43.5, 10.3, 5)
    assert Scope().limits() == {}
    assert Scope(("photos",), taken_from=start, place=place, events=("1",)).limits() == {
        "source": Scope(("photos",)),
        "since": Scope(taken_from=start),
        "place": Scope(place=place),
        "event": Scope(events=("1",)),
    }
    assert Scope(taken_to=start).limits() == {"before": Scope(taken_to=start)}
    about_notes = Scope(keywords=("a",), people=("b",), least_rating=3, written=("c",))
    assert list(about_notes.limits()) == ["keyword", "person", "rating", "written"]
    assert about_notes.limits()["rating"] == Scope(least_rating=3)
