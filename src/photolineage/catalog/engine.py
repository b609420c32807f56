"""The engine and its transactions: short, explicit, and safe beside other writers."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import stamina
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from photolineage.errors import PhotolineageError

SQLITE_BUSY_TIMEOUT_MS = 30_000
"""How long a SQLite connection waits for another writer before it reports `database is locked`."""

WRITE_ATTEMPTS = 8

REFUSALS = (OperationalError, InternalError)
"""What a database raises that is away, full, locked or read-only; the rest are errors of the code."""

# structlog, where something else has installed it, would print retries among the output of a command.
stamina.instrumentation.set_on_retry_hooks([stamina.instrumentation.LoggingOnRetryHook])

Result = TypeVar("Result")


class CatalogUnreachableError(PhotolineageError):
    """The catalog's database cannot be read or written; the message names the URL, the reason and the remedy."""


def create_catalog_engine(url: str) -> Engine:
    """An engine for `url`; SQLite gets WAL, foreign keys and a busy timeout, PostgreSQL gets psycopg.

    The folder of a SQLite file is made. Raises ValueError for any other database.
    """
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if backend == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        return _sqlite_engine(url)
    raise ValueError(f"catalog.url = {url!r}: {backend} is not supported. Valid: sqlite:///…, postgresql://…")


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where `_begin` says so, not in the driver
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the write lock from its beginning, so that it never fails half way for it."""
    with engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin() as connection:
        yield connection


def is_transient(error: Exception) -> bool:
    """Whether the same transaction may succeed when it is run again: locks, deadlocks, lost connections."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate[:2] in {"40", "08", "57"} or sqlstate == "55P03"
    message = str(error.orig).lower()
    return isinstance(error, OperationalError) and (
        "locked" in message or "connection" in message or "server closed" in message
    )


def run_in_transaction(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """What `work` returns, done in one write transaction and run again where that may help.

    `work` must do nothing outside the transaction: it may run several times. Raises CatalogUnreachableError
    where the database cannot be written.
    """
    with explained_errors(engine, REFUSALS):
        for attempt in stamina.retry_context(on=is_transient, attempts=WRITE_ATTEMPTS, timeout=120.0):
            with attempt, write_transaction(engine) as connection:
                return work(connection)
    raise AssertionError("unreachable")  # pragma: no cover


def advisory_lock(connection: Connection, key: int) -> None:
    """Hold a PostgreSQL lock to the transaction's end; SQLite's write transactions are exclusive already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def require_reachable(engine: Engine) -> None:
    """Raises CatalogUnreachableError where the database does not answer a query."""
    with explained_errors(engine), engine.connect() as connection:
        connection.execute(text("SELECT 1"))


@contextmanager
def explained_errors(
    engine: Engine, kinds: type[DBAPIError] | tuple[type[DBAPIError], ...] = DBAPIError
) -> Iterator[None]:
    """Turns what the database refuses into CatalogUnreachableError: which database, why, and what to do."""
    try:
        yield
    except kinds as error:
        url = engine.url.render_as_string(hide_password=True)
        reason = str(error.orig).strip().rstrip(".?")
        raise CatalogUnreachableError(f"catalog.url = {url!r}: {reason}. {_remedy(reason)}") from error


def _remedy(reason: str) -> str:
    for symptom, remedy in _REMEDIES.items():
        if symptom in reason.lower():
            return remedy
    return (
        "Start the server, and run again; what was committed stays. Or correct the URL in photolineage.toml "
        "(PHOTOLINEAGE_CATALOG__URL)."
    )


_REMEDIES = {
    "locked": f"Another process has held it for more than {SQLITE_BUSY_TIMEOUT_MS // 1000} s. End that process "
    "(`fuser` on the file names it), then try again; nothing was changed.",
    "readonly": "Make the file and its folder writable for this user; nothing was changed.",
    "read-only": "Connect to a server that accepts writes; nothing was changed.",
    "not a database": "The file is something else. Name another file in catalog.url; this one was not touched.",
    "disk is full": "Free space on its disk, and run again; what was committed stays.",
    "no space left": "Free space on its disk, and run again; what was committed stays.",
    "disk i/o error": "Its disk is full, read-only or failing: look at it, and run again; what was committed stays.",
    "unable to open": "Its folder must exist and be writable for this user.",
}
