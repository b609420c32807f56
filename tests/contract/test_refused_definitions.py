"""A definition that the database refuses is a finding, and everything else is compared."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import UserDefinedType

from photolineage.contract import ContractError, DriftKind, Severity, compare

_K = DriftKind


class _NoCompiler(UserDefinedType[str]):
    """A type that says nothing about its SQL, such as one for another database."""

    __visit_name__ = "type_of_another_database"
    cache_ok = True


class _Unknown(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "no_such_type"


@pytest.fixture
def sqlite() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(scope="module")
def postgresql_engine(new_postgresql_database: Callable[[], URL]) -> Iterator[Engine]:
    engine = create_engine(new_postgresql_database())
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql(postgresql_engine: Engine) -> Iterator[Connection]:
    with postgresql_engine.connect() as connection:
        yield connection


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest) -> Connection:
    return request.getfixturevalue(request.param)


def _image(metadata: sa.MetaData, *more: Any) -> sa.MetaData:
    sa.Table(
        "image",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.Text),
        *more,
    )
    return metadata


def _found(metadata: sa.MetaData, connection: Connection) -> list[tuple[DriftKind, str, str]]:
    return [(d.kind, d.table, d.name) for d in compare(metadata, connection)]


def test_one_index_twice(connection: Connection) -> None:
    metadata = _image(sa.MetaData(), *(sa.Index("ix_path", "path") for _ in range(2)))
    _image(sa.MetaData(), sa.Index("ix_path", "path")).create_all(connection)
    (drift,) = compare(metadata, connection)
    assert (drift.kind, drift.name, drift.severity) == (_K.DEFINITION_REFUSED, "ix_path", Severity.WARNING)
    assert "already exists" in (drift.actual or "")
    assert "CREATE INDEX ix_path" in (drift.expected or "")
    connection.exec_driver_sql("DROP INDEX ix_path")
    assert _found(metadata, connection) == [
        (_K.DEFINITION_REFUSED, "image", "ix_path"),
        (_K.INDEX_MISSING, "image", "ix_path"),
    ]


def test_one_name_for_two_checks_on_postgresql(postgresql: Connection) -> None:
    first, second = "path <> ''", "path <> 'x'"
    _image(sa.MetaData(), sa.CheckConstraint(first, name="ck_path")).create_all(postgresql)
    checks = (sa.CheckConstraint(text, name="ck_path") for text in (first, second))
    metadata = _image(sa.MetaData(), *checks)
    assert _found(metadata, postgresql) == [(_K.DEFINITION_REFUSED, "image", "ck_path")]
    postgresql.exec_driver_sql("ALTER TABLE image DROP COLUMN path")
    assert (_K.MISSING_COLUMN, "image", "path") in _found(metadata, postgresql)


@pytest.mark.parametrize(
    ("type_", "reason"),
    [
        (_NoCompiler(), "PGTypeCompiler can't render element of type _NoCompiler"),
        (_Unknown(), "no_such_type"),
    ],
)
def test_a_column_of_an_unknown_type(type_: Any, reason: str, postgresql: Connection) -> None:
    metadata = _image(
        sa.MetaData(), sa.Column("odd", type_), sa.Column("size", sa.Integer), sa.Index("ix_odd", "odd")
    )
    _image(sa.MetaData(), sa.Column("odd", sa.Text), sa.Index("ix_odd", "odd")).create_all(postgresql)
    refused, missing = compare(metadata, postgresql)
    assert (refused.kind, refused.name, refused.severity) == (_K.DEFINITION_REFUSED, "odd", Severity.ERROR)
    assert reason in (refused.actual or "")
    assert (missing.kind, missing.name) == (_K.MISSING_COLUMN, "size")


def test_a_type_that_only_another_database_has_on_sqlite(sqlite: Connection) -> None:
    metadata = _image(sa.MetaData(), sa.Column("tags", pg.TSVECTOR), sa.Column("size", sa.Integer))
    _image(sa.MetaData(), sa.Column("tags", sa.Text)).create_all(sqlite)
    assert _found(metadata, sqlite) == [
        (_K.DEFINITION_REFUSED, "image", "tags"),
        (_K.MISSING_COLUMN, "image", "size"),
    ]


def test_a_missing_table_is_created_without_the_column_that_has_no_compiler(sqlite: Connection) -> None:
    missing, refused = compare(_image(sa.MetaData(), sa.Column("odd", _NoCompiler())), sqlite)
    assert (missing.kind, missing.name) == (_K.MISSING_TABLE, "image")
    assert (refused.kind, refused.name) == (_K.DEFINITION_REFUSED, "odd")
    (create,) = missing.fix.safe
    sqlite.exec_driver_sql(create)
    assert [column["name"] for column in sa.inspect(sqlite).get_columns("image")] == ["id", "path"]


def test_a_table_whose_name_is_taken_by_an_index(connection: Connection) -> None:
    metadata = _image(sa.MetaData(), sa.Index("shard", "path"))
    sa.Table("shard", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table("tag", metadata, sa.Column("image_id", sa.ForeignKey("shard.id"), primary_key=True))
    connection.exec_driver_sql("CREATE TABLE image (id integer PRIMARY KEY NOT NULL, path text)")
    found = _found(metadata, connection)
    assert len([drift for drift in found if drift[0] is _K.DEFINITION_REFUSED]) == 1
    assert (_K.MISSING_TABLE, "tag", "tag") in found


def test_a_refused_event_names_its_statement(connection: Connection) -> None:
    metadata = _image(sa.MetaData())
    event.listen(metadata, "after_create", sa.DDL("CREATE VIEW broken AS SELECT nothing FROM nowhere"))  # type: ignore[no-untyped-call]
    event.listen(metadata, "after_create", sa.DDL("CREATE NONSENSE"))  # type: ignore[no-untyped-call]
    connection.exec_driver_sql("CREATE TABLE image (id integer PRIMARY KEY NOT NULL)")
    drifts = compare(metadata, connection)
    refused = [d.expected for d in drifts if d.kind is _K.DEFINITION_REFUSED]
    assert "CREATE NONSENSE" in refused
    assert (_K.MISSING_COLUMN, "path") in [(d.kind, d.name) for d in drifts]


def test_a_refused_definition_leaves_the_callers_transaction_usable(postgresql: Connection) -> None:
    metadata = _image(sa.MetaData(), sa.CheckConstraint("nowhere > 0", name="ck"))
    postgresql.exec_driver_sql("CREATE TABLE image (id serial PRIMARY KEY, path text)")
    assert _found(metadata, postgresql) == [(_K.DEFINITION_REFUSED, "image", "ck")]
    assert postgresql.exec_driver_sql("SELECT count(*) FROM image").scalar_one() == 0
    schemas = postgresql.exec_driver_sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'contract_%%'")
    assert schemas.scalar_one() == 0


def test_a_foreign_key_to_an_unknown_table_names_it(connection: Connection) -> None:
    metadata = _image(sa.MetaData(), sa.Column("shard_id", sa.ForeignKey("shard.id")))
    with pytest.raises(ContractError, match=r"image\.shard_id.*'shard'.*Import the module"):
        compare(metadata, connection)


def test_a_type_of_an_extension_that_the_server_lacks(postgresql: Connection) -> None:
    postgresql.exec_driver_sql("CREATE TABLE image (id serial PRIMARY KEY, path text, more text)")
    metadata = _image(sa.MetaData(), sa.Column("more", pg.HSTORE), sa.Column("size", sa.Integer))
    found = _found(metadata, postgresql)
    available = postgresql.exec_driver_sql(
        "SELECT count(*) FROM pg_available_extensions WHERE name = 'hstore'"
    )
    kind = _K.TYPE if available.scalar_one() else _K.DEFINITION_REFUSED
    assert found == [(kind, "image", "more"), (_K.MISSING_COLUMN, "image", "size")]


def _application() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def _register(connection: sqlite3.Connection, _: object) -> None:
        connection.create_function("is_path", 1, bool, deterministic=True)
        connection.create_collation("BY_LENGTH", lambda one, other: len(one) - len(other))

    return engine


def _with_functions(*, indexed: bool = True) -> sa.MetaData:
    indexes = [sa.Index("ix_is_path", sa.text("is_path(path)"))] if indexed else []
    word = sa.Column("word", sa.Text(collation="BY_LENGTH"), unique=True)
    return _image(sa.MetaData(), word, sa.CheckConstraint("is_path(path)", name="ck_path"), *indexes)


def test_functions_and_collations_of_the_application_are_known() -> None:
    engine = _application()
    with engine.connect() as connection:
        _with_functions().create_all(connection)
        assert compare(_with_functions(), connection) == []
        connection.exec_driver_sql("DROP INDEX ix_is_path")
        assert _found(_with_functions(), connection) == [(_K.INDEX_MISSING, "image", "ix_is_path")]
        assert connection.exec_driver_sql("SELECT is_path('a')").scalar_one() == 1
    engine.dispose()


def test_functions_that_only_one_connection_has_are_known(sqlite: Connection) -> None:
    driver: Any = sqlite.connection.dbapi_connection
    driver.create_function("is_path", 1, bool, deterministic=True)
    driver.create_collation("BY_LENGTH", lambda one, other: len(one) - len(other))
    _with_functions(indexed=False).create_all(sqlite)
    assert compare(_with_functions(indexed=False), sqlite) == []


def test_a_function_that_nobody_registered_is_refused(sqlite: Connection) -> None:
    sqlite.exec_driver_sql("CREATE TABLE image (id INTEGER NOT NULL PRIMARY KEY, path TEXT)")
    metadata = _image(sa.MetaData(), sa.Index("ix_is_path", sa.text("is_path(path)")))
    assert _found(metadata, sqlite) == [(_K.DEFINITION_REFUSED, "image", "ix_is_path")]


def test_a_table_of_a_module_that_nobody_loaded_is_refused() -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata = _image(sa.MetaData())
    event.listen(metadata, "after_create", sa.DDL("CREATE VIRTUAL TABLE words USING no_such_module(x)"))  # type: ignore[no-untyped-call]
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE image (id INTEGER NOT NULL PRIMARY KEY, path TEXT)")
        (drift,) = compare(metadata, connection)
        assert (drift.kind, drift.actual) == (_K.DEFINITION_REFUSED, "no such module: no_such_module")
    engine.dispose()
