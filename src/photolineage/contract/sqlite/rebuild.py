"""Rebuilds a SQLite table as the metadata declares it, for changes that SQLite cannot make in place."""

from typing import Any

from sqlalchemy import Column as CodeColumn
from sqlalchemy import MetaData, text
from sqlalchemy import Table as CodeTable
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import UserDefinedType

from ..metadata import Code, constant_default
from ..rendering import Writer
from ..schema import Column, Table

_OLD = "__old"
_BEFORE = ("PRAGMA foreign_keys = OFF", "PRAGMA legacy_alter_table = ON", "BEGIN IMMEDIATE")
_AFTER = ("COMMIT", "PRAGMA legacy_alter_table = OFF", "PRAGMA foreign_keys = ON")

StoredValues = dict[str, list[tuple[str, str]]]
"""By column, (stored, replacement) pairs of strings."""


class _AsDeclared(UserDefinedType[Any]):
    """A type exactly as the live table declares it."""

    cache_ok = True

    def __init__(self, declared: str) -> None:
        self.declared = declared

    def get_col_spec(self, **_: Any) -> str:
        return self.declared


class Rebuild:
    """Renames the live table, creates the new one, copies the rows, and drops the old table.

    Triggers are kept, and so are columns and indexes that the metadata does not have. With `legacy_alter_table`
    the foreign keys of other tables still point to the table's name. With `foreign_keys` off, dropping the old
    table deletes no other rows (https://www.sqlite.org/lang_altertable.html, section 7).
    """

    def __init__(self, code: Code, own: CodeTable, expected: Table, actual: Table) -> None:
        self._code = code
        self._own = own
        self._expected = expected
        self._actual = actual
        self._extra = [c for name, c in actual.columns.items() if name not in expected.columns]

    def write(
        self, writer: Writer, *, without: str | None = None, values: StoredValues | None = None
    ) -> None:
        """Writes the statements, without the column `without`."""
        kept = [column for column in self._extra if column.name != without]
        new = self._new_table(kept)
        for statement in _BEFORE:
            writer.sql(statement)
        writer.op.rename_table(self._own.name, self._own.name + _OLD, schema=self._own.schema)
        writer.op.execute(CreateTable(new))
        self._copy_rows(writer, kept, values or {})
        if "AUTOINCREMENT" in self._numberings(self._actual):
            self._keep_last_number(writer)
        writer.op.drop_table(self._own.name + _OLD, schema=self._own.schema)
        self._restore_scripts(writer, without)
        for statement in _AFTER:
            writer.sql(statement)

    def _new_table(self, kept: list[Column]) -> CodeTable:
        metadata = MetaData(naming_convention=self._own.metadata.naming_convention)
        for table in self._own.metadata.tables.values():
            table.to_metadata(metadata)
        new = metadata.tables[self._own.key]
        for column in kept:
            declared = column.declared.partition(" (")[0]
            default = None if column.default is None else text(f"({column.default})".replace(":", r"\:"))
            new.append_column(CodeColumn(column.name, _AsDeclared(declared), server_default=default))
        return new

    def _copy_rows(self, writer: Writer, kept: list[Column], values: StoredValues) -> None:
        targets, sources = [], []
        for name, column in self._expected.columns.items():
            own = self._code.column(self._expected.key, name)
            if column.computed or own is None:
                continue
            source = self._source(writer, name, own, values.get(name, []))
            if source is not None:
                targets.append(writer.quote(own.name))
                sources.append(source)
        for column in kept:
            if not column.computed:
                targets.append(writer.quote(column.name))
                sources.append(writer.quote(column.name))
        new, old = self._names(writer)
        writer.sql(f"INSERT INTO {new} ({', '.join(targets)}) SELECT {', '.join(sources)} FROM {old}")  # noqa: S608 - names are quoted

    def _source(
        self, writer: Writer, name: str, own: CodeColumn[Any], renames: list[tuple[str, str]]
    ) -> str | None:
        """The SQL expression that fills a column; None if its default fills it."""
        live = self._actual.columns.get(name)
        if live is None:
            constant = constant_default(own)
            options = {"literal_binds": True}
            return (
                None
                if constant is None
                else str(constant.compile(dialect=writer.dialect, compile_kwargs=options))
            )
        quoted = writer.quote(live.name)
        if not renames:
            return quoted
        cases = " ".join(f"WHEN {_literal(old)} THEN {_literal(new)}" for old, new in renames)
        return f"CASE {quoted} {cases} ELSE {quoted} END"

    def _keep_last_number(self, writer: Writer) -> None:
        """Keeps the last number, so that a new row does not get the number of a deleted row."""
        new, old = _literal(self._own.name), _literal(self._own.name + _OLD)
        if "AUTOINCREMENT" in self._numberings(self._expected):
            writer.sql(f"DELETE FROM sqlite_sequence WHERE name = {new}")  # noqa: S608 - names are quoted
            writer.sql(f"UPDATE sqlite_sequence SET name = {new} WHERE name = {old}")  # noqa: S608 - names are quoted

    def _restore_scripts(self, writer: Writer, without: str | None) -> None:
        for index in sorted(self._own.indexes, key=lambda index: str(index.name)):
            writer.create_index(index)
        for name, statement in self._actual.scripts.items():
            live = self._actual.indexes.get(name)
            lost = live is not None and without is not None and self._code.fold(without) in live.columns
            if name not in self._expected.indexes and not lost:
                writer.sql(statement)

    def _names(self, writer: Writer) -> tuple[str, str]:
        name, schema = self._own.name, self._own.schema
        return writer.qualified(name, schema), writer.qualified(name + _OLD, schema)

    @staticmethod
    def _numberings(table: Table) -> set[str | None]:
        return {column.autoincrement for column in table.columns.values()}


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
