"""The SQL that fixes a drift of a SQLite database.

The statements of a rebuild begin and commit a transaction, so run them one by one, in autocommit.
"""

from typing import Any

from sqlalchemy import Column as CodeColumn
from sqlalchemy import Table as CodeTable

from ..drift import NO_FIX, DriftKind, Finding, Fix
from ..enumerations import renamed_values
from ..loose import listed_values
from ..metadata import Code, addable, enum_of
from ..rendering import Script, Writer, rendered
from ..schema import Column, Constraint, Index, RelationKind, Schema, Table
from .rebuild import Rebuild, StoredValues

_DIALECT = "sqlite"
_REBUILDS = "These statements rebuild the table, which fixes its other drifts too."
_REFUSED = " SQLite refuses this and changes nothing while a row breaks a constraint of the expected table."


class SqliteFixes:
    """The fixes of the differences between the expected and the live schema."""

    def __init__(self, code: Code, expected: Schema, actual: Schema) -> None:
        self._code = code
        self._expected = expected
        self._actual = actual

    def fix(self, finding: Finding) -> Fix:  # noqa: PLR0911 - one return a kind
        """How to fix the drift."""
        own = self._code.table(finding.key)
        kind = finding.drift.kind
        if kind is DriftKind.EXTRA_TABLE:
            name, schema = finding.key[1], finding.key[0]
            statements = rendered(_DIALECT, lambda writer: writer.op.drop_table(name, schema=schema))
            return Fix(destructive=statements, note="Dropping the table loses its rows.")
        if own is None:
            return NO_FIX
        if kind is DriftKind.MISSING_TABLE:
            return Fix(safe=rendered(_DIALECT, lambda writer: writer.create_table(own)))
        if kind is DriftKind.RELATION_KIND:
            return self._of_relation(finding, own)
        if isinstance(finding.expected or finding.actual, Index):
            return self._of_index(finding)
        if kind is DriftKind.EXTRA_COLUMN and isinstance(finding.actual, Column):
            return self._extra_column(finding, own, finding.actual)
        if kind is DriftKind.MISSING_COLUMN and isinstance(finding.expected, Column):
            return self._missing_column(finding, own, finding.expected)
        return self._by_rebuild(finding, own)

    def _rebuild(self, finding: Finding, own: CodeTable) -> Rebuild:
        return Rebuild(self._code, own, self._expected.tables[finding.key], self._actual.tables[finding.key])

    def _by_rebuild(self, finding: Finding, own: CodeTable) -> Fix:
        values = self._stored_values(finding)
        rebuild = self._rebuild(finding, own)
        statements = rendered(_DIALECT, lambda writer: rebuild.write(writer, values=values))
        live = self._actual.tables[finding.key].columns
        wanted = self._expected.tables[finding.key].columns
        rewritten = [name for name in wanted.keys() & live.keys() if not _keeps(live[name], wanted[name])]
        replaced = [n for n in wanted.keys() & live.keys() if wanted[n].computed and not live[n].computed]
        if rewritten or replaced:
            columns = ", ".join(sorted({*rewritten, *replaced}))
            return Fix(destructive=statements, note=f"{_REBUILDS} Values of {columns} are rewritten.")
        return Fix(safe=statements, note=_REBUILDS + _REFUSED)

    def _stored_values(self, finding: Finding) -> StoredValues:
        """For an enum stored by member name or in another case: the stored values and their replacements."""
        expected, actual = finding.expected, finding.actual
        if finding.drift.kind is not DriftKind.ENUM_VALUES:
            return {}
        if not isinstance(expected, Constraint) or not isinstance(actual, Constraint):
            return {}
        column = self._code.column(finding.key, expected.columns[0])
        enum = None if column is None else enum_of(column.type, self._code.dialect)
        wanted = self._code.enum_values(finding.key, expected.columns[0]) or ()
        found = listed_values(actual.definition) or ()
        return {expected.columns[0]: renamed_values(wanted, found, enum)}

    def _of_relation(self, finding: Finding, own: CodeTable) -> Fix:
        actual = finding.actual
        if not isinstance(actual, Table) or actual.kind is not RelationKind.VIEW:
            return NO_FIX

        def script(writer: Writer) -> None:
            writer.sql(f"DROP VIEW {writer.qualified(own.name, own.schema)}")
            writer.create_table(own)

        return Fix(destructive=rendered(_DIALECT, script), note="Dropping the view loses its definition.")

    def _of_index(self, finding: Finding) -> Fix:
        expected, actual, key = finding.expected, finding.actual, finding.key

        def script(writer: Writer) -> None:
            if isinstance(actual, Index):
                writer.op.drop_index(actual.name, table_name=key[1], schema=key[0])
            own = self._code.index(key, expected.name) if isinstance(expected, Index) else None
            if own is not None:
                writer.create_index(own)

        unique = isinstance(expected, Index) and expected.unique
        return Fix(
            safe=rendered(_DIALECT, script),
            note="SQLite refuses this while two rows have the same values." if unique else "",
        )

    def _extra_column(self, finding: Finding, own: CodeTable, actual: Column) -> Fix:
        rebuild = self._rebuild(finding, own)
        required = not actual.nullable and actual.default is None and not actual.computed
        return Fix(
            safe=rendered(_DIALECT, rebuild.write) if required else (),
            destructive=rendered(_DIALECT, lambda writer: rebuild.write(writer, without=actual.name)),
            note=f"Dropping the column loses its values. You can keep the column if it is nullable. {_REBUILDS}",
        )

    def _missing_column(self, finding: Finding, own: CodeTable, expected: Column) -> Fix:
        column = self._code.column(finding.key, expected.name)
        if column is None:
            return NO_FIX
        if self._needs_rebuild(finding, expected):
            rebuild = self._rebuild(finding, own)
            return Fix(safe=rendered(_DIALECT, rebuild.write), note=_REBUILDS + _REFUSED)
        return Fix(safe=rendered(_DIALECT, self._add_column(finding, own, column)))

    def _needs_rebuild(self, finding: Finding, expected: Column) -> bool:
        """Whether ALTER TABLE ADD COLUMN cannot add it (https://www.sqlite.org/lang_altertable.html, section 4)."""
        name = self._code.fold(expected.name)
        constrained = any(name in c.columns for c in self._expected.tables[finding.key].constraints)
        constant = expected.default is None or expected.default[0] in "'+-.0123456789xX"
        stored = (expected.computed or "").endswith("STORED")
        required = not expected.nullable and expected.default is None
        return constrained or stored or required or not constant

    def _add_column(self, finding: Finding, own: CodeTable, column: CodeColumn[Any]) -> Script:
        def script(writer: Writer) -> None:
            writer.op.add_column(own.name, addable(column), schema=own.schema)
            present = self._actual.tables[finding.key].indexes
            for name, index in self._expected.tables[finding.key].indexes.items():
                own_index = self._code.index(finding.key, name)
                if (
                    self._code.fold(column.name) in index.columns
                    and name not in present
                    and own_index is not None
                ):
                    writer.create_index(own_index)

        return script


def _keeps(actual: Column, expected: Column) -> bool:
    """Whether the new type returns every value unchanged. Counterexample: an INTEGER column turns '007' into 7."""
    if actual.type == expected.type or expected.type in ("BLOB", "ANY"):
        return True
    return expected.type == "TEXT" or actual.type in ("INTEGER", "REAL", "NUMERIC")
