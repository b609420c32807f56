"""Which changes of a column's type keep every value, or are refused where they would not."""

from .schema import Column

_INTEGERS = ("smallint", "integer", "bigint")
_FLOATS = ("real", "double precision")
_STRINGS = ("character varying", "text")


def postgresql_keeps(actual: Column, expected: Column) -> bool:
    """Whether PostgreSQL's conversion loses nothing: it widens, it prints, or it refuses what does not fit."""
    if expected.type == actual.type:
        return _keeps_arguments(actual, expected)
    for family in (_INTEGERS, _STRINGS):
        if expected.type in family and actual.type in family:
            return True
    if actual.type in _INTEGERS and expected.type == "numeric":
        return expected.full_type == "numeric"
    if actual.type in _FLOATS and expected.type in _FLOATS:
        return _FLOATS.index(actual.type) < _FLOATS.index(expected.type)
    prints = expected.type in _STRINGS and not actual.type.startswith("character")
    becomes_a_list = expected.type == f"{actual.type}[]"
    return prints or becomes_a_list or expected.enum is not None


def _keeps_arguments(actual: Column, expected: Column) -> bool:
    """Strings, bits and vectors that do not fit are refused; numbers and times are rounded to fit."""
    rounds = any(word in actual.type for word in ("numeric", "time", "interval"))
    if not rounds or expected.full_type == expected.type:
        return True
    if actual.full_type == actual.type:
        return False
    return all(have <= want for have, want in zip(_digits(actual), _digits(expected), strict=True))


def _digits(column: Column) -> tuple[int, int]:
    """The digits before and after the point; of a time, those of its seconds."""
    arguments = column.full_type.partition("(")[2].partition(")")[0]
    numbers = [int(part) for part in arguments.split(",") if part.strip().isdigit()]
    if len(numbers) == 2:
        return numbers[1], numbers[0] - numbers[1]
    return (numbers[0] if numbers else 0), 0


def sqlite_keeps(actual: Column, expected: Column) -> bool:
    """Whether SQLite gives every value back as it was: no affinity that turns '007' into 7."""
    if actual.type == expected.type or expected.type in ("BLOB", "ANY"):
        return True
    return expected.type == "TEXT" or actual.type in ("INTEGER", "REAL", "NUMERIC")
