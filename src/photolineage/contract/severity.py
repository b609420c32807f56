"""The severity of a drift: an error if an ordinary insert, select or upsert fails or stores a wrong value."""

import re

from .drift import Severity
from .schema import Column, Constraint, ConstraintKind, Index

_INTEGERS = ("smallint", "integer", "bigint")
_TEXTS = ("character varying", "text")
_FLOATS = ("real", "double precision")
_WIDENING_FAMILIES = (_INTEGERS, _TEXTS, _FLOATS)
_ARGUMENTS = re.compile(r"\(([\d,\s]+)\)")


def _error_if(wrong: bool) -> Severity:
    return Severity.ERROR if wrong else Severity.WARNING


def of_type(expected: Column, actual: Column) -> Severity:
    """A warning if the live type stores every value of the expected type and returns it unchanged."""
    for family in _WIDENING_FAMILIES:
        if expected.type in family and actual.type in family:
            too_short = actual.full_type != actual.type
            return _error_if(too_short or family.index(actual.type) < family.index(expected.type))
    return _error_if({expected.type, actual.type} != {"INTEGER", "NUMERIC"})


def of_type_arguments(expected: Column, actual: Column) -> Severity:
    """A warning if the live type has no arguments, or each is at least as large as the expected one."""
    wanted, found = _arguments(expected.full_type), _arguments(actual.full_type)
    if not found:
        return Severity.WARNING
    if not wanted or len(wanted) != len(found):
        return Severity.ERROR
    return _error_if(any(have < want for want, have in zip(wanted, found, strict=True)))


def _arguments(full_type: str) -> list[int]:
    match = _ARGUMENTS.search(full_type)
    return [] if match is None else [int(argument) for argument in match.group(1).split(",")]


def of_extra_column(column: Column) -> Severity:
    """An error if an INSERT without the column fails."""
    filled = column.default or column.identity or column.computed or column.autoincrement
    return _error_if(not column.nullable and not filled)


def of_nullable(expected: Column, actual: Column) -> Severity:
    """An error if the code may store NULL and the database refuses it."""
    return _error_if(expected.nullable and not actual.nullable)


def of_default(expected: Column) -> Severity:
    """A warning if only the database has a default: the code always gives the value, so the default is not used."""
    return _error_if(expected.default is not None)


def of_numbering(expected: Column, actual: Column) -> Severity:
    """An error if the database does not number the rows, or refuses the number that the code gives."""
    wanted = expected.identity or expected.autoincrement
    found = actual.identity or actual.autoincrement
    return _error_if((bool(wanted) and not found) or actual.identity == "ALWAYS")


def of_constraint_change(expected: Constraint, actual: Constraint) -> Severity:
    """A warning if the same rows are refused: only old rows were not checked, or the columns have another order."""
    return _error_if(_without_order(expected) != _without_order(actual))


def _without_order(constraint: Constraint) -> tuple[str, ...]:
    if constraint.kind not in (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE):
        return (constraint.definition,)
    before, _, rest = constraint.definition.partition("(")
    columns, _, after = rest.rpartition(")")
    return (before, *sorted(columns.split(", ")), after)


def of_index(index: Index) -> Severity:
    """An error if the index is unique: it refuses rows, or an upsert needs it."""
    return _error_if(index.unique)


def of_enum_values(expected: tuple[str, ...], actual: tuple[str, ...]) -> Severity:
    """A warning if only the order differs."""
    return _error_if(set(expected) != set(actual))


def of_table_options(expected: dict[str, str], actual: dict[str, str]) -> Severity:
    """An error if an option can refuse, hide or lose rows: STRICT, row level security, UNLOGGED."""
    grave = ("STRICT", "row level security", "persistence")
    return _error_if(any(expected.get(option) != actual.get(option) for option in grave))
