"""Column types that behave the same on SQLite and PostgreSQL."""

import os
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, LargeBinary
from sqlalchemy.types import TypeDecorator

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit integer that SQLite accepts as an alias of its row id."""


class UtcDateTime(TypeDecorator[datetime]):
    """An instant, as an aware datetime in UTC. Raises ValueError for a naive datetime."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs a time zone: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PosixPath(TypeDecorator[str]):
    """A file's path, exactly as in the operating system.

    The path is stored as bytes: file names may contain bytes that are not valid UTF-8, and bytes sort the same in every
    database. In Python it is a `str` with surrogate escapes, as `os.fsdecode` returns it.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else os.fsdecode(bytes(value))


def enum_type(enum: type[StrEnum], name: str) -> Enum:
    """An enum column type with an explicit name. It stores the members' values, not their names."""
    return Enum(
        enum,
        name=name,
        values_callable=lambda members: [member.value for member in members],
        create_constraint=True,
        validate_strings=True,
        length=32,
    )
