"""A difference that cannot make a statement of the code fail is a warning."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection, StaticPool, create_engine

from photolineage.contract import DriftKind, Severity, compare

_K = DriftKind


@pytest.fixture
def sqlite() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def postgresql(postgresql_database: URL) -> Iterator[Connection]:
    engine = create_engine(postgresql_database)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest) -> Connection:
    return request.getfixturevalue(request.param)


def _image(*more: Any) -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table("shard", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table(
        "image",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.Text),
        sa.Column("shard_id", sa.Integer),
        *more,
    )
    return metadata


def _found(metadata: sa.MetaData, connection: Connection) -> list[tuple[DriftKind, Severity]]:
    return [(d.kind, d.severity) for d in compare(metadata, connection)]


def test_unique_over_the_primary_key_on_sqlite(sqlite: Connection) -> None:
    with_unique = _image(sa.UniqueConstraint("id", name="uq_id"))
    with_unique.create_all(sqlite)
    assert _found(_image(), sqlite) == [(_K.UNIQUE_EXTRA, Severity.WARNING)]
    sqlite.exec_driver_sql("DROP TABLE image")
    _image().create_all(sqlite)
    assert _found(with_unique, sqlite) == [(_K.UNIQUE_MISSING, Severity.WARNING)]


def test_unique_over_the_primary_key_on_postgresql(postgresql: Connection) -> None:
    """PostgreSQL makes one constraint of both if one CREATE TABLE states them."""
    _image().create_all(postgresql)
    with_unique = _image(sa.UniqueConstraint("id", name="uq_id"))
    assert _found(with_unique, postgresql) == [(_K.PK, Severity.WARNING)]
    postgresql.exec_driver_sql("ALTER TABLE image ADD CONSTRAINT uq_id UNIQUE (id)")
    assert _found(_image(), postgresql) == [(_K.UNIQUE_EXTRA, Severity.WARNING)]


def test_unique_over_another_column(connection: Connection) -> None:
    unique = sa.UniqueConstraint("path", name="uq_path")
    _image(unique).create_all(connection)
    assert _found(_image(), connection) == [(_K.UNIQUE_EXTRA, Severity.ERROR)]


def test_a_foreign_key_that_the_database_has_twice(connection: Connection) -> None:
    def keys(*names: str) -> list[sa.ForeignKeyConstraint]:
        return [sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name=name) for name in names]

    _image(*keys("fk_shard", "fk_again")).create_all(connection)
    assert _found(_image(*keys("fk_shard")), connection) == [(_K.FK_EXTRA, Severity.WARNING)]
    assert _found(_image(), connection) == [(_K.FK_EXTRA, Severity.ERROR)] * 2


def test_a_foreign_key_of_other_actions_is_no_repetition(connection: Connection) -> None:
    cascades = sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_again", ondelete="CASCADE")
    _image(sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_shard"), cascades).create_all(
        connection
    )
    wanted = _image(sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_shard"))
    assert _found(wanted, connection) == [(_K.FK_EXTRA, Severity.ERROR)]


def test_one_named_check_stated_twice_on_sqlite(sqlite: Connection) -> None:
    def checks(count: int) -> list[sa.CheckConstraint]:
        return [sa.CheckConstraint("path <> ''", name="ck_path") for _ in range(count)]

    _image(*checks(1)).create_all(sqlite)
    assert _found(_image(*checks(2)), sqlite) == []
    sqlite.exec_driver_sql("DROP TABLE image")
    _image().create_all(sqlite)
    assert set(_found(_image(*checks(2)), sqlite)) == {(_K.CHECK_MISSING, Severity.ERROR)}


@pytest.mark.parametrize("declared", [False, True])
def test_the_check_of_a_boolean_on_sqlite(declared: bool, sqlite: Connection) -> None:
    """SQLAlchemy made it before version 1.4. The code stores only 0 and 1 in any case."""

    def flag(with_check: bool) -> Any:
        return sa.Column("flag", sa.Boolean(create_constraint=with_check, name="ck_flag"))

    _image(flag(not declared)).create_all(sqlite)
    kind = _K.CHECK_MISSING if declared else _K.CHECK_EXTRA
    assert _found(_image(flag(declared)), sqlite) == [(kind, Severity.WARNING)]


def test_a_check_of_a_number_is_an_error(sqlite: Connection) -> None:
    column = sa.Column("flag", sa.Integer, sa.CheckConstraint("flag IN (0, 1)", name="ck_flag"))
    _image(column).create_all(sqlite)
    assert _found(_image(sa.Column("flag", sa.Integer)), sqlite) == [(_K.CHECK_EXTRA, Severity.ERROR)]


def test_the_order_of_a_unique_index_is_a_warning(connection: Connection) -> None:
    _image(sa.Index("ux_path", "path", "shard_id", unique=True)).create_all(connection)
    descending = _image(sa.Index("ux_path", "path", sa.text("shard_id DESC"), unique=True))
    assert _found(descending, connection) == [(_K.INDEX_CHANGED, Severity.WARNING)]
    other = _image(sa.Index("ux_path", "path", unique=True))
    assert _found(other, connection) == [(_K.INDEX_CHANGED, Severity.ERROR)]


def test_the_order_of_a_primary_key_is_a_warning(connection: Connection) -> None:
    def link(*key: str) -> sa.MetaData:
        metadata = sa.MetaData()
        columns = (sa.Column(name, sa.Integer, nullable=False) for name in ("image_id", "tag_id", "place"))
        sa.Table("link", metadata, *columns, sa.PrimaryKeyConstraint(*key))
        return metadata

    link("tag_id", "image_id").create_all(connection)
    assert _found(link("image_id", "tag_id"), connection) == [(_K.PK, Severity.WARNING)]
    assert _found(link("image_id", "place"), connection) == [(_K.PK, Severity.ERROR)]
