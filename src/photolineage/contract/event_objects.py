"""Compares what the code does not describe as tables: views and triggers of its DDL events, and refused definitions."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Column as CodeColumn
from sqlalchemy import Constraint as CodeConstraint
from sqlalchemy import Index as CodeIndex
from sqlalchemy import Table as CodeTable
from sqlalchemy.sql.schema import ColumnCollectionConstraint

from .creation import Refused, is_view
from .drift import Drift, DriftKind, Finding, Severity
from .loose import same_view
from .metadata import Code
from .schema import Column, Constraint, Index, RelationKind, Schema, Table, TableKey

VIEWS = (RelationKind.VIEW, RelationKind.MATERIALIZED_VIEW)
_EXTRAS = (
    DriftKind.EXTRA_TABLE,
    DriftKind.EXTRA_COLUMN,
    DriftKind.PK,
    DriftKind.UNIQUE_EXTRA,
    DriftKind.FK_EXTRA,
    DriftKind.CHECK_EXTRA,
    DriftKind.INDEX_EXTRA,
)
NOTES = {
    DriftKind.DEFINITION_REFUSED: "Correct this definition in the code. Everything else was compared without it.",
    DriftKind.SHADOWED: (
        "This connection reads and writes the other table. Drop or rename that table, or change the search_path."
    ),
    DriftKind.VIEW_CHANGED: "Drop the view, and create it again as the code does. Views keep no rows.",
    DriftKind.TRIGGER_MISSING: "Create the trigger as the code does.",
    DriftKind.TRIGGER_CHANGED: "Drop the trigger, and create it again as the code does.",
}
"""What to do about the drifts for which the contract writes no SQL."""


def declared_views(code: Code) -> Iterator[Table]:
    """The tables that the code marks as views (`info={"is_view": True}`). Only the names of their columns count."""
    for key in code.keys:
        table = code.table(key)
        if table is not None and is_view(table):
            columns = {
                code.fold(column.name): Column(column.name, "", "", "", nullable=True)
                for column in table.columns
            }
            yield Table(key, RelationKind.VIEW, columns)


def columns_of_view(wanted: Table, found: Table, label: str) -> Iterator[Finding]:
    """One drift for each column that the view lacks, or one if it is no view."""
    if found.kind not in VIEWS:
        drift = Drift(
            DriftKind.RELATION_KIND, label, wanted.key[1], (), wanted.kind, found.kind, Severity.WARNING
        )
        yield Finding(drift, wanted.key, wanted, found)
    for name, column in wanted.columns.items():
        if name not in found.columns:
            drift = Drift(
                DriftKind.MISSING_COLUMN,
                label,
                column.name,
                (column.name,),
                "a column of the view",
                None,
                Severity.ERROR,
            )
            yield Finding(drift, wanted.key, column, None)


def view_and_triggers(expected: Table, actual: Table, label: str) -> Iterator[Finding]:
    """The drifts of a view's query, and of the triggers that the code creates. Other triggers are left alone."""
    both_views = expected.kind in VIEWS and expected.kind is actual.kind
    if both_views and not same_view(expected.definition, actual.definition):
        drift = Drift(
            DriftKind.VIEW_CHANGED,
            label,
            expected.key[1],
            (),
            expected.definition,
            actual.definition,
            Severity.ERROR,
        )
        yield Finding(drift, expected.key, expected, actual)
    for name, wanted in expected.triggers.items():
        found = actual.triggers.get(name)
        if found != wanted:
            kind = DriftKind.TRIGGER_MISSING if found is None else DriftKind.TRIGGER_CHANGED
            yield Finding(
                Drift(kind, label, name, (), wanted, found, Severity.ERROR), expected.key, expected, actual
            )


def shadowed(live: Schema, code: Code) -> Iterator[Finding]:
    """One drift for each table of the code that another table hides from the connection."""
    for key, (wanted, seen) in live.shadowed.items():
        if code.table(key) is not None and key in live.tables:
            drift = Drift(DriftKind.SHADOWED, code.label(key), key[1], (), wanted, seen, Severity.ERROR)
            yield Finding(drift, key, None, live.tables[key])


class RefusedDefinitions:
    """The definitions that the database refuses, and what must not be called extra because of them."""

    def __init__(self, refused: Iterable[Refused], code: Code) -> None:
        self._refused = tuple(refused)
        self._code = code
        self._names = {(self._key(each), code.fold(each.name)) for each in self._refused}
        self._columns = {
            (self._key(each), frozenset(self._columns_of(each)))
            for each in self._refused
            if self._columns_of(each)
        }

    def findings(self) -> Iterator[Finding]:
        """One drift for each refused definition, but none for a definition that only needs a refused one."""
        for each in dict.fromkeys(self._refused):
            if not each.reason:
                continue
            key = self._key(each)
            drift = Drift(
                DriftKind.DEFINITION_REFUSED,
                "" if each.table is None else self._code.label(key),
                each.name,
                self._columns_of(each),
                each.definition,
                each.reason,
                Severity.ERROR if isinstance(each.subject, CodeTable | CodeColumn) else Severity.WARNING,
            )
            yield Finding(drift, key, None, None)

    def explain(self, finding: Finding) -> bool:
        """Whether the object only seems to be extra or different, because its definition in the code was refused."""
        subject, wanted = finding.actual, finding.expected
        same_name = (finding.key, self._code.fold(finding.drift.name)) in self._names
        same_columns = isinstance(subject, Constraint | Index) and (
            (finding.key, frozenset(subject.columns)) in self._columns
        )
        if isinstance(subject, Index) and isinstance(wanted, Index):  # the code has two indexes of this name
            return same_name and same_columns and set(wanted.columns) != set(subject.columns)
        return wanted is None and finding.drift.kind in _EXTRAS and (same_name or same_columns)

    def _key(self, refused: Refused) -> TableKey:
        table = refused.table
        if table is None:
            return None, self._code.fold(refused.name)
        return self._code.key(table.schema, str(table.name))

    def _columns_of(self, refused: Refused) -> tuple[str, ...]:
        subject = refused.subject
        if isinstance(subject, CodeColumn):
            return (self._code.fold(subject.name),)
        if isinstance(subject, CodeConstraint | CodeIndex) and isinstance(
            subject, ColumnCollectionConstraint | CodeIndex
        ):
            return tuple(self._code.fold(str(column.name)) for column in subject.columns)
        return ()
