"""Pins in the catalog: by the content of photos, once for each search and photo."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from photolineage.catalog.engine import write_transaction
from photolineage.explain.places import UnknownPhotoError
from photolineage.pins.stored import (
    Pin,
    PinError,
    PinnedQuery,
    list_pins,
    make_pins,
    remove_pins,
    rename_source_in_pins,
    store_pins,
)
from photolineage.search.query import Query, Weighted
from photolineage.search.scope import EVERYTHING, Scope
from photolineage.stores.vector_index import Box, Circle
from tests.library import Library, draw_photo, touch

KAYAK = Query(texts=(Weighted("red kayak"),))
SINCE = datetime(2024, 6, 1, 2, tzinfo=timezone(timedelta(hours=2)))
EVERY_PART = PinnedQuery(
    (Weighted("red kayak"), Weighted("people", -1.0), Weighted("näive “写真” 🎉", 0.5)),
    (Weighted("ab" * 16, 2.0),),
    Scope(("phone", "camera"), SINCE, SINCE + timedelta(days=1), Circle(43.5, 10.25, 20.0)),
)
IN_A_BOX = PinnedQuery(
    (Weighted("kayak"),),
    (),
    Scope(
        place=Box(-10.0, 170.0, 10.0, -170.0),
        keywords=("sea",),
        people=("Anna",),
        least_rating=4,
        written=("livorno",),
    ),
)


def pin_of(query: PinnedQuery, *, content_hash: str = "cd" * 16, within: int = 10) -> Pin:
    return Pin(query, content_hash, Path("/photos/k\udcff.jpg"), within)


def stored(engine: Engine) -> list[Pin]:
    with engine.connect() as connection:
        return list_pins(connection)


def registered(library: Library) -> Library:
    library.scan()
    library.register_all()
    return library


def made(library: Library, *expected: str, query: Query = KAYAK, scope: Scope = EVERYTHING) -> Sequence[Pin]:
    with library.engine.connect() as connection:
        return make_pins(library.settings, connection, query, scope, expected, 10, folder=library.root)


def test_a_pin_comes_back_with_every_part(catalog_engine: Engine) -> None:
    pins = store_pins(catalog_engine, [pin_of(EVERY_PART), pin_of(IN_A_BOX, within=3)])
    first, second = stored(catalog_engine)
    assert [first.id, second.id] == [pin.id for pin in pins] == [1, 2]
    assert first.query.texts == EVERY_PART.texts
    assert first.query.pictures == EVERY_PART.pictures
    assert sorted(first.query.scope.sources) == ["camera", "phone"]
    assert first.query.scope.taken_from == SINCE
    assert first.query.scope.taken_to == datetime(2024, 6, 2, tzinfo=UTC)
    assert first.query.scope.place == EVERY_PART.scope.place
    assert (first.content_hash, first.path, first.within) == ("cd" * 16, Path("/photos/k\udcff.jpg"), 10)
    assert (second.query, second.within) == (IN_A_BOX, 3)


def test_the_same_search_for_the_same_photo_is_one_pin(catalog_engine: Engine) -> None:
    other_zone = EVERY_PART.scope.taken_from
    assert other_zone is not None
    same = PinnedQuery(
        EVERY_PART.texts,
        EVERY_PART.pictures,
        Scope(
            ("camera", "phone"),
            other_zone.astimezone(UTC),
            EVERY_PART.scope.taken_to,
            EVERY_PART.scope.place,
        ),
    )
    (first,) = store_pins(catalog_engine, [pin_of(EVERY_PART, within=10)])
    (again,) = store_pins(catalog_engine, [pin_of(same, within=20)])
    (other,) = store_pins(catalog_engine, [pin_of(EVERY_PART, content_hash="ef" * 16)])
    assert again.id == first.id != other.id
    assert [(pin.id, pin.within) for pin in stored(catalog_engine)] == [(1, 20), (2, 10)]


def test_pins_are_removed_together_or_not_at_all(catalog_engine: Engine) -> None:
    hashes = [digit * 32 for digit in "abc"]
    store_pins(catalog_engine, [pin_of(IN_A_BOX, content_hash=one) for one in hashes])
    with pytest.raises(PinError, match=r"there is no pinned search 7, 9\. Nothing was removed\."):
        remove_pins(catalog_engine, [1, 7, 9])
    remove_pins(catalog_engine, [1, 3])
    assert [pin.id for pin in stored(catalog_engine)] == [2]


@pytest.mark.parametrize("written", ["", "[]", '{"texts": 3}', '{"texts": [["a", 0]]}', '{"near": [1, 2]}'])
def test_a_damaged_pin_is_named_and_can_be_removed(catalog_engine: Engine, written: str) -> None:
    store_pins(catalog_engine, [pin_of(IN_A_BOX)])
    with catalog_engine.begin() as connection:
        connection.execute(text("UPDATE pinned_search SET search = :written"), {"written": written})
    with pytest.raises(PinError, match=r"pinned search 1 cannot be read: .*photolineage pin --remove 1"):
        stored(catalog_engine)
    remove_pins(catalog_engine, [1])
    assert stored(catalog_engine) == []


def test_a_photo_by_its_id_its_path_its_content_and_its_copy_is_one_pin(library: Library) -> None:
    image = registered(library).images()["2023/03.jpg"]
    ways = [str(image.id), "2023/03.jpg", str(library.root / "2023/03.jpg"), image.content_hash]
    (pin,) = made(library, *ways, "2023/copy.jpg")
    assert (pin.content_hash, pin.within, pin.id) == (image.content_hash, 10, None)
    assert pin.path == library.root / "2023/03.jpg"
    assert [one.content_hash for one in made(library, *ways[:1], "2023/04.jpg")] == [
        image.content_hash,
        library.images()["2023/04.jpg"].content_hash,
    ]


def test_a_picture_to_resemble_is_pinned_by_its_content(library: Library) -> None:
    image = registered(library).images()["2023/03.jpg"]
    (pin,) = made(library, "2023/04.jpg", query=Query(image_ids=(Weighted(image.id, 0.5),)))
    assert pin.query.pictures == (Weighted(image.content_hash, 0.5),)
    assert pin.query.in_words() == f"0.5 × the picture {image.content_hash[:8]}…"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("999", "image 999 is not in the catalog"),
        ("2099/00.jpg", "2099/00.jpg: there is no such file"),
        (
            "/etc/hostname.jpg",
            "/etc/hostname.jpg is not in the catalog. `photolineage why /etc/hostname.jpg`",
        ),
        ("0" * 31 + "a", "there is no such file"),
    ],
)
def test_a_photo_that_the_catalog_does_not_know(library: Library, asked: str, message: str) -> None:
    with pytest.raises(UnknownPhotoError, match=message):
        made(registered(library), asked)


def test_a_photo_that_was_not_read_has_no_content_to_pin(library: Library) -> None:
    registered(library)
    with pytest.raises(PinError, match=r"2023/torn\.jpg was not read yet \(it is failed\)"):
        made(library, "2023/torn.jpg")
    draw_photo(library.root / "2023/00.jpg", 900)
    touch(library.root / "2023/00.jpg")
    library.scan()
    with pytest.raises(PinError, match=r"2023/00\.jpg was not read yet \(it is discovered\)"):
        made(library, "2023/00.jpg")


@pytest.mark.parametrize(
    ("query", "scope"),
    [
        (Query(image_files=(Weighted(Path("kayak.jpg")),)), EVERYTHING),
        (KAYAK, Scope(events=("Beach",))),
    ],
)
def test_what_would_not_stay_the_same_cannot_be_pinned(library: Library, query: Query, scope: Scope) -> None:
    with pytest.raises(PinError, match="a pinned search cannot have an image file or an event"):
        made(registered(library), "2023/03.jpg", query=query, scope=scope)


def test_a_search_in_words() -> None:
    assert EVERY_PART.in_words() == (
        "“red kayak”, not “people”, 0.5 × “näive “写真” 🎉”, 2 × the picture abababab…, source phone, source camera, "
        "since 2024-06-01 00:00 UTC, before 2024-06-02 00:00 UTC, within 20 km of 43.5 10.25"
    )
    assert IN_A_BOX.in_words() == (
        "“kayak”, in the box -10 170 10 -170, keyword sea, person Anna, at least 4 stars, with “livorno” written"
    )
    assert PinnedQuery((Weighted("a\x1b]0;b\n"),), (), EVERYTHING).in_words() == r"“a\x1b]0;b”"


def test_a_renamed_source_is_renamed_in_pins(catalog_engine: Engine) -> None:
    kayak = (Weighted("kayak"),)
    pins = [
        pin_of(PinnedQuery(kayak, (), Scope(("phone", "camera")))),
        pin_of(PinnedQuery(kayak, (), Scope(("phone",)))),
        pin_of(PinnedQuery(kayak, (), Scope(("mobile",)))),  # the same as the one before, after the renaming
        pin_of(PinnedQuery(kayak, (), EVERYTHING)),
    ]
    store_pins(catalog_engine, pins)
    with write_transaction(catalog_engine) as connection:
        connection.execute(text("UPDATE pinned_search SET search = '[1]' WHERE id = 4"))
        rename_source_in_pins(connection, "phone", "mobile")
        connection.execute(text("DELETE FROM pinned_search WHERE id = 4"))

    assert [pin.query.scope.sources for pin in stored(catalog_engine)] == [("camera", "mobile"), ("mobile",)]
