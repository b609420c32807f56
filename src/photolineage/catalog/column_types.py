"""Column types that behave alike on SQLite and PostgreSQL."""

import os
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, LargeBinary
from sqlalchemy.types import TypeDecorator

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit integer that SQLite accepts as the alias of its row id."""


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware datetimes in UTC on both sides. A naive datetime is refused with ValueError."""

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
    """A file's path as the operating system has it.

    Stored as bytes, because a file's name need not be valid UTF-8 and because bytes sort alike in every
    database. In Python it is a `str` with surrogate escapes, as `os.fsdecode` gives it.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else os.fsdecode(bytes(value))


def enum_type(enum: type[StrEnum], name: str) -> Enum:
    """An enum column type with an explicit name, which stores the members' values, not their names."""
    return Enum(
        enum,
        name=name,
        values_callable=lambda members: [member.value for member in members],
        create_constraint=True,
        validate_strings=True,
        length=32,
    )
