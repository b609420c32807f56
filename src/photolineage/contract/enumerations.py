"""Enum values that the database stores under other names than the code."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Enum

from .schema import Schema, Table, TableKey


def renamed_values(wanted: Sequence[str], found: Sequence[str], enum: Enum | None) -> list[tuple[str, str]]:
    """(stored, expected) pairs for values stored under their member's name or in another case.

    Empty if this does not explain the whole difference.
    """
    if len(found) != len(wanted):
        return []
    members = [] if enum is None or enum.enum_class is None else list(enum.enum_class.__members__)
    value_of_name = dict(zip(members, wanted, strict=True)) if len(members) == len(wanted) else {}
    pairs = list(zip(found, wanted, strict=True))
    for old, new in pairs:
        if value_of_name.get(old) != new and old.casefold() != new.casefold():
            return []
    return [(old, new) for old, new in pairs if old != new]


def in_the_words_of(expected: Schema, actual: Schema, enums: Mapping[TableKey, Enum]) -> Schema:
    """The live schema with renamed enum values (see `renamed_values`) replaced by the expected ones in definitions.

    A default or CHECK that differs only by these names is then no drift of its own; the enum type still is.
    """
    tables = dict(actual.tables)
    for key, enum in expected.enums.items():
        live = actual.enums.get(key)
        renames = renamed_values(enum.values, live.values, enums.get(key)) if live is not None else []
        for old, new in renames:
            before, after = (f"'{value.replace(chr(39), chr(39) * 2)}'::" for value in (old, new))
            tables = {name: _reworded(table, key, before, after) for name, table in tables.items()}
    return replace(actual, tables=tables)


def _reworded(table: Table, enum: TableKey, before: str, after: str) -> Table:
    columns = {name for name, column in table.columns.items() if column.enum == enum}
    if not columns:
        return table
    return replace(
        table,
        columns={
            name: replace(column, default=(column.default or "").replace(before, after) or None)
            for name, column in table.columns.items()
        },
        constraints=tuple(
            replace(c, definition=c.definition.replace(before, after)) if columns & set(c.columns) else c
            for c in table.constraints
        ),
        indexes={
            name: replace(index, definition=index.definition.replace(before, after))
            if columns & set(index.columns)
            else index
            for name, index in table.indexes.items()
        },
    )
