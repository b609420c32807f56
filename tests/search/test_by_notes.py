"""Filters by what people wrote, with words and without."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from photolineage.catalog.orm import ImageNote
from photolineage.catalog.vocabulary import WrittenField
from photolineage.media.written import Written
from photolineage.search.by_notes import list_images
from photolineage.search.query import QueryError
from photolineage.search.scope import Scope
from photolineage.steps.store_notes import store_notes
from photolineage.stores.vector_index import Circle
from tests.library import Library

KEYWORD, PERSON = WrittenField.KEYWORD, WrittenField.PERSON
NOTES = {
    "2023/00.jpg": ((KEYWORD, "Meer"), (PERSON, "Józef Ö"), (WrittenField.RATING, "5")),
    "2023/01.jpg": ((KEYWORD, "meer"), (WrittenField.RATING, "3"), (WrittenField.TITLE, "100% Straße")),
    "2023/copy.jpg": ((PERSON, "Anna"), (WrittenField.RATING, "-1")),
    "2024/07.jpg": (
        (KEYWORD, "Meerkatze"),
        (WrittenField.PLACE, "Livorno"),
        (WrittenField.PROBLEM, "Livorno"),
    ),
}


@pytest.fixture
def listed(registered: Library) -> Callable[..., list[str]]:
    """The paths of all images of a scope, in the order in which they are listed."""
    images = registered.images()
    with registered.engine.begin() as connection:
        store_notes(
            connection,
            {images[path].id: [Written(*note, "XMP") for note in notes] for path, notes in NOTES.items()},
        )

    def paths(**scope: Any) -> list[str]:
        found = list_images(registered.settings, registered.engine, "tiny-a", Scope(**scope), k=50)
        assert {hit.score for hit in found.hits} <= {None}
        return [hit.path.relative_to(registered.root).as_posix() for hit in found.hits]

    return paths


@pytest.fixture
def registered(library: Library) -> Library:
    library.scan()
    library.register_all()
    return library


CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"keywords": ("MEER",)}, ["2023/00.jpg", "2023/01.jpg"]),
    ({"keywords": ("meer", "meerkatze")}, ["2023/00.jpg", "2023/01.jpg", "2024/07.jpg"]),
    ({"people": ("JO\u0301ZEF O\u0308",)}, ["2023/00.jpg"]),
    ({"people": ("anna",)}, ["2023/03.jpg"]),
    ({"least_rating": 3}, ["2023/00.jpg", "2023/01.jpg"]),
    ({"least_rating": 4}, ["2023/00.jpg"]),
    ({"keywords": ("meer",), "least_rating": 5}, ["2023/00.jpg"]),
    ({"written": ("meer",)}, ["2023/00.jpg", "2023/01.jpg", "2024/07.jpg"]),
    ({"written": ("STRASSE",)}, ["2023/01.jpg"]),
    ({"written": ("0%",)}, ["2023/01.jpg"]),
    ({"written": ("%",), "people": ("anna",)}, []),
    ({"written": ("livorno",)}, ["2024/07.jpg"]),
    ({"written": ("'; DROP TABLE image; --",)}, []),
    ({"written": ("meer",), "sources": ("photos",)}, ["2023/00.jpg", "2023/01.jpg", "2024/07.jpg"]),
    ({"written": ("meer",), "taken_from": datetime(2200, 1, 1, tzinfo=UTC)}, []),
    ({"written": ("meer",), "place": Circle(43.5, 10.3, 5)}, []),
]


def test_what_people_wrote_is_found(listed: Callable[..., list[str]]) -> None:
    for scope, expected in CASES:
        assert sorted(listed(**scope)) == expected, scope


def test_the_newest_comes_first(listed: Callable[..., list[str]], registered: Library) -> None:
    times = {path: registered.images()[path].taken_at for path in registered.images()}
    found = listed(written=("meer",))
    assert found == sorted(found, key=lambda path: times[path], reverse=True)


def test_an_unknown_name_is_refused_with_the_closest(listed: Callable[..., list[str]]) -> None:
    with pytest.raises(QueryError, match=r"no image names the person 'Ana'; .*Anna"):
        listed(people=("Ana",))
    with pytest.raises(QueryError, match=r"no image has the keyword 'mer'; .*Meer"):
        listed(keywords=("mer",))


def test_filters_of_other_kinds_are_no_query(listed: Callable[..., list[str]]) -> None:
    with pytest.raises(QueryError, match="the query is empty"):
        listed(sources=("photos",))


def test_long_names_fit_into_the_index(registered: Library) -> None:
    image_id = registered.images()["2023/00.jpg"].id
    with registered.engine.begin() as connection:
        store_notes(connection, {image_id: [Written(KEYWORD, "\ufdfa" * 200, "XMP")]})
        store_notes(connection, {image_id + 10_000: [Written(KEYWORD, "of no image", "XMP")]})
    with registered.engine.connect() as connection:
        names = (
            connection.execute(ImageNote.__table__.select().with_only_columns(ImageNote.name)).scalars().all()
        )
    assert sorted(map(len, filter(None, names))) == [200]
