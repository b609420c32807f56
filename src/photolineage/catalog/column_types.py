"""Column types that behave the same on SQLite and PostgreSQL.

Values that become part of a path are checked when they are read: somebody else may have changed the database.
"""

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator

from photolineage.errors import PhotolineageError
from photolineage.plain_text import printable

LONGEST_SHOWN: Final = 200

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


class DamagedCatalogError(PhotolineageError):
    """A row has a value that Photolineage never writes; the message names the table, the column and the value."""

    def __init__(self, column: str, value: object, reason: str) -> None:
        shown = printable(
            repr(value) if len(repr(value)) <= LONGEST_SHOWN else f"{value!r:.{LONGEST_SHOWN}}…"
        )
        super().__init__(
            f"the catalog is damaged: {column} = {shown}: {reason}. It becomes part of a path, so it could lead to "
            "files outside the home directory. Photolineage never writes such a value: something else has changed the "
            "catalog. Restore it from a backup, or correct the row."
        )


class CheckedString(TypeDecorator[str]):
    """A text that matches a pattern. Reading another value raises DamagedCatalogError. Writing is not checked.

    `column` is the column's name for the message, such as `shard.key`. `reason` says what is wrong with other values.
    """

    impl = String
    cache_ok = True

    def __init__(self, column: str, pattern: re.Pattern[str], reason: str, length: int | None = None) -> None:
        super().__init__(length)
        self.column = column
        self.pattern = pattern
        self.reason = reason
        self.length = length

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None]:
        """One call for each value, because millions are read: `process_result_value` takes twice as long."""
        matches = self.pattern.fullmatch

        def check(value: Any) -> str | None:
            # SQLite's columns can hold values of any type.
            if value is None or (value.__class__ is str and matches(value)):
                return value
            raise DamagedCatalogError(self.column, value, self.reason)

        return check


class CheckedText(CheckedString):
    """Like CheckedString, of any length."""

    impl = Text
    cache_ok = True


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


class InnerPath(PosixPath):
    """A file's path relative to the root of its source. Reading a path that leaves it raises DamagedCatalogError."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None]:
        """One call for each value, because millions are read."""
        encoding, errors = (
            sys.getfilesystemencoding(),
            sys.getfilesystemencodeerrors(),
        )  # those of os.fsdecode

        def check(value: Any) -> str | None:
            if value is None:
                return None
            if not isinstance(value, bytes | memoryview) or _leaves_the_root(path := bytes(value)):
                raise DamagedCatalogError(
                    "image.path", value, "not a path relative to the root of its source, without '..'"
                )
            return path.decode(encoding, errors)

        return check


def _leaves_the_root(path: bytes) -> bool:
    is_suspect = (
        b"/." in path or b"//" in path or b"\0" in path or path[:1] in _BEGINNINGS or path[-1:] == b"/"
    )
    return is_suspect and _LEAVES_THE_ROOT.search(path) is not None


_BEGINNINGS: Final = frozenset({b"", b"/", b"."})
_LEAVES_THE_ROOT: Final = re.compile(rb"(?:\A|/)\.{0,2}(?:/|\Z)|\0")
"""An empty part, `.` or `..`. A path that begins with a slash has an empty first part."""


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
