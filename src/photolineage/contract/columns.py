"""Compares the columns of one table."""

import re
from collections.abc import Iterator

from . import severity
from .drift import Drift, DriftKind, Finding, Severity
from .loose import equal_but_for_types, same_constant, same_default
from .metadata import Code
from .schema import Column, Schema, Table

_VECTOR = re.compile(r"(.*\.)?(vector|halfvec|sparsevec)(\(\d+\))?(\[\])*", re.IGNORECASE)

_FOLLOWS_FROM_THE_TYPE = re.compile(r"^AS \w+|MAXVALUE \d+")


class ColumnComparison:
    """Compares the columns of a table in the metadata with those of the same table in the database."""

    def __init__(self, expected: Table, actual: Table, shadow: Schema, code: Code) -> None:
        self._expected = expected
        self._actual = actual
        self._shadow = shadow
        self._code = code
        self.missing = frozenset(expected.columns.keys() - actual.columns.keys())
        self.extra = frozenset(actual.columns.keys() - expected.columns.keys())
        common = expected.columns.keys() & actual.columns.keys()
        self.retyped = frozenset(
            name for name in common if _retyped(expected.columns[name], actual.columns[name])
        )

    def drifts(self) -> Iterator[Finding]:
        """One drift for each difference. A difference that another one causes is left out."""
        for name, column in self._expected.columns.items():
            if name in self.missing:
                yield self._drift(DriftKind.MISSING_COLUMN, column, described(column), None, Severity.ERROR)
            else:
                yield from self._common(name, column, self._actual.columns[name])
        for name, column in self._actual.columns.items():
            if name in self.extra:
                grave = severity.of_extra_column(column)
                yield self._drift(DriftKind.EXTRA_COLUMN, column, None, described(column), grave)

    def notes(self) -> Iterator[Finding]:
        """Types that are declared differently, although the database treats them alike. Only SQLite has any."""
        for name in self._expected.columns.keys() & self._actual.columns.keys():
            expected, actual = self._expected.columns[name], self._actual.columns[name]
            (wanted, size), (found, other_size) = (_declared(column) for column in (expected, actual))
            if name in self.retyped or (wanted, size) == (found, other_size):
                continue
            kind = DriftKind.TYPE if wanted != found else DriftKind.TYPE_ARGS
            yield self._drift(kind, expected, expected.declared, actual.declared, Severity.NOTE)

    def _common(self, name: str, expected: Column, actual: Column) -> Iterator[Finding]:
        yield from self._type(expected, actual)
        if expected.nullable != actual.nullable and not self._follows_from_the_key(name, expected, actual):
            yield self._drift(
                DriftKind.NULLABLE,
                expected,
                _nullability(expected),
                _nullability(actual),
                severity.of_nullable(expected, actual),
            )
        elif actual.not_null_unproven and not expected.not_null_unproven:
            yield self._drift(
                DriftKind.NULLABLE, expected, "NOT NULL", "NOT NULL NOT VALID", Severity.WARNING
            )
        yield from self._value(name, expected, actual)
        if expected.collation != actual.collation and name not in self.retyped:
            yield self._drift(
                DriftKind.COLLATION,
                expected,
                expected.collation or "the default collation",
                actual.collation or "the default collation",
                Severity.ERROR if self._code.dialect.name == "sqlite" else Severity.WARNING,
            )
        if expected.comment != actual.comment:
            yield self._drift(DriftKind.COMMENT, expected, expected.comment, actual.comment, Severity.WARNING)

    def _type(self, expected: Column, actual: Column) -> Iterator[Finding]:
        if expected.type != actual.type:
            if self._other_enum_in_its_place(expected, actual):
                return
            kind, grave = DriftKind.TYPE, severity.of_type(expected, actual)
        elif expected.full_type != actual.full_type:
            kind, grave = DriftKind.TYPE_ARGS, severity.of_type_arguments(expected, actual)
            if _VECTOR.fullmatch(expected.full_type) and _VECTOR.fullmatch(actual.full_type):
                kind, grave = DriftKind.DIMS, Severity.ERROR
        else:
            return
        yield self._drift(kind, expected, expected.declared, actual.declared, grave)

    def _other_enum_in_its_place(self, expected: Column, actual: Column) -> bool:
        """Whether the columns differ only in the name of their enum type. That is reported as a drift of the type."""
        return (
            expected.enum is not None
            and actual.enum is not None
            and actual.enum not in self._shadow.enums
            and expected.type.endswith("[]") == actual.type.endswith("[]")
        )

    def _follows_from_the_key(self, name: str, expected: Column, actual: Column) -> bool:
        """Whether a column became nullable only because it left the primary key."""
        wanted, found = self._expected.primary_key, self._actual.primary_key
        lost = wanted is not None and name in wanted.columns and (found is None or name not in found.columns)
        return lost and not expected.nullable and actual.nullable

    def _value(self, name: str, expected: Column, actual: Column) -> Iterator[Finding]:
        """Compares what fills a column that an INSERT leaves out. At most one drift per column."""
        same = equal_but_for_types if name in self.retyped else _equal
        if not same(expected.computed, actual.computed):
            yield self._drift(
                DriftKind.COMPUTED, expected, expected.computed, actual.computed, Severity.ERROR
            )
        elif expected.identity or actual.identity:
            yield from self._identity(name, expected, actual)
        elif expected.autoincrement != actual.autoincrement:
            yield from self._autoincrement(name, expected, actual)
        elif expected.autoincrement and not self._same_sequence(name, expected, actual):
            yield self._sequence_drift(expected, _sequence(expected), _sequence(actual))
        elif not (same(expected.default, actual.default) or self._same_value(expected, actual)):
            yield self._drift(
                DriftKind.DEFAULT, expected, expected.default, actual.default, severity.of_default(expected)
            )

    def _same_value(self, expected: Column, actual: Column) -> bool:
        """Whether the defaults say the same in other words."""
        defaults = (expected.default, actual.default)
        return same_default(*defaults, self._code.dialect.name) or (
            expected.full_type == actual.full_type and same_constant(*defaults, expected.type)
        )

    def _identity(self, name: str, expected: Column, actual: Column) -> Iterator[Finding]:
        wanted, found = _numbering(expected), _numbering(actual)
        options_follow_from_the_type = expected.identity == actual.identity and name in self.retyped
        if wanted != found and not options_follow_from_the_type:
            grave = severity.of_numbering(expected, actual)
            yield self._drift(DriftKind.IDENTITY, expected, wanted, found, grave)

    def _autoincrement(self, name: str, expected: Column, actual: Column) -> Iterator[Finding]:
        if expected.autoincrement and actual.default and actual.default.startswith("nextval("):
            yield self._sequence_drift(expected, expected.autoincrement, actual.default)
        elif name not in self.retyped and not self._row_id_lost_with_the_key():
            yield self._drift(
                DriftKind.AUTOINCREMENT,
                expected,
                expected.autoincrement,
                actual.autoincrement or actual.default,
                severity.of_numbering(expected, actual),
            )

    def _same_sequence(self, name: str, expected: Column, actual: Column) -> bool:
        """Whether the sequences agree, or differ only because the columns have different types."""
        wanted, found = _sequence(expected), _sequence(actual)
        if wanted is None or found is None or name not in self.retyped:
            return wanted == found
        return _FOLLOWS_FROM_THE_TYPE.sub("", wanted) == _FOLLOWS_FROM_THE_TYPE.sub("", found)

    def _row_id_lost_with_the_key(self) -> bool:
        wanted, found = self._expected.primary_key, self._actual.primary_key
        if self._code.dialect.name != "sqlite" or wanted is None:
            return False
        return found is None or found.columns != wanted.columns

    def _sequence_drift(self, column: Column, expected: str | None, actual: str | None) -> Finding:
        name = column.sequence.name if column.sequence is not None else column.name
        return self._finding(DriftKind.SEQUENCE, name, column, expected, actual, Severity.WARNING)

    def _drift(
        self, kind: DriftKind, column: Column, expected: str | None, actual: str | None, grave: Severity
    ) -> Finding:
        return self._finding(kind, column.name, column, expected, actual, grave)

    def _finding(
        self,
        kind: DriftKind,
        name: str,
        column: Column,
        expected: str | None,
        actual: str | None,
        grave: Severity,
    ) -> Finding:
        key, folded = self._expected.key, self._code.fold(column.name)
        drift = Drift(kind, self._code.label(key), name, (column.name,), expected, actual, grave)
        return Finding(drift, key, self._expected.columns.get(folded), self._actual.columns.get(folded))


def described(column: Column) -> str:
    """The column on one line, as in a CREATE TABLE statement."""
    parts = [
        column.declared,
        None if column.collation is None else f"COLLATE {column.collation}",
        None if column.nullable else "NOT NULL",
        None if column.default is None else f"DEFAULT {column.default}",
        None if column.computed is None else f"GENERATED ALWAYS AS ({column.computed})",
        None if column.identity is None else _numbering(column),
    ]
    return " ".join(part for part in parts if part)


def _declared(column: Column) -> tuple[str, str]:
    """The declared type without its size, and the size."""
    name, _, size = column.declared.upper().replace(" ", "").partition("(")
    return name, size


def _equal(one: str | None, other: str | None) -> bool:
    return one == other


def _retyped(expected: Column, actual: Column) -> bool:
    return (expected.type, expected.full_type) != (actual.type, actual.full_type)


def _nullability(column: Column) -> str:
    return "NULL" if column.nullable else "NOT NULL"


def _sequence(column: Column) -> str | None:
    sequence = column.sequence
    return None if sequence is None else f"AS {sequence.type} {sequence.options}"


def _numbering(column: Column) -> str | None:
    if column.identity is None:
        return column.autoincrement
    options = f" ({column.sequence.options})" if column.sequence is not None else ""
    return f"GENERATED {column.identity} AS IDENTITY{options}"
