"""The SQL that fixes a drift of a PostgreSQL database."""

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Enum
from sqlalchemy import Table as CodeTable

from ..drift import NO_FIX, DriftKind, Finding, Fix
from ..metadata import Code, constant_default
from ..rendering import Script, Writer, rendered, value_needed
from ..schema import (
    Column,
    Constraint,
    ConstraintKind,
    EnumType,
    Index,
    RelationKind,
    Schema,
    Sequence,
    Table,
    TableKey,
)
from .column_fixes import ColumnFixes, add_column, add_constraint, add_index
from .completion import Completion
from .enum_fixes import enum_fix

_DIALECT = "postgresql"
_OLD = "__old"
_RENAMABLE = {RelationKind.VIEW: "VIEW", RelationKind.MATERIALIZED_VIEW: "MATERIALIZED VIEW"}
_DROP_TYPE = (
    "DO $type$ BEGIN DROP TYPE {type}; EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END $type$"
)
_ROWS_MUST_FIT = "PostgreSQL refuses this while a row breaks the rule."


class PostgresqlFixes:
    """The fixes of the differences between the expected and the live schema. `findings`: in the report's order."""

    def __init__(
        self,
        code: Code,
        enums: Mapping[TableKey, Enum],
        expected: Schema,
        actual: Schema,
        findings: list[Finding],
    ) -> None:
        self._code = code
        self._expected = expected
        self._actual = actual
        self._enums = enums
        self._completion = Completion(expected, actual, findings)

    def fix(self, finding: Finding) -> Fix:
        """How to fix the drift."""
        subject = finding.expected or finding.actual
        if isinstance(subject, EnumType):
            return enum_fix(finding, self._enums.get(finding.key), self._actual)
        if isinstance(subject, Sequence):
            return self._of_sequence(finding)
        if isinstance(subject, Column):
            return self._of_column(finding)
        if isinstance(subject, Table):
            return self._of_table(finding)
        return self._of_constraint_or_index(finding)

    def _of_sequence(self, finding: Finding) -> Fix:
        expected, actual = finding.expected, finding.actual

        def script(writer: Writer) -> None:
            name = writer.qualified(finding.key[1], finding.key[0])
            if isinstance(expected, Sequence):
                verb = "CREATE" if actual is None else "ALTER"
                writer.sql(f"{verb} SEQUENCE {name} AS {expected.type} {expected.options}")
            else:
                writer.sql(f"DROP SEQUENCE {name}")

        if expected is None:
            return Fix(
                destructive=rendered(_DIALECT, script), note="Dropping the sequence loses its last number."
            )
        return Fix(safe=rendered(_DIALECT, script))

    def _of_column(self, finding: Finding) -> Fix:
        expected, actual = finding.expected, finding.actual
        table = self._code.table(finding.key)
        if table is None:
            return NO_FIX
        if not isinstance(expected, Column):
            return self._extra_column(table, finding.key, actual) if isinstance(actual, Column) else NO_FIX
        column = self._code.column(finding.key, expected.name)
        if column is None:
            return NO_FIX
        if isinstance(actual, Column):
            return ColumnFixes(self._actual.tables[finding.key], column, expected, actual).fix(finding.drift)

        def script(writer: Writer) -> None:
            add_column(writer, column)
            self._complete(writer, finding)

        note = ""
        if expected.needs_value and constant_default(column) is None:
            written = self._code.dialect.identifier_preparer
            note = value_needed(
                "PostgreSQL", written.format_table(table), written.format_column(column), expected.full_type
            )
        return Fix(safe=rendered(_DIALECT, script), note=note)

    def _extra_column(self, table: CodeTable, key: TableKey, actual: Column) -> Fix:
        def unrequire(writer: Writer) -> None:
            writer.op.alter_column(table.name, actual.name, nullable=True, schema=table.schema)

        def drop(writer: Writer) -> None:
            for other, foreign_key in self._referencing(key):
                if actual.name in foreign_key.target_columns:
                    _drop_if_there(writer, other, foreign_key)
            writer.op.drop_column(table.name, actual.name, schema=table.schema)
            self._drop_types(writer, [actual])

        required = not actual.nullable and not (actual.default or actual.identity or actual.computed)
        return Fix(
            safe=rendered(_DIALECT, unrequire) if required else (),
            destructive=rendered(_DIALECT, drop),
            note="Dropping the column loses its values. You can keep the column if it is nullable.",
        )

    def _of_table(self, finding: Finding) -> Fix:  # noqa: PLR0911 - one return a kind
        kind, key = finding.drift.kind, finding.key
        table, expected, actual = self._code.table(key), finding.expected, finding.actual
        if kind is DriftKind.EXTRA_TABLE:
            return Fix(
                destructive=rendered(_DIALECT, lambda writer: self._drop_table(writer, key)),
                note="Dropping the table loses its rows. PostgreSQL refuses this while a view reads the table.",
            )
        if table is None or not isinstance(expected, Table):
            return NO_FIX
        if kind is DriftKind.MISSING_TABLE:
            return Fix(safe=rendered(_DIALECT, self._create(table, finding)))
        if not isinstance(actual, Table):
            return NO_FIX
        if kind is DriftKind.RELATION_KIND:
            return self._of_relation(table, finding, actual)
        if kind is DriftKind.COMMENT:
            return Fix(safe=rendered(_DIALECT, lambda writer: _comment_on_table(writer, table)))
        return self._of_options(table, expected, actual)

    def _drop_table(self, writer: Writer, key: TableKey) -> None:
        """Drops the table, and first the foreign keys that reference it. They may be gone already."""
        for other, foreign_key in self._referencing(key):
            if other != key:
                _drop_if_there(writer, other, foreign_key)
        writer.op.drop_table(key[1], schema=key[0])
        self._drop_types(writer, self._actual.tables[key].columns.values())

    def _drop_types(self, writer: Writer, dropped: Iterable[Column]) -> None:
        """Drops the enum types that only the dropped columns have, or other columns that the code does not have.

        The fix that drops the last of these columns drops the type: as long as anything needs it, it stays.
        """
        kept = {
            column.enum
            for key, table in self._actual.tables.items()
            for name, column in table.columns.items()
            if key in self._expected.tables and name in self._expected.tables[key].columns
        }
        for enum in sorted({c.enum for c in dropped if c.enum is not None} - kept, key=str):
            if enum in self._actual.enums and enum not in self._expected.enums:
                writer.sql(_DROP_TYPE.format(type=writer.qualified(enum[1], enum[0])))

    def _referencing(self, key: TableKey) -> Iterator[tuple[TableKey, Constraint]]:
        """The live foreign keys that reference a table, with the table that has them."""
        for table in self._actual.tables.values():
            for constraint in table.constraints_of(ConstraintKind.FOREIGN_KEY):
                if constraint.target == key and not table.child:
                    yield table.key, constraint

    def _of_relation(self, table: CodeTable, finding: Finding, actual: Table) -> Fix:
        words = _RENAMABLE.get(actual.kind)
        if words is None:
            return Fix(
                note=f"PostgreSQL cannot turn a {actual.kind} into a {RelationKind.TABLE} and keep its rows."
            )

        def script(writer: Writer) -> None:
            name = writer.qualified(table.name, table.schema)
            writer.sql(f"ALTER {words} {name} RENAME TO {writer.quote(table.name + _OLD)}")
            self._create(table, finding)(writer)

        return Fix(safe=rendered(_DIALECT, script), note=f"The {actual.kind} is renamed and kept.")

    def _of_options(self, table: CodeTable, expected: Table, actual: Table) -> Fix:
        wanted, found = expected.options, actual.options
        place = "ALTER TABLE {table} "
        actions = []
        if wanted.get("persistence") != found.get("persistence"):
            actions.append("SET LOGGED" if wanted.get("persistence") == "permanent" else "SET UNLOGGED")
        if wanted.get("row level security") != found.get("row level security"):
            actions.append(f"{'ENABLE' if 'row level security' in wanted else 'DISABLE'} ROW LEVEL SECURITY")
        actions += [f"SET ({n} = {v})" for n, v in wanted.items() if _is_storage(n) and found.get(n) != v]
        actions += [f"RESET ({n})" for n in found if _is_storage(n) and n not in wanted]

        def script(writer: Writer) -> None:
            for action in actions:
                writer.sql(place.format(table=writer.qualified(table.name, table.schema)) + action)

        if "SET UNLOGGED" in actions:
            return Fix(
                destructive=rendered(_DIALECT, script),
                note="An unlogged table loses its rows when the server crashes.",
            )
        return Fix(safe=rendered(_DIALECT, script))

    def _create(self, table: CodeTable, finding: Finding) -> Script:
        """Creates the table, without the foreign keys that need what later fixes make, and what it completes."""
        key = finding.key

        def script(writer: Writer) -> None:
            if key[0] is not None and all(other[0] != key[0] for other in self._actual.tables):
                writer.sql(f"CREATE SCHEMA IF NOT EXISTS {writer.quote(key[0])}")
            foreign_keys = self._expected.tables[key].constraints_of(ConstraintKind.FOREIGN_KEY)
            later = [c for c in foreign_keys if self._completion.is_created_later(key, c)]
            writer.create_table(
                table, without=[self._code.constraint(key, constraint) for constraint in later]
            )
            self._complete(writer, finding)

        return script

    def _complete(self, writer: Writer, finding: Finding) -> None:
        """Adds the constraints and indexes that needed only this and what earlier fixes made."""
        for key, part in self._completion.added_by(finding):
            if isinstance(part, Index):
                self._add_index(writer, key, part)
            else:
                self._add_constraint(writer, key, part)

    def _add_constraint(self, writer: Writer, key: TableKey, constraint: Constraint) -> None:
        own = self._code.constraint(key, constraint)
        if own is not None and self._code.chose(key, constraint.name):
            writer.add_constraint(own)
        else:
            add_constraint(writer, key, constraint)

    def _add_index(self, writer: Writer, key: TableKey, index: Index) -> None:
        own = self._code.index(key, index.name)
        if own is not None:
            writer.create_index(own)
        else:
            add_index(writer, key, index)

    def _of_constraint_or_index(self, finding: Finding) -> Fix:
        key, expected, actual = finding.key, finding.expected, finding.actual
        if self._code.table(key) is None:
            return NO_FIX
        renamed = isinstance(expected, Index) and isinstance(actual, Index) and expected.name != actual.name
        unique = not isinstance(expected, Index) or expected.unique
        refusable = expected is not None and unique and not renamed

        def script(writer: Writer) -> None:
            table = writer.qualified(key[1], key[0])
            if finding.drift.kind is DriftKind.COMMENT and isinstance(expected, Constraint):
                text = "NULL" if expected.comment is None else "'" + expected.comment.replace("'", "''") + "'"
                writer.sql(f"COMMENT ON CONSTRAINT {writer.quote(expected.name or '')} ON {table} IS {text}")
            elif isinstance(actual, Constraint) and isinstance(expected, Constraint):
                self._change(writer, key, expected, actual)
            elif renamed and isinstance(actual, Index) and isinstance(expected, Index):
                name = writer.qualified(actual.name, key[0])
                writer.sql(f"ALTER INDEX {name} RENAME TO {writer.quote(expected.name)}")
            else:
                if isinstance(actual, Index):
                    writer.op.drop_index(actual.name, table_name=key[1], schema=key[0])
                elif isinstance(actual, Constraint):
                    _drop_constraint(writer, key, actual)
                if isinstance(expected, Index):
                    self._add_index(writer, key, expected)
                elif isinstance(expected, Constraint):
                    self._add_constraint(writer, key, expected)
            self._complete(writer, finding)

        return Fix(safe=rendered(_DIALECT, script), note=_ROWS_MUST_FIT if refusable else "")

    def _change(self, writer: Writer, key: TableKey, expected: Constraint, actual: Constraint) -> None:
        table, name = writer.qualified(key[1], key[0]), writer.quote(actual.name or "")
        if expected.definition != actual.definition:
            dependent = self._dependent(key, expected, actual)
            for other, foreign_key in dependent:
                _drop_constraint(writer, other, foreign_key)
            _drop_constraint(writer, key, actual)
            self._add_constraint(writer, key, expected)
            for other, foreign_key in dependent:
                add_constraint(writer, other, foreign_key)
        elif actual.unproven:
            writer.sql(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
        else:
            writer.sql(f"ALTER TABLE {table} RENAME CONSTRAINT {name} TO {writer.quote(expected.name or '')}")

    def _dependent(
        self, key: TableKey, expected: Constraint, actual: Constraint
    ) -> list[tuple[TableKey, Constraint]]:
        """The foreign keys that need the key while it is changed, if its columns stay the same."""
        columns = set(actual.columns)
        if columns != set(expected.columns) or actual.kind not in (
            ConstraintKind.PRIMARY_KEY,
            ConstraintKind.UNIQUE,
        ):
            return []
        return [found for found in self._referencing(key) if set(found[1].target_columns) == columns]


def _drop_constraint(writer: Writer, key: TableKey, constraint: Constraint) -> None:
    writer.op.drop_constraint(constraint.name or "", key[1], schema=key[0])


def _drop_if_there(writer: Writer, key: TableKey, constraint: Constraint) -> None:
    table, name = writer.qualified(key[1], key[0]), writer.quote(constraint.name or "")
    writer.sql(f"ALTER TABLE IF EXISTS {table} DROP CONSTRAINT IF EXISTS {name}")


def _is_storage(option: str) -> bool:
    return option not in ("persistence", "partition by", "access method", "row level security", "inherits")


def _comment_on_table(writer: Writer, table: CodeTable) -> None:
    if table.comment is None:
        writer.op.drop_table_comment(table.name, schema=table.schema)
    else:
        writer.op.create_table_comment(table.name, table.comment, schema=table.schema)
