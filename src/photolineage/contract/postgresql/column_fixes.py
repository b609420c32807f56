"""The SQL that fixes a column of a PostgreSQL table."""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column as CodeColumn
from sqlalchemy import text

from ..drift import Drift, DriftKind, Fix
from ..loose import equal_but_for_types
from ..metadata import addable, constant_default
from ..rendering import Writer, rendered
from ..schema import Column, Constraint, Index, Table, TableKey

_DIALECT = "postgresql"
_IDENTITY_KINDS = ("ALWAYS", "BY DEFAULT")
_INTEGERS = ("smallint", "integer", "bigint")
_STRINGS = ("character varying", "text")
_NUMBERS = (*_INTEGERS, "numeric", "real", "double precision")
_TIMES = ("date", "timestamp without time zone", "timestamp with time zone")
_GROUPS = (_NUMBERS, _TIMES, ("boolean",), ("bytea",), ("text[]", "character varying[]"))


def add_column(writer: Writer, column: CodeColumn[Any]) -> None:
    """Adds the column. Old rows get the constant that the code gives to new rows, if it gives one."""
    constant = constant_default(column)
    writer.op.add_column(column.table.name, addable(column, constant), schema=column.table.schema)
    if constant is not None:
        writer.alter_column(column, server_default=None)


def add_constraint(writer: Writer, key: TableKey, constraint: Constraint) -> None:
    """Adds a constraint as PostgreSQL prints it."""
    name = writer.quote(constraint.name or "")
    unproven = " NOT VALID" if constraint.unproven else ""
    table = writer.qualified(key[1], key[0])
    writer.sql(f"ALTER TABLE {table} ADD CONSTRAINT {name} {constraint.definition}{unproven}")


def add_index(writer: Writer, key: TableKey, index: Index) -> None:
    """Creates an index as PostgreSQL prints it."""
    words, _, rest = index.definition.partition("USING ")
    table = writer.qualified(key[1], key[0])
    writer.sql(f"CREATE {words}INDEX {writer.quote(index.name)} ON {table} USING {rest}")


@dataclass(frozen=True)
class ColumnFixes:
    """The fixes of one column that both the metadata and the live table have. `table`: the live table."""

    table: Table
    column: CodeColumn[Any]
    expected: Column
    actual: Column

    def fix(self, drift: Drift) -> Fix:
        """How to fix the drift."""
        if drift.kind in (DriftKind.TYPE, DriftKind.TYPE_ARGS, DriftKind.DIMS):
            return self._type()
        if drift.kind is DriftKind.COMPUTED:
            return self._computed()
        script = {
            DriftKind.NULLABLE: self._nullable,
            DriftKind.DEFAULT: self._default,
            DriftKind.COLLATION: self._collation,
            DriftKind.COMMENT: self._comment,
        }.get(drift.kind, self._numbering)
        note = "PostgreSQL refuses this while rows hold NULL. Give these rows a value first."
        refused = drift.kind is DriftKind.NULLABLE and not self.expected.nullable
        return Fix(safe=rendered(_DIALECT, script), note=note if refused else "")

    def _nullable(self, writer: Writer) -> None:
        writer.alter_column(self.column, nullable=self.expected.nullable)

    def _default(self, writer: Writer) -> None:
        default = self.expected.default
        writer.alter_column(self.column, server_default=None if default is None else _verbatim(default))

    def _collation(self, writer: Writer) -> None:
        writer.alter_column(self.column, type_=self.column.type)

    def _comment(self, writer: Writer) -> None:
        writer.alter_column(self.column, comment=self.expected.comment)

    def _type(self) -> Fix:
        if self.actual.computed and not equal_but_for_types(self.expected.computed, self.actual.computed):
            return self._computed()  # the values come from an expression that the new type may not fit
        statements = rendered(_DIALECT, self._change_type)
        if _keeps(self.actual, self.expected):
            return Fix(
                safe=statements, note="PostgreSQL refuses this while a row holds a value that does not fit."
            )
        return Fix(
            destructive=statements,
            note="The new type cannot store every value unchanged. Some values are rewritten.",
        )

    def _change_type(self, writer: Writer) -> None:
        """Changes the type. PostgreSQL refuses that while a generated column uses the column, so it is made again."""
        place = f"ALTER TABLE {writer.qualified(self.column.table.name, self.column.table.schema)}"
        generated = [column for column in self.table.columns.values() if self._is_read_by(writer, column)]
        for column in generated:
            writer.sql(f"{place} DROP COLUMN {writer.quote(column.name)}")
        self._alter_type(writer)
        for column in generated:
            expression, _, kind = (column.computed or "").rpartition(" ")
            collation = f" COLLATE {column.collation}" if column.collation else ""
            required = "" if column.nullable else " NOT NULL"
            writer.sql(
                f"{place} ADD COLUMN {writer.quote(column.name)} {column.full_type}{collation}"
                f" GENERATED ALWAYS AS ({expression}) {kind}{required}"
            )
            if column.comment is not None:
                name = f"{writer.qualified(self.table.key[1], self.table.key[0])}.{writer.quote(column.name)}"
                comment = column.comment.replace("'", "''")
                writer.sql(f"COMMENT ON COLUMN {name} IS '{comment}'")
            self._restore(writer, column.name)

    def _is_read_by(self, writer: Writer, column: Column) -> bool:
        word = rf"(?<![\w\"]){re.escape(writer.quote(self.actual.name))}(?![\w\"])"
        return column.name != self.actual.name and re.search(word, column.computed or "") is not None

    def _alter_type(self, writer: Writer) -> None:
        if self.actual.default is not None:
            writer.alter_column(self.column, server_default=None)
        writer.alter_column(self.column, type_=self.column.type, postgresql_using=self._using(writer))
        if self.actual.default is not None and self.expected.default is not None:
            self._default(writer)
        if self.expected.autoincrement and self.expected.sequence and self.actual.sequence:
            writer.sql(f"ALTER SEQUENCE {self._sequence(writer)} AS {self.expected.sequence.type}")

    def _using(self, writer: Writer) -> str | None:
        """The USING expression, if PostgreSQL does not convert the values automatically; otherwise None."""
        name = writer.quote(self.actual.name)
        if self.actual.computed is not None and self.expected.computed is not None:
            return None
        if self.expected.type == f"{self.actual.type}[]":
            return f"ARRAY[{name}]"
        if self.expected.type in _STRINGS:
            return self._no_longer_than(name)
        if self.expected.type == self.actual.type:
            return None
        through_text = "::text" if self.expected.enum is not None or self._has_no_cast() else ""
        return f"{name}{through_text}::{self.expected.full_type}"

    def _has_no_cast(self) -> bool:
        """Whether PostgreSQL converts between the types only by their text, such as a number into a time."""
        groups = [next((g for g in _GROUPS if c.type in g), None) for c in (self.actual, self.expected)]
        return None not in groups and groups[0] != groups[1]

    def _no_longer_than(self, name: str) -> str | None:
        """Makes PostgreSQL refuse a string that is too long because of blanks at its end. It would cut them off."""
        longest, found = _length(self.expected), _length(self.actual)
        if self.actual.type not in _STRINGS or not longest or (found and found <= longest):
            return None
        return f"CASE WHEN char_length({name}) > {longest} THEN {name} || '!' ELSE {name} END"

    def _computed(self) -> Fix:
        if self.expected.computed is None:
            stored = rendered(_DIALECT, self._keep_computed_values)
            moved = "" if self._is_stored else " It becomes the last column of the table."
            note = f"The computed values are stored in the column.{moved}"
            if _keeps(self.actual, self.expected):
                return Fix(safe=stored, note=note)
            return Fix(destructive=stored, note=f"{note} The new type cannot store every value unchanged.")
        statements = rendered(_DIALECT, self._replace)
        if self.actual.computed is None:
            return Fix(destructive=statements, note="Computed values replace the values of the column.")
        return Fix(
            safe=statements,
            note="PostgreSQL computes the values again. The column becomes the last column of the table.",
        )

    def _replace(self, writer: Writer) -> None:
        table = self.column.table
        writer.op.drop_column(table.name, self.actual.name, schema=table.schema)
        add_column(writer, self.column)
        self._restore(writer, self.actual.name)

    @property
    def _is_stored(self) -> bool:
        return (self.actual.computed or "").endswith("STORED")

    def _keep_computed_values(self, writer: Writer) -> None:
        """Makes a computed column a plain one that keeps its values. A second time, it does nothing.

        The drift of the type has the same fix: no expression has to fit the new type.
        """
        if self.expected.full_type != self.actual.full_type:
            writer.sql(
                self._in_place(
                    writer,
                    "IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = '{table}'::regclass"
                    " AND attname = '{name}' AND attgenerated <> '') THEN RETURN; END IF",
                )
            )
        if self._is_stored:
            writer.sql(self._in_place(writer, "ALTER TABLE {table} ALTER COLUMN {column} DROP EXPRESSION"))
        else:
            self._store(writer)
        if self.expected.full_type != self.actual.full_type:
            writer.alter_column(self.column, type_=self.column.type, postgresql_using=self._using(writer))
        if not self.expected.nullable and not self._is_stored:
            writer.alter_column(self.column, nullable=False)
        if self.expected.default is not None:
            self._default(writer)

    def _store(self, writer: Writer) -> None:
        """Replaces a virtual column by one that stores its values. No trigger of the table runs."""
        table, old = self.column.table, writer.quote(self.actual.name)
        new = writer.quote(f"{self.actual.name}__stored")
        place = f"ALTER TABLE {writer.qualified(table.name, table.schema)}"
        expression = (self.actual.computed or "").removesuffix(" VIRTUAL")
        collation = f" COLLATE {self.actual.collation}" if self.actual.collation else ""
        type_ = f"{self.actual.full_type}{collation}"
        writer.sql(f"{place} ADD COLUMN {new} {type_} GENERATED ALWAYS AS ({expression}) STORED")
        writer.sql(f"{place} ALTER COLUMN {new} DROP EXPRESSION")
        writer.sql(f"{place} DROP COLUMN {old}")
        writer.sql(f"{place} RENAME COLUMN {new} TO {old}")
        if self.actual.comment is not None:
            writer.alter_column(self.column, comment=self.actual.comment)
        self._restore(writer, self.actual.name)

    def _restore(self, writer: Writer, name: str) -> None:
        """Creates the constraints and indexes again that PostgreSQL drops with the column."""
        key = self.table.key
        for constraint in self.table.constraints:
            if name in constraint.columns:
                add_constraint(writer, key, constraint)
        for index in self.table.indexes.values():
            if name in index.columns:
                add_index(writer, key, index)

    def _numbering(self, writer: Writer) -> None:
        """Changes how the column is numbered: by an identity, by a sequence that it owns, or not at all."""
        if self.expected.identity and self.actual.identity:
            self._alter_identity(writer)
            return
        if self.actual.identity:
            writer.sql(self._in_place(writer, "ALTER TABLE {table} ALTER COLUMN {column} DROP IDENTITY"))
        elif self.actual.default or self.actual.autoincrement:
            writer.alter_column(self.column, server_default=None)
        if self.expected.identity:
            self._add_identity(writer)
        elif self.expected.autoincrement:
            self._use_sequence(writer)

    def _alter_identity(self, writer: Writer) -> None:
        assert self.expected.sequence is not None
        options = self.expected.sequence.options.replace("NO CYCLE", "SET NO CYCLE")
        for option in ("START", "INCREMENT", "MINVALUE", "MAXVALUE", "CACHE"):
            options = options.replace(f"{option} ", f"SET {option} ").replace("SET NO SET", "SET NO")
        if not options.endswith("SET NO CYCLE"):
            options = options.replace(" CYCLE", " SET CYCLE")
        statement = (
            f"ALTER TABLE {{table}} ALTER COLUMN {{column}} SET GENERATED {self.expected.identity} {options}"
        )
        writer.sql(self._in_place(writer, statement))

    def _add_identity(self, writer: Writer) -> None:
        if self.actual.autoincrement and self.actual.sequence is not None:
            writer.sql(f"DROP SEQUENCE {self._sequence(writer)}")
        sequence = self.expected.sequence
        options = f" ({sequence.options})" if sequence is not None else ""
        statement = f"ALTER TABLE {{table}} ALTER COLUMN {{column}} ADD GENERATED {self.expected.identity} AS IDENTITY"
        writer.sql(self._in_place(writer, statement + options))
        self._continue_after_the_last(writer)

    def _use_sequence(self, writer: Writer) -> None:
        wanted = self.expected.sequence
        assert wanted is not None
        name = self._sequence(writer)
        definition = f"AS {wanted.type} {wanted.options}"
        if self.actual.sequence is not None and not self.actual.identity:
            writer.sql(f"ALTER SEQUENCE {name} {definition}")
        else:
            writer.sql(f"CREATE SEQUENCE IF NOT EXISTS {name} {definition}")
        column = self._in_place(writer, "{table}.{column}")
        writer.sql(f"ALTER SEQUENCE {name} OWNED BY {column}")
        writer.alter_column(self.column, server_default=_verbatim(f"nextval('{name}'::regclass)"))
        self._continue_after_the_last(writer)

    def _continue_after_the_last(self, writer: Writer) -> None:
        statement = (
            "SELECT setval(pg_get_serial_sequence('{table}', '{name}'), max({column})) FROM {table}"
            " HAVING max({column}) IS NOT NULL"
        )
        writer.sql(self._in_place(writer, statement))

    def _sequence(self, writer: Writer) -> str:
        sequence = (
            self.actual.sequence
            if self.actual.sequence and not self.actual.identity
            else self.expected.sequence
        )
        assert sequence is not None
        return writer.qualified(sequence.name, self.column.table.schema)

    def _in_place(self, writer: Writer, statement: str) -> str:
        table = self.column.table
        return statement.format(
            table=writer.qualified(table.name, table.schema),
            column=writer.quote(self.actual.name),
            name=self.actual.name.replace("'", "''"),
        )


def _verbatim(expression: str) -> Any:
    """An expression exactly as the server printed it. Colons are escaped, or SQLAlchemy reads them as parameters."""
    return text(expression.replace(":", r"\:"))


def _keeps(actual: Column, expected: Column) -> bool:
    """Whether PostgreSQL's conversion changes no value: it widens the type, or refuses values that do not fit."""
    if expected.type == actual.type:
        return _keeps_arguments(actual, expected)
    for family in (_INTEGERS, _STRINGS):
        if expected.type in family and actual.type in family:
            return True
    if actual.type in _INTEGERS and expected.type == "numeric":
        return expected.full_type == "numeric"
    labels = actual.enum is not None and expected.full_type in ("text", "character varying")
    domain = f"{actual.type.partition(' AS ')[2]} ".startswith(f"{expected.full_type} ")
    return labels or domain or (expected.enum is not None and _is_text(actual, expected))


def _is_text(actual: Column, expected: Column) -> bool:
    """Whether the column has strings, or lists of strings if the expected column has lists."""
    brackets = "[]" if expected.type.endswith("[]") else ""
    enum = actual.enum is not None and actual.type.endswith("[]") == bool(brackets)
    return enum or actual.type in [string + brackets for string in _STRINGS]


def _keeps_arguments(actual: Column, expected: Column) -> bool:
    """Whether a change of arguments changes no value: bits and vectors that do not fit are refused.

    Numbers and times are rounded instead. A string that is too long is refused (`_no_longer_than`), but not in a list.
    PostgreSQL fills `character` with blanks.
    """
    if expected.type.startswith("character") and expected.type != "character varying":
        widens = not _length(expected) or 0 < _length(actual) <= _length(expected)
        return widens and expected.type == "character varying[]"
    rounds = any(word in actual.type for word in ("numeric", "time", "interval"))
    if not rounds or expected.full_type == expected.type:
        return True
    if actual.full_type == actual.type:
        return False
    return all(have <= want for have, want in zip(_digits(actual), _digits(expected), strict=True))


def _length(column: Column) -> int:
    """The longest string of the column; 0 without a limit."""
    found = re.search(r"\((\d+)\)", column.full_type)
    return 0 if found is None else int(found[1])


def _digits(column: Column) -> tuple[int, int]:
    """The digits before and after the point. For a time, the digits of its seconds."""
    arguments = column.full_type.partition("(")[2].partition(")")[0]
    numbers = [int(part) for part in arguments.split(",") if part.strip().isdigit()]
    if len(numbers) == 2:
        return numbers[1], numbers[0] - numbers[1]
    return (numbers[0] if numbers else 0), 0
