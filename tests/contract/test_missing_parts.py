"""The fixes of a report apply in its order and leave nothing, also if missing parts need each other or a value.

A comparison afterwards finds nothing that the fixes made only in other words.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection, MetaData, create_engine
from sqlalchemy.dialects.postgresql import JSON, JSONB

from photolineage.contract.comparison import compare
from photolineage.contract.drift import Severity
from workloads.contract_cases.fixing import run

_EMPTY_PHOTO = "CREATE TABLE photo (id serial PRIMARY KEY)"
_EMPTY_ALBUM = "CREATE TABLE album (id serial PRIMARY KEY)"


@pytest.fixture(scope="module")
def server(new_postgresql_database: Callable[[], URL]) -> URL:
    return new_postgresql_database()


@pytest.fixture
def connection(server: URL) -> Iterator[Connection]:
    engine = create_engine(server)
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def _integer(name: str, *arguments: Any, **settings: Any) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer, *arguments, **settings)


def _photo(*items: sa.schema.SchemaItem) -> MetaData:
    metadata = MetaData()
    _add(metadata, "photo", *items)
    return metadata


def _add(metadata: MetaData, name: str, *items: sa.schema.SchemaItem) -> MetaData:
    sa.Table(name, metadata, sa.Column("id", sa.Integer, primary_key=True), *items)
    return metadata


def _pairs() -> MetaData:
    unique, index = sa.UniqueConstraint("a", "b"), sa.Index("ix_pair", "b", "a")
    return _photo(_integer("a"), _integer("b"), unique, index)


def _reference_to_table() -> MetaData:
    return _add(_photo(), "album", _integer("photo_id", sa.ForeignKey("photo.id")))


def _reference_to_key() -> MetaData:
    return _add(
        _photo(_integer("number", unique=True)), "album", _integer("photo", sa.ForeignKey("photo.number"))
    )


def _references_both_ways() -> MetaData:
    back = sa.ForeignKey("album.id", use_alter=True, name="fk_back")
    return _add(_photo(_integer("album_id", back)), "album", _integer("photo_id", sa.ForeignKey("photo.id")))


@pytest.mark.parametrize(
    ("models", "statements"),
    [
        (_pairs, [_EMPTY_PHOTO]),
        (_reference_to_table, [_EMPTY_ALBUM]),
        (_reference_to_table, [_EMPTY_ALBUM, "CREATE VIEW photo AS SELECT 1 AS id"]),
        (_reference_to_table, ["CREATE TABLE album (id serial PRIMARY KEY, photo_id integer)"]),
        (_reference_to_key, [_EMPTY_PHOTO]),
        (_reference_to_key, [_EMPTY_PHOTO, _EMPTY_ALBUM]),
        (_reference_to_key, ["CREATE TABLE photo (id serial PRIMARY KEY, number integer)"]),
        (_references_both_ways, []),
        (_references_both_ways, [_EMPTY_PHOTO]),
        (_references_both_ways, [_EMPTY_ALBUM]),
        (_references_both_ways, [_EMPTY_PHOTO, _EMPTY_ALBUM]),
    ],
)
def test_the_last_missing_part_brings_what_needs_them_all(
    connection: Connection, models: Callable[[], MetaData], statements: list[str]
) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
    metadata = models()
    for drift in compare(metadata, connection):
        run(connection, drift.fix.safe)
    assert compare(metadata, connection) == []


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_rows_without_a_value_get_the_one_that_the_note_asks_for(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    metadata = _photo(_integer("size"), sa.Column("Place", sa.String(20), nullable=False))
    with nullcontext(connection) if database == "postgresql" else _sqlite(tmp_path) as live:
        live.exec_driver_sql("CREATE TABLE photo (id INTEGER NOT NULL PRIMARY KEY, size INTEGER)")
        live.exec_driver_sql("INSERT INTO photo VALUES (1, 7)")
        (drift,) = (one for one in compare(metadata, live) if one.name == "Place")
        assert ' because they have no value for "Place".' in drift.fix.note
        advice = drift.fix.note.split("one that fits: ")[1].split("; and then")[0]
        live.exec_driver_sql(advice.replace("<value>", "'Rome'"))
        for drift in compare(metadata, live):
            run(live, drift.fix.safe)
        assert [drift for drift in compare(metadata, live) if drift.severity is Severity.ERROR] == []
        assert live.exec_driver_sql('SELECT size, "Place" FROM photo').all() == [(7, "Rome")]


def test_no_value_is_asked_for_where_the_code_has_one(connection: Connection, tmp_path: Path) -> None:
    metadata = _photo(_integer("size", nullable=False, default=5))
    with _sqlite(tmp_path) as sqlite:
        for one in (connection, sqlite):
            one.exec_driver_sql("CREATE TABLE photo (id INTEGER NOT NULL PRIMARY KEY)")
            one.exec_driver_sql("INSERT INTO photo VALUES (1)")
            (drift,) = (each for each in compare(metadata, one) if each.name == "size")
            assert "no value" not in drift.fix.note
            run(one, drift.fix.safe)
            assert one.exec_driver_sql("SELECT size FROM photo").scalar_one() == 5


@contextmanager
def _sqlite(folder: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{folder / 'photos.db'}", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("stored", ["STORED", "VIRTUAL"])
@pytest.mark.parametrize("nullable", [True, False])
def test_a_computed_column_becomes_a_plain_one_of_another_type(
    connection: Connection, stored: str, nullable: bool
) -> None:
    required = "NOT NULL" if nullable else ""
    computed = f"title integer {required} GENERATED ALWAYS AS (size) {stored}"
    if stored == "VIRTUAL" and connection.dialect.server_version_info < (18,):  # type: ignore[operator]
        pytest.skip("virtual columns are new in PostgreSQL 18")
    connection.exec_driver_sql(f"CREATE TABLE photo (id serial PRIMARY KEY, size integer, {computed})")
    connection.exec_driver_sql("INSERT INTO photo (size) VALUES (1)")
    metadata = _photo(_integer("size"), sa.Column("title", sa.Boolean, nullable=nullable))
    for drift in compare(metadata, connection):
        run(connection, drift.fix.destructive or drift.fix.safe)
    assert compare(metadata, connection) == []
    assert connection.exec_driver_sql("SELECT title FROM photo").scalar_one() is True


def test_a_check_that_postgresql_prints_in_other_words_after_a_change_of_type_does_not_differ(
    connection: Connection,
) -> None:
    check = "CONSTRAINT known CHECK (title IN ('a', 'it''s, b'))"
    connection.exec_driver_sql(f"CREATE TABLE photo (id serial PRIMARY KEY, title varchar(9) {check})")
    metadata = _photo(
        sa.Column("title", sa.String(20)), sa.CheckConstraint("title IN ('a', 'it''s, b')", name="known")
    )
    (drift,) = compare(metadata, connection)
    run(connection, drift.fix.safe)
    assert compare(metadata, connection) == []


_CONSTANTS = [
    (sa.Integer(), "'0'", "0", True),
    (sa.BigInteger(), "0", "'0'::bigint", True),
    (sa.BigInteger(), "0", "1", False),
    (sa.Text(), "'a'", "'a'::character varying", True),
    (sa.String(9), "'a'", "'a'::text", True),
    (sa.String(9), "'a'", "'b'::text", False),
    (sa.String(9), "'a'", "'ab'::varchar(1)", False),
    (JSONB(), "'[ 1]'", "'[ 1]'::json", True),
    (JSONB(), "'[1]'", "'[2]'::json", False),
    (JSON(), "'[]'", "'[]'::jsonb", True),
    (JSON(), "'[ 1]'", "'[ 1]'::jsonb", False),
]


@pytest.mark.parametrize(("type_", "wanted", "live", "same"), _CONSTANTS)
def test_one_constant_with_another_cast_is_the_same_default(
    connection: Connection, type_: "sa.types.TypeEngine[Any]", wanted: str, live: str, same: bool
) -> None:
    written = type_.compile(connection.dialect)
    connection.exec_driver_sql(f"CREATE TABLE photo (id serial PRIMARY KEY, title {written} DEFAULT {live})")
    metadata = _photo(sa.Column("title", type_, server_default=sa.text(wanted)))
    assert (compare(metadata, connection) == []) is same
