"""The SQL that fixes an enum type of a PostgreSQL database."""

from collections.abc import Sequence

from sqlalchemy import Enum

from ..drift import DriftKind, Finding, Fix
from ..enumerations import renamed_values
from ..rendering import Writer, rendered
from ..schema import ConstraintKind, EnumType, Schema, Table, TableKey

_DIALECT = "postgresql"
_OLD = "__old"


def enum_fix(finding: Finding, enum: Enum | None, live: Schema) -> Fix:
    """How to fix the drift of an enum type. `enum` is the one in the metadata."""

    def script(writer: Writer) -> None:
        expected, actual = finding.expected, finding.actual
        if finding.drift.kind is DriftKind.ENUM_EXTRA:
            writer.sql(f"DROP TYPE {_name(writer, finding.key)}")
        elif isinstance(expected, EnumType) and finding.drift.kind is DriftKind.ENUM_MISSING:
            _create(writer, finding.key, expected.values)
        elif isinstance(expected, EnumType) and isinstance(actual, EnumType):
            if finding.drift.kind is DriftKind.ENUM_NAME:
                _rename(writer, finding.key, actual, live)
            else:
                _change_values(writer, finding.key, expected.values, actual, enum, live)

    statements = rendered(_DIALECT, script)
    expected, actual = finding.expected, finding.actual
    if finding.drift.kind is not DriftKind.ENUM_VALUES:
        return Fix(safe=statements)
    assert isinstance(expected, EnumType)
    assert isinstance(actual, EnumType)
    if renamed_values(expected.values, actual.values, enum):
        return Fix(
            destructive=statements, note="Stored values get other names. Code that uses the old names fails."
        )
    return Fix(
        safe=statements,
        note="PostgreSQL refuses this while a row holds a value that the expected enum lacks.",
    )


def _name(writer: Writer, key: TableKey) -> str:
    return writer.qualified(key[1], key[0])


def _literals(values: Sequence[str]) -> str:
    return ", ".join(_literal(value) for value in values)


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _create(writer: Writer, key: TableKey, values: Sequence[str]) -> None:
    writer.sql(f"CREATE TYPE {_name(writer, key)} AS ENUM ({_literals(values)})")


def _rename(writer: Writer, key: TableKey, actual: EnumType, live: Schema) -> None:
    """Renames the type. If another type already has the name, the columns change to that type instead."""
    wrong = (key[0], actual.name)
    if key in live.enums:
        _change_columns(writer, wrong, key, live)
    else:
        writer.sql(f"ALTER TYPE {_name(writer, wrong)} RENAME TO {writer.quote(key[1])}")


def _change_values(
    writer: Writer,
    key: TableKey,
    wanted: tuple[str, ...],
    actual: EnumType,
    enum: Enum | None,
    live: Schema,
) -> None:
    name = _name(writer, key)
    renames = renamed_values(wanted, actual.values, enum)
    if renames:
        for stored, right in renames:
            writer.sql(f"ALTER TYPE {name} RENAME VALUE {_literal(stored)} TO {_literal(right)}")
    elif _is_within(actual.values, wanted):
        for place, value in enumerate(wanted):
            if value not in actual.values:
                where = (
                    f"AFTER {_literal(wanted[place - 1])}"
                    if place
                    else f"BEFORE {_literal(actual.values[0])}"
                )
                writer.sql(
                    f"ALTER TYPE {name} ADD VALUE {_literal(value)} {where if actual.values else ''}".rstrip()
                )
    else:
        old = (key[0], f"{key[1]}{_OLD}")
        writer.sql(f"ALTER TYPE {name} RENAME TO {writer.quote(old[1])}")
        _create(writer, key, wanted)
        _change_columns(writer, key, key, live)
        writer.sql(f"DROP TYPE {_name(writer, old)}")


def _is_within(part: Sequence[str], whole: Sequence[str]) -> bool:
    remaining = iter(whole)
    return all(value in remaining for value in part)


def _change_columns(writer: Writer, old: TableKey, new: TableKey, live: Schema) -> None:
    """Changes every live column of the old type to the new one, and recreates the CHECKs and indexes that use it."""
    name = _name(writer, new)
    for table in live.tables.values():
        columns = [column for column in table.columns.values() if column.enum == old]
        if not columns:
            continue
        place = f"ALTER TABLE {_name(writer, table.key)}"
        made_again = _take_down(writer, table, {column.name for column in columns})
        for column in columns:
            alter = f"{place} ALTER COLUMN {writer.quote(column.name)}"
            brackets = "[]" if column.type.endswith("[]") else ""
            if column.default is not None:
                writer.sql(f"{alter} DROP DEFAULT")
            using = f"{writer.quote(column.name)}::text{brackets}::{name}{brackets}"
            writer.sql(f"{alter} TYPE {name}{brackets} USING {using}")
            if column.default is not None:
                writer.sql(f"{alter} SET DEFAULT {column.default.partition('::')[0]}")
        for statement in made_again:
            writer.sql(statement.replace(f".{old[1]}", f".{new[1]}"))


def _take_down(writer: Writer, table: Table, columns: set[str]) -> list[str]:
    """Drops the CHECKs and indexes that read the columns in a condition. Returns the statements that recreate them."""
    place, made_again = _name(writer, table.key), []
    for check in table.constraints_of(ConstraintKind.CHECK):
        if columns & set(check.columns):
            writer.op.drop_constraint(check.name or "", table.key[1], schema=table.key[0])
            name = writer.quote(check.name or "")
            made_again.append(f"ALTER TABLE {place} ADD CONSTRAINT {name} {check.definition}")
    for index in table.indexes.values():
        if columns & set(index.columns) and "::" in index.definition:
            writer.op.drop_index(index.name, table_name=table.key[1], schema=table.key[0])
            words, _, rest = index.definition.partition("USING ")
            made_again.append(f"CREATE {words}INDEX {writer.quote(index.name)} ON {place} USING {rest}")
    return made_again
