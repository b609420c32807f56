"""Other drivers, asynchronous engines, busy servers: a comparison works, or says what to do."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from photolineage.contract import ContractError, Drift, SchemaChangedError, compare
from workloads.contract_cases.case import Case
from workloads.contract_cases.model_cases import POSTGRESQL_MODEL_CLEAN, POSTGRESQL_MODEL_DRIFTS
from workloads.contract_cases.postgresql_metadata import gallery

_DRIVERS = ("psycopg", "pg8000", "asyncpg")
_CASES = {
    case.name: case
    for case in (
        Case("gallery", gallery),
        *POSTGRESQL_MODEL_CLEAN,
        *POSTGRESQL_MODEL_DRIFTS,
    )
}
_ON_EVERY_DRIVER = (
    "gallery",
    "views_and_triggers_of_the_model",
    "tables_moved_along_the_search_path",
    "function_of_a_trigger_changed",
    "refused_check_and_index_and_a_lost_check",
    "public_named_and_an_enum_value_missing",
    "serial_is_bigint",
)


@pytest.fixture(scope="module")
def database(new_postgresql_database: Callable[[], URL]) -> URL:
    url = new_postgresql_database()
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE EXTENSION vector")
    return url


@pytest.fixture
def engine(postgresql_database: URL) -> Iterator[Engine]:
    engine = create_engine(postgresql_database)
    with engine.begin() as connection:
        _metadata().create_all(connection)
    yield engine
    engine.dispose()


def _metadata() -> sa.MetaData:
    metadata = sa.MetaData()
    for number in range(5):
        sa.Table(
            f"image{number}",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("path", sa.Text, index=True),
        )
    return metadata


def _address(database: URL, driver: str) -> URL:
    """The same database in the words of another driver. libpq finds the server's socket by itself, others do not."""
    pytest.importorskip(driver)
    url = database.set(drivername=f"postgresql+{driver}")
    folder = str(database.query["host"])
    if driver == "pg8000":
        return url.set(query={"unix_sock": f"{folder}/.s.PGSQL.5432"})
    return url


@pytest.mark.parametrize("name", _ON_EVERY_DRIVER)
@pytest.mark.parametrize("driver", _DRIVERS)
def test_every_driver_finds_the_same(driver: str, name: str, database: URL) -> None:
    case, url = _CASES[name], _address(database, driver)
    found = asyncio.run(_with_asyncpg(url, case)) if driver == "asyncpg" else _with_driver(url, case)
    assert sorted((d.kind, d.table, d.name) for d in found) == sorted(case.found)


def _with_driver(url: URL, case: Case) -> list[Drift]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return _build_and_compare(connection, case)


async def _with_asyncpg(url: URL, case: Case) -> list[Drift]:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        return await connection.run_sync(lambda connection: _build_and_compare(connection, case))


def _build_and_compare(connection: Connection, case: Case) -> list[Drift]:
    metadata = case.build(connection)
    drifts = compare(metadata, connection)
    assert compare(metadata, connection) == drifts
    connection.rollback()
    return drifts


@pytest.mark.parametrize("driver", ["psycopg", "pg8000"])
def test_in_autocommit_every_driver_leaves_nothing_behind(driver: str, engine: Engine) -> None:
    other = create_engine(_address(engine.url, driver), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with other.connect() as connection:
        assert compare(_metadata(), connection) == []
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("INSERT INTO image0 (path) VALUES ('a')")
        assert compare(_metadata(), connection) == []
        connection.exec_driver_sql("COMMIT")
        assert connection.exec_driver_sql("SELECT count(*) FROM image0").scalar_one() == 1
        left = connection.exec_driver_sql("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^contract_'")
        assert left.scalar_one() == 0


def test_an_engine_can_be_given(engine: Engine) -> None:
    assert compare(_metadata(), engine) == []
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE image0")
    assert [d.name for d in compare(_metadata(), engine)] == ["image0"]


def test_the_error_shows_how_to_compare_over_an_asynchronous_engine() -> None:
    pytest.importorskip("asyncpg")
    engine = create_async_engine("postgresql+asyncpg://nowhere/none")
    for given in (engine, engine.connect()):
        with pytest.raises(ContractError, match=r"Async.*run_sync\(lambda connection: compare"):
            compare(_metadata(), given)  # type: ignore[arg-type]


def test_the_error_shows_how_to_compare_over_a_session(engine: Engine) -> None:
    with Session(engine) as session:
        with pytest.raises(ContractError, match=r"session\.connection\(\)"):
            compare(_metadata(), session)  # type: ignore[arg-type]
        assert compare(_metadata(), session.connection()) == []


def test_the_error_says_that_the_transaction_has_failed(engine: Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(sa.exc.ProgrammingError):
            connection.exec_driver_sql("SELECT * FROM nowhere")
        with pytest.raises(ContractError, match=r"has failed\. Call connection\.rollback\(\) first"):
            compare(_metadata(), connection)
        connection.rollback()
        assert compare(_metadata(), connection) == []


def test_the_error_names_the_statement_timeout(engine: Engine) -> None:
    metadata = _metadata()
    slow = sa.DDL("SELECT pg_sleep(5)")  # type: ignore[no-untyped-call]
    event.listen(metadata, "after_create", slow)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 300")
        with pytest.raises(ContractError, match="Raise statement_timeout"):
            compare(metadata, connection)
        connection.rollback()


def test_the_error_names_the_lock_timeout(engine: Engine) -> None:
    with engine.connect() as migration, engine.connect() as connection:
        migration.exec_driver_sql("ALTER TABLE image0 ADD COLUMN x int")
        connection.exec_driver_sql("SET lock_timeout = 200")
        locks = sa.MetaData()
        sa.Table("image0", locks, sa.Column("id", sa.Integer, primary_key=True))
        event.listen(locks, "after_create", sa.DDL("LOCK TABLE image1; SELECT * FROM image1"))  # type: ignore[no-untyped-call]
        migration.exec_driver_sql("LOCK TABLE image1")
        with pytest.raises(ContractError, match="lock_timeout"):
            compare(locks, connection)
        connection.rollback()


def test_the_error_says_that_the_connection_is_lost(engine: Engine) -> None:
    with engine.connect() as connection, engine.connect() as other:
        number = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        other.exec_driver_sql(f"SELECT pg_terminate_backend({number})")
        time.sleep(0.2)
        with pytest.raises(ContractError, match=r"connection to the database was lost|Connect again"):
            compare(_metadata(), connection)


def test_tables_that_are_altered_all_the_time_do_not_stop_a_comparison(engine: Engine) -> None:
    """Another session adds, changes and drops tables, columns, constraints and indexes beside the compared ones."""
    ended = threading.Event()
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")

    def migrate() -> None:
        with autocommit.connect() as connection:
            while not ended.is_set():
                connection.exec_driver_sql(
                    "CREATE TABLE other (id serial PRIMARY KEY, x int CHECK (x > 0), y text UNIQUE)"
                )
                connection.exec_driver_sql(
                    "CREATE INDEX ix_other ON other (x); ALTER TABLE other ADD COLUMN z int"
                )
                connection.exec_driver_sql("DROP TABLE other")
                time.sleep(0.05)

    writer = threading.Thread(target=migrate)
    writer.start()
    outcomes: list[str] = []
    try:
        with engine.connect() as connection:
            for _ in range(25):
                try:
                    drifts = compare(_metadata(), connection)
                    assert [d.name for d in drifts] in ([], ["other"])
                    outcomes.append("compared")
                except SchemaChangedError:
                    outcomes.append("changed")
    finally:
        ended.set()
        writer.join()
    assert outcomes.count("compared") > len(outcomes) / 2


@pytest.mark.parametrize(("changes", "is_compared"), [(1, True), (2, True), (100, False)])
def test_a_schema_that_changes_during_the_reading_is_read_again(
    changes: int, is_compared: bool, engine: Engine
) -> None:
    """Another session adds a column between two queries of the comparison, in some attempts or in each."""
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    reader = create_engine(_address(engine.url, "pg8000"), poolclass=NullPool)
    made: list[str] = []

    @event.listens_for(reader, "before_cursor_execute")
    def _migrate(_: object, __: object, statement: str, *___: object) -> None:
        if "pg_get_constraintdef(k.oid) AS definition" in statement and len(made) < changes:
            made.append(f"c{len(made)}")
            with autocommit.connect() as connection:
                connection.exec_driver_sql(f"ALTER TABLE image0 ADD COLUMN {made[-1]} int")

    with reader.connect() as connection:
        if is_compared:
            assert [drift.name for drift in compare(_metadata(), connection)] == made
        else:
            with pytest.raises(SchemaChangedError, match="Compare again when no migration is running"):
                compare(_metadata(), connection)
            assert len(made) > 3
        assert not connection.in_transaction()


@pytest.mark.parametrize(("changes", "is_compared"), [(1, True), (100, False)])
def test_a_sqlite_schema_that_changes_during_the_reading_is_read_again(
    changes: int, is_compared: bool, tmp_path: Path
) -> None:
    reader = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    _metadata().create_all(reader)
    made: list[str] = []

    def migrate(statement: str) -> None:
        if "table_xinfo" in statement and len(made) < changes:
            made.append(f"c{len(made)}")
            with closing(sqlite3.connect(tmp_path / "a.db")) as other:
                other.execute(f"ALTER TABLE image0 ADD COLUMN {made[-1]} int")

    with reader.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.set_trace_callback(migrate)
        if is_compared:
            assert [drift.name for drift in compare(_metadata(), connection)] == made
        else:
            with pytest.raises(SchemaChangedError, match="Compare again when no migration is running"):
                compare(_metadata(), connection)
    reader.dispose()


def test_a_locked_sqlite_database_is_an_error(tmp_path: Path) -> None:
    reader = create_engine(f"sqlite:///{tmp_path / 'a.db'}", connect_args={"timeout": 0.1})
    _metadata().create_all(reader)
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ContractError, match="another process holds the database"):
            compare(_metadata(), reader)
    reader.dispose()
