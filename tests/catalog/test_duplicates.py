"""Which of the images with the same content stands for all of them."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, exists, func, select, update
from sqlalchemy.orm import aliased

from photolineage.catalog.duplicates import HASHES_PER_QUERY, refresh_duplicates
from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Image, Shard
from photolineage.catalog.vocabulary import ImageState

AddImage = Callable[..., int]


@pytest.fixture
def add_registered(add_image: AddImage) -> Callable[[str, str], int]:
    return lambda path, content: add_image(path, state=ImageState.REGISTERED, content_hash=content)


def orphaned_duplicates(connection: Connection) -> int:
    """How many images point at one that is not registered: they would be in no index. None may exist."""
    first = aliased(Image)
    return connection.execute(
        select(func.count())
        .select_from(Image)
        .where(
            Image.state == ImageState.REGISTERED,
            exists().where(first.id == Image.duplicate_of_id, first.state != ImageState.REGISTERED),
        )
    ).scalar_one()


def refresh(engine: Engine, *contents: str) -> dict[int, int | None]:
    """What each image points at afterwards."""
    with write_transaction(engine) as connection:
        refresh_duplicates(connection, contents)
        return {row.id: row.duplicate_of_id for row in connection.execute(select(Image.__table__))}


def revision(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(Shard.revision)).scalar_one()


def set_state(engine: Engine, image_id: int, state: ImageState) -> None:
    with write_transaction(engine) as connection:
        connection.execute(update(Image).where(Image.id == image_id).values(state=state))


def test_the_first_stands_for_the_others(
    catalog_engine: Engine, add_registered: Callable[[str, str], int]
) -> None:
    first, second = add_registered("a.jpg", "5a3e"), add_registered("b.jpg", "5a3e")
    third, other = add_registered("c.jpg", "5a3e"), add_registered("d.jpg", "07e4")
    assert refresh(catalog_engine, "5a3e", "07e4") == {first: None, second: first, third: first, other: None}
    assert revision(catalog_engine) == 1


def test_only_registered_images_count(
    catalog_engine: Engine, add_registered: Callable[[str, str], int], add_image: AddImage
) -> None:
    gone = add_image("a.jpg", state=ImageState.MISSING, content_hash="5a3e")
    there = add_registered("b.jpg", "5a3e")
    assert refresh(catalog_engine, "5a3e") == {gone: None, there: None}


def test_when_the_first_vanishes_the_next_is_promoted_and_its_shard_is_to_be_embedded(
    catalog_engine: Engine, add_registered: Callable[[str, str], int]
) -> None:
    first, second, third = (add_registered(path, "5a3e") for path in ("a.jpg", "b.jpg", "c.jpg"))
    refresh(catalog_engine, "5a3e")
    set_state(catalog_engine, first, ImageState.MISSING)
    with catalog_engine.connect() as connection:
        assert orphaned_duplicates(connection) == 2
    assert refresh(catalog_engine, "5a3e") == {first: None, second: None, third: second}
    assert revision(catalog_engine) == 2
    with catalog_engine.connect() as connection:
        assert orphaned_duplicates(connection) == 0


def test_when_the_first_returns_it_stands_for_them_again_and_nothing_new_is_to_be_embedded(
    catalog_engine: Engine, add_registered: Callable[[str, str], int]
) -> None:
    first, second = add_registered("a.jpg", "5a3e"), add_registered("b.jpg", "5a3e")
    set_state(catalog_engine, first, ImageState.MISSING)
    refresh(catalog_engine, "5a3e")
    set_state(catalog_engine, first, ImageState.REGISTERED)
    assert refresh(catalog_engine, "5a3e") == {first: None, second: first}
    assert revision(catalog_engine) == 1


def test_contents_beyond_one_query_are_all_refreshed(
    catalog_engine: Engine, add_registered: Callable[[str, str], int]
) -> None:
    first, second = add_registered("a.jpg", "fff1"), add_registered("b.jpg", "fff1")
    contents = [f"content-{number:05}" for number in range(HASHES_PER_QUERY)]
    assert refresh(catalog_engine, *contents, "fff1") == {first: None, second: first}
