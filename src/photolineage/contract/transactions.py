"""Runs statements on a connection and rolls them back, inside or outside the caller's transaction."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection

_SAVEPOINT = "schema_contract"


@contextmanager
def rolled_back(connection: Connection) -> Iterator[None]:
    """Rolls back everything done in the block. A transaction that the caller began stays open.

    This works in autocommit too, where SQLAlchemy's transaction is not a transaction on the server.
    """
    began_here = not connection.in_transaction()
    begin, undo = _brackets(connection, began_here)
    try:
        for statement in begin:
            connection.exec_driver_sql(statement)
        try:
            yield
        finally:
            for statement in undo:
                connection.exec_driver_sql(statement)
    finally:
        if began_here:
            connection.rollback()


def _brackets(connection: Connection, began_here: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not _in_server_transaction(connection):
        return ("BEGIN",), ("ROLLBACK",)
    if began_here:
        return (), ()  # the whole transaction is rolled back
    return (
        (f"SAVEPOINT {_SAVEPOINT}",),
        (f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}", f"RELEASE SAVEPOINT {_SAVEPOINT}"),
    )


def _in_server_transaction(connection: Connection) -> bool:
    """Whether the next statement runs inside a transaction on the server.

    Outside autocommit the driver opens one before the first statement.
    """
    driver: Any = connection.connection.dbapi_connection
    if not getattr(driver, "autocommit", False):
        return True
    if hasattr(driver, "info"):  # psycopg
        return bool(getattr(driver.info, "transaction_status", 0))
    if hasattr(driver, "driver_connection"):  # asyncpg
        return bool(driver.driver_connection.is_in_transaction())
    return bool(getattr(driver, "_in_transaction", False))  # pg8000


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Sends statements without waiting for each answer, if the driver can."""
    pipeline = getattr(connection.connection.dbapi_connection, "pipeline", None)
    with nullcontext() if pipeline is None else pipeline():
        yield
