"""Errors for a schema that could not be compared. None of them means that the schema is wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError


class ContractError(RuntimeError):
    """The schema could not be compared; the message says why and what to do."""


class UnsupportedDatabaseError(ContractError):
    """The contract does not support this dialect or this version of the database."""


class MissingPrivilegeError(ContractError):
    """The role may not create the scratch schema; the message names the privilege and the GRANT statement."""


class ReadOnlyDatabaseError(ContractError):
    """The server or the transaction is read-only, so the scratch schema cannot be created."""


class ShadowSchemaError(ContractError):
    """The expected schema cannot be created, for a reason that is no single definition of the metadata."""


class SchemaChangedError(ContractError):
    """Another session changed the schema during the comparison, in each of several attempts."""


_WHAT = "Cannot compare the schema"
_REASONS = {
    "57014": "the server cancelled a query. Raise statement_timeout for this connection, or set it to 0.",
    "55P03": "another session holds a lock, and lock_timeout ran out. Compare again when no migration is running.",
    "25P02": "the connection's transaction has failed. Call connection.rollback() first.",
    "53300": "the server has no free connection. Compare again later.",
}
_ADDRESS = re.compile(r"<(?:class '[\w.]+'>: |[\w.]*?(\w+) object at 0x[0-9a-f]+>)")
"""How a message shows an object of Python, or the class of an error of asyncpg."""
_CHANGED = frozenset({"XX000", "40001", "40P01", "42P01", "42704", "42703"})
"""What PostgreSQL answers if an object is dropped while a query prints it, or if two sessions change one object."""


def sqlstate(error: BaseException) -> str | None:
    """The five characters by which PostgreSQL names an error, from any driver; None for other errors."""
    original = getattr(error, "orig", None) or error
    for attribute in ("sqlstate", "pgcode"):
        if (state := getattr(original, attribute, None)) is not None:
            return str(state)
    details = original.args[0] if original.args else None
    return str(details["C"]) if isinstance(details, dict) and "C" in details else None


def reason(error: BaseException) -> str:
    """What the database says is wrong, on one line, without the statement."""
    original = getattr(error, "orig", None) or error
    details = original.args[0] if original.args else None
    if isinstance(details, dict) and "M" in details:
        return str(details["M"])
    diagnosis = getattr(getattr(original, "diag", None), "message_primary", None)
    text = str(diagnosis or original).strip()
    first_line = (text.splitlines() or [type(original).__name__])[0]
    return _ADDRESS.sub(r"\1", first_line)


def is_refusal(error: BaseException) -> bool:
    """Whether the database refuses the statement itself, rather than being busy, stopped or out of reach."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return False
    state = sqlstate(error)
    if state is None:
        return "locked" not in str(getattr(error, "orig", error))
    return state[:2] not in {"08", "25", "40", "53", "57", "58"} and state != "55P03"


@contextmanager
def explained(dialect: Dialect) -> Iterator[None]:
    """Turns an error of the database or of the driver into a ContractError that says what to do."""
    try:
        yield
    except (SQLAlchemyError, dialect.loaded_dbapi.Error) as error:
        state = sqlstate(error)
        if state in _CHANGED:
            raise SchemaChangedError(
                f"{_WHAT}: another session changed it during the comparison ({reason(error)})."
                " Compare again when no migration is running."
            ) from error
        if state in _REASONS:
            raise ContractError(
                f"{_WHAT}: {_REASONS[state]} The server's message: {reason(error)}"
            ) from error
        if "locked" in reason(error):
            raise ContractError(
                f"{_WHAT}: another process holds the database ({reason(error)}). Compare again when it has finished."
            ) from error
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise ContractError(
                f"{_WHAT}: the connection to the database was lost ({reason(error)}). Connect again."
            ) from error
        raise ContractError(f"{_WHAT}: {reason(error)}") from error
