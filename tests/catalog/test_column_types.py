"""Instants, paths and enumerations mean the same on each database, and are stored as they are meant."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, delete, select, text, update
from sqlalchemy.exc import DBAPIError, StatementError

from photolineage.catalog.column_types import DamagedCatalogError
from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Base, Image, Source
from photolineage.catalog.queries import shard_keys
from photolineage.catalog.vocabulary import FailureReason, ImageState

AddImage = Callable[..., int]

WEIRD_PATHS = {
    "newline": "a\nb.jpg",
    "quotes": 'it\'s "so" \\ `far`.jpg',
    "emoji": "plage 🏖/été.jpg",
    "invalid UTF-8": "latin1-\udce9t\udce9.jpg",
    "255 bytes": "n" * 251 + ".jpg",
    "percent and colon": "100%s :name %(x)s ?.jpg",
    "control": "\x01\t\x7f.jpg",
}


@pytest.mark.parametrize("path", WEIRD_PATHS.values(), ids=WEIRD_PATHS.keys())
def test_a_path_comes_back_as_it_went_in(catalog_engine: Engine, add_image: AddImage, path: str) -> None:
    image_id = add_image(path)
    with catalog_engine.connect() as connection:
        assert connection.execute(select(Image.path)).scalar_one() == path
        assert connection.execute(select(Image.id).where(Image.path == path)).scalar_one() == image_id


def test_paths_sort_by_their_bytes(catalog_engine: Engine, add_image: AddImage) -> None:
    paths = ["é.jpg", "Z.jpg", "a.jpg", "\udcff.jpg", "a/b.jpg", "a-b.jpg", "🏖.jpg", "B.jpg", "ä.jpg"]
    for path in paths:
        add_image(path)
    with catalog_engine.connect() as connection:
        found = connection.execute(select(Image.path).order_by(Image.path)).scalars().all()
        after = connection.execute(select(Image.path).where(Image.path > "a.jpg").order_by(Image.path))
        assert after.scalars().all() == ["a/b.jpg", "ä.jpg", "é.jpg", "🏖.jpg", "\udcff.jpg"]
    assert found == ["B.jpg", "Z.jpg", "a-b.jpg", "a.jpg", "a/b.jpg", "ä.jpg", "é.jpg", "🏖.jpg", "\udcff.jpg"]


def test_an_instant_is_kept_to_the_microsecond_and_comes_back_in_utc(
    catalog_engine: Engine, add_image: AddImage
) -> None:
    tokyo = datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=9)))
    add_image("a.jpg", taken_at=tokyo)
    with catalog_engine.connect() as connection:
        taken_at = connection.execute(select(Image.taken_at)).scalar_one()
    assert taken_at == tokyo
    assert taken_at is not None
    assert taken_at.tzinfo is UTC
    assert taken_at.hour == 14


def test_a_naive_time_is_refused(add_image: AddImage) -> None:
    naive = datetime(2024, 1, 1)  # noqa: DTZ001
    with pytest.raises(StatementError, match="an instant needs a time zone"):
        add_image("a.jpg", taken_at=naive)


def test_an_enumeration_stores_values_not_names(catalog_engine: Engine, add_image: AddImage) -> None:
    add_image("a.jpg", state=ImageState.FAILED, failure_reason=FailureReason.TOO_LARGE)
    with catalog_engine.connect() as connection:
        stored = connection.execute(text("SELECT state, failure_reason FROM image")).one()
        read = connection.execute(select(Image.state, Image.failure_reason)).one()
    assert tuple(stored) == ("failed", "too_large")
    assert tuple(read) == (ImageState.FAILED, FailureReason.TOO_LARGE)


def test_the_database_itself_refuses_a_value_outside_an_enumeration(
    catalog_engine: Engine, add_image: AddImage
) -> None:
    add_image("a.jpg")
    refused = pytest.raises(DBAPIError, match=r"(?i)(check constraint.*|enum )image_state")
    with refused, write_transaction(catalog_engine) as connection:
        connection.execute(text("UPDATE image SET state = 'FAILED'"))
    with pytest.raises(StatementError, match="vanisht"), write_transaction(catalog_engine) as connection:
        connection.execute(update(Image).values(state="vanisht"))


def test_a_foreign_key_is_held(catalog_engine: Engine, add_image: AddImage) -> None:
    refused = pytest.raises(DBAPIError, match=r"(?i)foreign key constraint")
    with refused:
        add_image("a.jpg", shard_id=4711)
    add_image("b.jpg")
    with refused, write_transaction(catalog_engine) as connection:
        connection.execute(delete(Source))


DAMAGED: dict[str, list[object]] = {
    "source.key": ["../../victim", "/victim", "", "Photos", "a/b", "a\0b", 7],
    "shard.key": ["../../victim", "/victim", "photos", "photos-00000/..", "photos-00000\n", b"photos-00000"],
    "image.path": [b"../victim", b"/etc/passwd", b"a/../../b", b"a/..", b"..", b".", b"a//b", b"a/", b"", b"a\0b", "a"],
    "image.content_hash": ["../../victim", "ab/../cd", "abcg", "", "AB"],
    "ml_model.key": ["../../victim", "/victim", ".."],
    "ml_model.weights_digest": ["../../../victim", "/victim"],
    "shard_file.path": ["../victim/1.arrow", "/victim/1.arrow", "previews/../x", "catalog.db", ".x/y", "a//b", "a/"],
}  # fmt: skip
"""Values that something else has written into columns that become part of a path."""


@pytest.mark.parametrize(
    ("column", "value"), [(column, value) for column, values in DAMAGED.items() for value in values]
)
def test_a_value_that_leads_elsewhere_is_refused_when_it_is_read(
    tmp_path: Path, column: str, value: object
) -> None:
    """In SQLite, whose columns hold values of any type."""
    table_name, _, name = column.partition(".")
    table = Base.metadata.tables[table_name]
    engine = create_engine(f"sqlite:///{tmp_path}/catalog.db")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table_name} ({name} BLOB)")
        connection.exec_driver_sql(f"INSERT INTO {table_name} VALUES (?)", (value,))
        with pytest.raises(DamagedCatalogError) as raised:
            connection.execute(select(table.c[name])).all()
    message = str(raised.value)
    assert message.startswith(f"the catalog is damaged: {column} = ")
    assert message.endswith("Restore it from a backup, or correct the row.")
    assert "\0" not in message
    engine.dispose()


def test_a_shard_key_that_leads_elsewhere_is_refused_by_each_database(
    catalog_engine: Engine, shard_id: int
) -> None:
    with write_transaction(catalog_engine) as connection:
        connection.execute(text("UPDATE shard SET key = '../../victim'"))
        with pytest.raises(DamagedCatalogError, match=r"shard\.key = '\.\./\.\./victim': a shard's key is"):
            shard_keys(connection)


@pytest.mark.parametrize("path", ["...", "a/..b", "a/b..", ".hidden/.a.jpg", "a/... /b.jpg", "..a/b.jpg"])
def test_a_name_with_dots_is_a_name(catalog_engine: Engine, add_image: AddImage, path: str) -> None:
    add_image(path)
    with catalog_engine.connect() as connection:
        assert connection.execute(select(Image.path)).scalar_one() == path
