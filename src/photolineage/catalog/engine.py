"""The engine and its transactions: short, explicit, and safe with several writers."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import stamina
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InternalError, OperationalError

from photolineage.catalog.column_types import UtcDateTime
from photolineage.catalog.postgresql import create_postgresql_engine
from photolineage.catalog.refusals import (
    STATEMENT_TIMEOUT,
    explain_database_error,
    is_refusal,
    is_starting,
    sqlstate_of,
)
from photolineage.errors import PhotolineageError

SQLITE_BUSY_TIMEOUT_MS = 30_000
"""How long a SQLite connection waits for another writer before it reports `database is locked`."""

WRITE_ATTEMPTS = 8

STARTUP_SECONDS = 30.0
"""How long a command waits for a database server that is starting."""

REFUSALS = (OperationalError, InternalError)
"""Raised by a database that is unreachable, full, locked or read-only. Other errors are bugs in the code."""

DATABASE_TIME = func.clock_timestamp(type_=UtcDateTime())
"""The database's clock as an SQL expression. Every time that the catalog records comes from it, because the clocks of
the hosts may differ. The function is PostgreSQL's; `_sqlite_engine` adds it to SQLite."""

# If structlog is installed, stamina would use it and print retries among a command's output.
stamina.instrumentation.set_on_retry_hooks([stamina.instrumentation.LoggingOnRetryHook])

Result = TypeVar("Result")


class CatalogUnreachableError(PhotolineageError):
    """The catalog's database cannot be read or written; the message names the URL, the reason and the remedy."""


def split_password(url: str) -> tuple[URL, str | None]:
    """The URL of a database without its password, and the password.

    Raises ValueError for a malformed URL. The message does not show the URL, because it may contain a password.
    """
    try:
        parsed = make_url(url)
        # With one of these in it, a part of the password would be taken for the host or the database, and shown.
        user_and_password = url.partition("://")[2].rpartition("@")[0]
        is_file = parsed.get_backend_name() == "sqlite"
        if (parsed.host or parsed.username) if is_file else set("@/?#") & set(user_and_password):
            raise ValueError
    except (ArgumentError, ValueError):
        raise ValueError(
            "not a valid URL of a database. It is not shown here, because it may contain a password. Write "
            "sqlite:///<file> or postgresql://<user>@<host>/<database>. In a user or a password, write %40 for @, "
            "%2F for /, %3F for ? and %23 for #"
        ) from None
    in_query = parsed.query.get("password")
    password = in_query if isinstance(in_query, str) else parsed.password
    return parsed.difference_update_query(["password"])._replace(password=None), password or None


def shown_url(url: URL) -> str:
    """A database's URL to show to people: without user, password and query, as in `postgresql://host/photos`."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database or ''}"
    return URL.create(
        url.get_backend_name(), host=url.host, port=url.port, database=url.database
    ).render_as_string()


def create_catalog_engine(url: str, password: str | None = None) -> Engine:
    """An engine for `url`: SQLite with WAL, foreign keys and a busy timeout, or PostgreSQL with psycopg.

    The engine's URL has no password, so that nothing can show it. Without a password, PostgreSQL's own ways to give
    one are used: PGPASSFILE and PGPASSWORD. Creates the folder of a SQLite file. Raises CatalogUnreachableError for
    any other database, and if the folder cannot be created.
    """
    try:
        parsed, in_url = split_password(url)
    except ValueError as error:
        raise CatalogUnreachableError(f"catalog.url: {error}.") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return create_postgresql_engine(parsed, password or in_url)
    if backend == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            folder = Path(parsed.database).parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CatalogUnreachableError(
                    f"catalog.url = {shown_url(parsed)!r}: cannot create the folder {folder}: "
                    f"{error.strerror or error}. Make it writable, or set home or catalog.url to a place that is."
                ) from error
        return _sqlite_engine(url)
    if backend == "postgres":
        raise CatalogUnreachableError(
            f"catalog.url = {shown_url(parsed)!r}: write postgresql:// in place of postgres://."
        )
    raise CatalogUnreachableError(
        f"catalog.url = {shown_url(parsed)!r}: {backend} is not supported. Valid: sqlite:///… and postgresql://…. "
        "Without this setting, the catalog is a SQLite file in the home."
    )


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.create_function("clock_timestamp", 0, _sqlite_time)
        connection.isolation_level = None  # `_begin` starts transactions, not the driver
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        statement = connection.get_execution_options().get("sqlite_begin", "BEGIN")
        if statement is not None:
            connection.exec_driver_sql(statement)

    return engine


def _sqlite_time() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"


def database_time(connection: Connection) -> datetime:
    """What the database's clock shows now, even in a transaction that began earlier."""
    return connection.execute(select(DATABASE_TIME)).scalar_one()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for reading. No transaction is open between two queries, so that files can be read and written.

    An open one would let SQLite's log grow, and PostgreSQL may end it (`idle_in_transaction_session_timeout`). On
    SQLite, a result that is not fetched to its end is an open transaction too: fetch it first (`all()`). Two queries
    may see different states of the catalog.
    """
    is_sqlite = engine.dialect.name == "sqlite"
    options = {"sqlite_begin": None} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}
    with engine.execution_options(**options).connect() as connection:
        yield connection


@contextmanager
def one_transaction(connection: Connection) -> Iterator[None]:
    """One transaction around a query of `reading` whose rows PostgreSQL hands out in parts. Access no files in it."""
    if connection.dialect.name == "sqlite" or not connection.connection.dbapi_connection.autocommit:  # type: ignore
        yield
        return
    connection.exec_driver_sql("BEGIN")
    try:
        yield
    finally:
        connection.exec_driver_sql("ROLLBACK")


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that takes the write lock at its beginning, so that it cannot fail later for lack of the lock."""
    with engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin() as connection:
        yield connection


def is_transient(error: Exception) -> bool:
    """Whether the transaction may succeed when it is run again, as after a lock, a deadlock or a lost connection."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    sqlstate = sqlstate_of(error)
    if sqlstate is not None:
        may_pass = sqlstate[:2] in {"40", "08", "57"} or sqlstate == "55P03"
        return may_pass and sqlstate != STATEMENT_TIMEOUT
    message = str(error.orig).lower()
    return isinstance(error, OperationalError) and (
        "locked" in message or "connection" in message or "server closed" in message
    )


def run_in_transaction(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Run `work` in one write transaction and return its result. Retries after transient errors.

    `work` may run several times, so it must have no effect outside the transaction. Raises CatalogUnreachableError if
    the database cannot be written.
    """
    with explained_errors(engine, REFUSALS):
        for attempt in stamina.retry_context(on=is_transient, attempts=WRITE_ATTEMPTS, timeout=120.0):
            with attempt, write_transaction(engine) as connection:
                return work(connection)
    raise AssertionError("unreachable")  # pragma: no cover


def advisory_lock(connection: Connection, key: int) -> None:
    """Hold a PostgreSQL lock until the transaction ends. SQLite's write transactions are exclusive already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def require_reachable(engine: Engine) -> None:
    """Raise CatalogUnreachableError if the database does not answer a query. Waits for a server that is starting."""
    given_up = time.monotonic() + STARTUP_SECONDS
    with explained_errors(engine):
        while True:
            try:
                with reading(engine) as connection:
                    connection.execute(text("SELECT 1"))
                return
            except DBAPIError as error:
                if not is_starting(error) or time.monotonic() > given_up:
                    raise
            time.sleep(STARTUP_SECONDS / 60)


@contextmanager
def explained_errors(
    engine: Engine, kinds: type[DBAPIError] | tuple[type[DBAPIError], ...] = DBAPIError
) -> Iterator[None]:
    """Translate database errors to CatalogUnreachableError, which names the database, the reason and the remedy."""
    try:
        yield
    except DBAPIError as error:
        if not (isinstance(error, kinds) or is_refusal(error)):
            raise
        raise CatalogUnreachableError(
            f"catalog.url = {shown_url(engine.url)!r}: {explain_database_error(error)}"
        ) from error
