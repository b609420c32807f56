"""The schema contract: the database has exactly the schema that the metadata declares.

The comparison creates the metadata's tables a second time: in memory on SQLite, in a scratch schema that is
rolled back on PostgreSQL. The same catalog queries read this copy and the live schema, and the two are compared
object by object. One server prints both sides, so equal types, defaults and conditions print the same text.
Nothing in the live schema runs or changes.

On PostgreSQL the role needs CREATE on the database; without it, the comparison raises an error that names the
privilege. A printed schema kept with the code would avoid this, but it would have to be updated by hand, and
another server version prints it differently.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.exc import SQLAlchemyError

from . import severity
from .columns import ColumnComparison
from .constraints import ConstraintComparison
from .creation import Reading, Refused, is_view
from .drift import Drift, DriftKind, Finding, Fix, Severity
from .enumerations import in_the_words_of
from .errors import ContractError, SchemaChangedError, UnsupportedDatabaseError, explained, reason
from .event_objects import (
    NOTES,
    RefusedDefinitions,
    columns_of_view,
    declared_views,
    shadowed,
    view_and_triggers,
)
from .metadata import Code
from .order import in_order_of_application
from .postgresql import shadow as postgresql_shadow
from .postgresql.fixes import PostgresqlFixes
from .schema import EnumType, RelationKind, Schema, Sequence, Table, TableKey
from .selection import Baseline, Patterns, Selection, selection
from .sqlite import shadow as sqlite_shadow
from .sqlite.fixes import SqliteFixes

_TABLES = (RelationKind.TABLE, RelationKind.PARTITIONED_TABLE)
_EXTRA_TABLES = (*_TABLES, RelationKind.FOREIGN_TABLE)
_READERS: dict[str, Callable[[Iterable[MetaData], Connection], Reading]] = {
    "sqlite": sqlite_shadow.read,
    "postgresql": postgresql_shadow.read,
}
_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.05


def compare(
    metadata: MetaData | Iterable[MetaData],
    connection: Connection | Engine,
    *,
    include: Patterns = "*",
    exclude: Patterns = (),
    ignore: Patterns = (),
    version_tables: Patterns = ("alembic_version",),
    baseline: Baseline = (),
    notes: bool = False,
) -> list[Drift]:
    """Every difference between the metadata and the database, in the order in which to apply the fixes.

    `metadata`: all metadata whose tables are in the database.
    `include` and `exclude`: patterns of table names, as in `include="app_*"`. A table with a schema is also matched as
    `schema.table`. They apply to enum types and sequences that no table uses too.
    `ignore`: patterns of identities (see `Drift.identity`), as in `ignore="comment *"`.
    `version_tables`: the tables in which migration tools keep their revisions. Alembic's are always known.
    `baseline`: the accepted drifts, or their identities, or the file that `write_baseline` wrote.
    `notes`: also report what SQLite does not enforce, such as VARCHAR(10) against VARCHAR(20).

    Raises ContractError if the two cannot be compared; `photolineage.contract.errors` lists the reasons.
    """
    if isinstance(connection, Engine):
        with connection.connect() as opened:
            return compare(
                metadata,
                opened,
                include=include,
                exclude=exclude,
                ignore=ignore,
                version_tables=version_tables,
                baseline=baseline,
                notes=notes,
            )
    read = _reader(connection)
    selected = selection(include, exclude, ignore, version_tables, baseline)
    several = (metadata,) if isinstance(metadata, MetaData) else tuple(metadata)
    with explained(connection.dialect):
        reading = _read(read, several, connection)
    code, live, shadow = reading.code, reading.live, reading.expected
    in_sqlite = connection.dialect.name == "sqlite"
    if not in_sqlite:
        live = in_the_words_of(shadow, live, code.enums)
    comparison = _Comparison(shadow, live, code, reading.refused, selected, notes=notes)
    findings = [finding for finding in comparison.drifts() if selected.reports(finding.drift)]
    findings = in_order_of_application(findings, live, indexes_last=in_sqlite)
    fixes: SqliteFixes | PostgresqlFixes
    fixes = (
        SqliteFixes(code, shadow, live, findings)
        if in_sqlite
        else PostgresqlFixes(code, code.enums, shadow, live, findings)
    )
    return [replace(finding.drift, fix=partial(_fix, finding, fixes, code)) for finding in findings]


def _reader(connection: Any) -> Callable[[Iterable[MetaData], Connection], Reading]:
    """How to read over the connection. Raises ContractError if there is no way."""
    given = type(connection).__name__
    if given in ("AsyncEngine", "AsyncConnection", "AsyncSession"):
        raise ContractError(
            f"Cannot compare the schema over an {given}. Within `async with engine.connect() as connection`, call"
            " `await connection.run_sync(lambda connection: compare(metadata, connection))`."
        )
    dialect = getattr(connection, "dialect", None)
    if dialect is None:
        raise ContractError(
            f"Cannot compare the schema over a {given}. Pass an Engine or a Connection, e.g. engine.connect()"
            " or session.connection()."
        )
    if dialect.name not in _READERS:
        raise UnsupportedDatabaseError(
            f"Cannot compare the schema: the connection's dialect is {dialect.name!r}."
            " Connect to SQLite or PostgreSQL."
        )
    return _READERS[dialect.name]


def _read(
    read: Callable[[Iterable[MetaData], Connection], Reading],
    metadata: tuple[MetaData, ...],
    connection: Connection,
) -> Reading:
    """Both schemas, again from the beginning if another session changes the schema meanwhile."""
    for attempt in range(1, _ATTEMPTS):
        try:
            with explained(connection.dialect):
                return read(metadata, connection)
        except SchemaChangedError:
            time.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
    return read(metadata, connection)


def _fix(finding: Finding, fixes: SqliteFixes | PostgresqlFixes, code: Code) -> Fix:
    table = code.table(finding.key)
    if table is not None and is_view(table):
        return Fix(note="The code says that this is a view. Create it as the application's migrations do.")
    if (note := NOTES.get(finding.drift.kind)) is not None:
        return Fix(note=note)
    try:
        return fixes.fix(finding)
    except SQLAlchemyError as error:
        return Fix(note=f"The code's definition cannot be written as SQL: {reason(error)}")


class _Comparison:
    """Every difference: first types and sequences, then tables, then tables that only the database has."""

    def __init__(
        self,
        expected: Schema,
        actual: Schema,
        code: Code,
        refused: Iterable[Refused],
        selected: Selection,
        *,
        notes: bool,
    ) -> None:
        self._expected = expected
        self._actual = actual
        self._code = code
        self._refused = RefusedDefinitions(refused, code)
        self._selected = selected
        self._with_notes = notes
        self._views = {table.key: table for table in declared_views(code)}
        named = {key[0] for key in (*code.keys, *code.enums, *expected.sequences)}
        self._schemas = named or {None}

    def drifts(self) -> Iterator[Finding]:
        for finding in self._findings():
            if self._covers(finding) and not self._refused.explain(finding):
                yield finding

    def _covers(self, finding: Finding) -> bool:
        """Whether the selection has the table, or for a type or sequence any table that uses it, or its own name."""
        key = finding.key
        if isinstance(finding.expected or finding.actual, EnumType):
            users = {
                table.key
                for table in (*self._expected.tables.values(), *self._actual.tables.values())
                for column in table.columns.values()
                if column.enum == key
            }
            return any(self._selected.covers(self._names(user)) for user in users or {key})
        return self._selected.covers(self._names(key))

    def _names(self, key: TableKey) -> tuple[str, ...]:
        return (key[1], self._code.label(key))

    def _findings(self) -> Iterator[Finding]:
        yield from self._refused.findings()
        yield from shadowed(self._actual, self._code)
        yield from self._enums()
        yield from self._sequences()
        ordered = [*self._in_order_of_creation()]
        for key, table in ordered:
            if key not in self._actual.tables:
                yield self._table_drift(DriftKind.MISSING_TABLE, key, table.kind, None, Severity.ERROR)
        for key, table in ordered:
            if key in self._actual.tables:
                yield from self._table(table, self._actual.tables[key])
        yield from self._extra_tables()

    def _in_order_of_creation(self) -> Iterator[tuple[TableKey, Table]]:
        """A table comes after the tables that its foreign keys point to."""
        known = self._views | self._expected.tables
        yield from ((key, known[key]) for key in self._code.keys if key in known)
        for key, table in self._expected.tables.items():
            if self._code.table(key) is None and not self._selected.is_version_table(table):
                yield key, table

    def _table(self, expected: Table, actual: Table) -> Iterator[Finding]:
        label = self._code.label(expected.key)
        if expected.key in self._views:
            yield from columns_of_view(expected, actual, label)
            return
        yield from view_and_triggers(expected, actual, label)
        if expected.kind is not actual.kind:
            yield self._table_drift(
                DriftKind.RELATION_KIND, expected.key, expected.kind, actual.kind, Severity.ERROR
            )
        if expected.kind not in _TABLES or actual.kind not in _TABLES:
            return
        yield from self._options(expected, actual)
        columns = ColumnComparison(expected, actual, self._expected, self._code)
        yield from columns.drifts()
        yield from ConstraintComparison(expected, actual, columns, self._actual, self._code).drifts()
        if expected.comment != actual.comment:
            yield self._table_drift(
                DriftKind.COMMENT, expected.key, expected.comment, actual.comment, Severity.WARNING
            )
        if self._with_notes:
            yield from columns.notes()

    def _options(self, expected: Table, actual: Table) -> Iterator[Finding]:
        skipped = ("partition by", "access method") if expected.kind is not actual.kind else ()
        wanted, found = (
            {name: value for name, value in table.options.items() if name not in skipped}
            for table in (expected, actual)
        )
        if wanted == found:
            return
        names = [name for name in wanted | found if wanted.get(name) != found.get(name)]
        yield self._table_drift(
            DriftKind.TABLE_OPTION,
            expected.key,
            _options_text(wanted, names),
            _options_text(found, names),
            severity.of_table_options(wanted, found),
        )

    def _extra_tables(self) -> Iterator[Finding]:
        for key, table in self._actual.tables.items():
            known = key in self._expected.tables or key in self._views or table.child
            known = known or self._selected.is_version_table(table)
            if not known and key[0] in self._schemas and table.kind in _EXTRA_TABLES:
                yield self._table_drift(DriftKind.EXTRA_TABLE, key, None, table.kind, Severity.WARNING)

    def _enums(self) -> Iterator[Finding]:
        renamed = dict(self._enums_in_the_place_of_others())
        for wanted, found in renamed.items():
            live = self._actual.enums.get(found)
            yield self._enum_drift(DriftKind.ENUM_NAME, wanted, live, self._code.label(found), Severity.ERROR)
        for key, enum in self._expected.enums.items():
            live = self._actual.enums.get(renamed.get(key, key))
            if live is None:
                yield self._enum_drift(DriftKind.ENUM_MISSING, key, None, None, Severity.ERROR)
            elif live.values != enum.values:
                grave = severity.of_enum_values(enum.values, live.values)
                yield self._enum_drift(DriftKind.ENUM_VALUES, key, live, _text(live), grave)
        in_use = {c.enum for table in self._actual.tables.values() for c in table.columns.values()}
        for key, enum in self._actual.enums.items():
            if key not in self._expected.enums and key not in in_use and key[0] in self._schemas:
                yield _without_table(DriftKind.ENUM_EXTRA, key, None, enum, Severity.WARNING)

    def _enums_in_the_place_of_others(self) -> Iterator[tuple[TableKey, TableKey]]:
        """Pairs of enums: the expected one, and the unknown one that its columns have in the database."""
        for key, table in self._expected.tables.items():
            live = self._actual.tables.get(key)
            for name, column in table.columns.items():
                found = None if live is None or name not in live.columns else live.columns[name].enum
                if column.enum is None or found is None or found in self._expected.enums:
                    continue
                yield column.enum, found

    def _enum_drift(
        self, kind: DriftKind, key: TableKey, live: EnumType | None, actual: str | None, grave: Severity
    ) -> Finding:
        users = [
            (table.key, column.name)
            for table in self._expected.tables.values()
            for column in table.columns.values()
            if column.enum == key
        ]
        table = users[0][0] if users else None
        enum = self._expected.enums[key]
        drift = Drift(
            kind=kind,
            table="" if table is None else self._code.label(table),
            name=key[1],
            columns=tuple(name for user, name in users if user == table),
            expected=self._code.label(key) if kind is DriftKind.ENUM_NAME else _text(enum),
            actual=actual,
            severity=grave,
        )
        return Finding(drift, key, enum, live)

    def _sequences(self) -> Iterator[Finding]:
        for key, sequence in self._expected.sequences.items():
            live = self._actual.sequences.get(key)
            if sequence.owner is None and (live is None or _text(live) != _text(sequence)):
                grave = Severity.ERROR if live is None else Severity.WARNING
                yield _without_table(DriftKind.SEQUENCE, key, sequence, live, grave)
        defaults = [c.default for t in self._actual.tables.values() for c in t.columns.values() if c.default]
        for key, sequence in self._actual.sequences.items():
            in_use = sequence.owner is not None or any(_reads(default, sequence) for default in defaults)
            if key not in self._expected.sequences and not in_use and key[0] in self._schemas:
                yield _without_table(DriftKind.SEQUENCE, key, None, sequence, Severity.WARNING)

    def _table_drift(
        self, kind: DriftKind, key: TableKey, expected: str | None, actual: str | None, grave: Severity
    ) -> Finding:
        table = self._code.table(key)
        name = key[1] if table is None else str(table.name)
        drift = Drift(kind, self._code.label(key), name, (), expected, actual, grave)
        return Finding(drift, key, self._expected.tables.get(key), self._actual.tables.get(key))


def _options_text(options: Mapping[str, str], names: Iterable[str]) -> str:
    return "; ".join(f"{name}: {options.get(name, 'off')}" for name in names)


def _without_table(
    kind: DriftKind,
    key: TableKey,
    expected: EnumType | Sequence | None,
    actual: EnumType | Sequence | None,
    grave: Severity,
) -> Finding:
    drift = Drift(kind, "", key[1], (), _text(expected), _text(actual), grave)
    return Finding(drift, key, expected, actual)


def _text(subject: EnumType | Sequence | None) -> str | None:
    if isinstance(subject, EnumType):
        return ", ".join(subject.values)
    return None if subject is None else f"AS {subject.type} {subject.options}"


def _reads(default: str, sequence: Sequence) -> bool:
    return default.startswith("nextval(") and sequence.name in default
