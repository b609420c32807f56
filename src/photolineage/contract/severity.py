"""How grave a drift is: whether an ordinary insert, select or upsert of the model fails or stores something wrong."""

import re

from .drift import Severity
from .schema import Column, Constraint, Index

_INTEGERS = ("smallint", "integer", "bigint")
_TEXTS = ("character varying", "text")
_FLOATS = ("real", "double precision")
_WIDENING_FAMILIES = (_INTEGERS, _TEXTS, _FLOATS)
_ARGUMENTS = re.compile(r"\(([\d,\s]+)\)")


def _error_if(wrong: bool) -> Severity:
    return Severity.ERROR if wrong else Severity.WARNING


def of_type(expected: Column, actual: Column) -> Severity:
    """A warning where the live type holds every value of the model's and gives it back as it was."""
    for family in _WIDENING_FAMILIES:
        if expected.type in family and actual.type in family:
            too_short = actual.full_type != actual.type
            return _error_if(too_short or family.index(actual.type) < family.index(expected.type))
    return _error_if({expected.type, actual.type} != {"INTEGER", "NUMERIC"})


def of_type_arguments(expected: Column, actual: Column) -> Severity:
    """A warning where every argument of the live type is at least the model's, or it has none."""
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
    """An error where an insert that does not know the column fails."""
    filled = column.default or column.identity or column.computed or column.autoincrement
    return _error_if(not column.nullable and not filled)


def of_nullable(expected: Column, actual: Column) -> Severity:
    """An error where the model may store NULL and the database refuses it."""
    return _error_if(expected.nullable and not actual.nullable)


def of_default(expected: Column) -> Severity:
    """A warning where only the database has a default: the model never leaves the value to it."""
    return _error_if(expected.default is not None)


def of_numbering(expected: Column, actual: Column) -> Severity:
    """An error where rows are not numbered, or where the model gives the number and the database refuses it."""
    wanted = expected.identity or expected.autoincrement
    found = actual.identity or actual.autoincrement
    return _error_if((bool(wanted) and not found) or actual.identity == "ALWAYS")


def of_constraint_change(expected: Constraint, actual: Constraint) -> Severity:
    """A warning where new rows meet the same condition and only old ones were never verified."""
    return _error_if(expected.definition != actual.definition)


def of_index(index: Index) -> Severity:
    """An error where the index is unique: it refuses rows, or an upsert needs it."""
    return _error_if(index.unique)


def of_enum_values(expected: tuple[str, ...], actual: tuple[str, ...]) -> Severity:
    """A warning where only the order differs."""
    return _error_if(set(expected) != set(actual))


def of_table_options(expected: dict[str, str], actual: dict[str, str]) -> Severity:
    """An error where rows are refused, hidden or lost by an option: STRICT, row level security, unlogged."""
    grave = ("STRICT", "row level security", "persistence")
    return _error_if(any(expected.get(option) != actual.get(option) for option in grave))
