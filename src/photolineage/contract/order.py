"""The order of a report, in which its fixes apply one after the other."""

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from .drift import DriftKind, Finding
from .schema import Column, ConstraintKind, EnumType, Schema, Sequence, TableKey

_TYPES = 0
_MISSING_TABLES = 1
_EXTRA_FOREIGN_KEYS = 2
_TABLES = 3
_FOREIGN_KEYS = 4
_INDEXES_OF_REBUILT_TABLES = 5
_EXTRA_COLUMNS = 6
_EXTRA_TABLES = 7
_EXTRA_TYPES = 8
_INDEXES = (DriftKind.INDEX_MISSING, DriftKind.INDEX_EXTRA, DriftKind.INDEX_CHANGED)
_FOREIGN_KEY_KINDS = (DriftKind.FK_MISSING, DriftKind.FK_CHANGED)


def in_order_of_application(
    findings: Iterable[Finding], live: Schema, *, indexes_last: bool
) -> list[Finding]:
    """The findings so that no fix needs a later one.

    `indexes_last`: a foreign key is added by a rebuild (SQLite), which keeps only the indexes that it knows. Elsewhere
    a unique index comes before the foreign keys that need it.

    Types come before the tables that use them, and the keys of all tables before the foreign keys that reference
    them. What the code does not have is dropped last: columns before the tables that they reference, a table that
    references another before that one.
    """
    ordered = list(findings)
    rank = {key: place for place, key in enumerate(_referencing_first(ordered, live))}
    return sorted(ordered, key=lambda finding: _place(finding, rank, indexes_last))


def _place(finding: Finding, rank: dict[TableKey, int], indexes_last: bool) -> tuple[int, int]:  # noqa: PLR0911 - one return a kind
    kind = finding.drift.kind
    extra = finding.expected is None
    if isinstance(finding.expected or finding.actual, EnumType | Sequence):
        return (_EXTRA_TYPES if extra else _TYPES), 0
    if kind in (DriftKind.MISSING_TABLE, DriftKind.RELATION_KIND):
        return _MISSING_TABLES, 0
    if kind is DriftKind.FK_EXTRA:
        return _EXTRA_FOREIGN_KEYS, 0
    if kind in _FOREIGN_KEY_KINDS:
        return _FOREIGN_KEYS, 0
    if kind in _INDEXES and indexes_last:
        return _INDEXES_OF_REBUILT_TABLES, 0
    if kind is DriftKind.EXTRA_COLUMN:
        computed = isinstance(finding.actual, Column) and finding.actual.computed is not None
        return _EXTRA_COLUMNS, 0 if computed else 1
    if kind is DriftKind.EXTRA_TABLE:
        return _EXTRA_TABLES, rank.get(finding.key, 0)
    return _TABLES, 0


def _referencing_first(findings: Iterable[Finding], live: Schema) -> list[TableKey]:
    extra = [finding.key for finding in findings if finding.drift.kind is DriftKind.EXTRA_TABLE]
    referencing: dict[TableKey, set[TableKey]] = {key: set() for key in extra}
    for key in extra:
        for foreign_key in live.tables[key].constraints_of(ConstraintKind.FOREIGN_KEY):
            if foreign_key.target in referencing and foreign_key.target != key:
                referencing[foreign_key.target].add(key)
    try:
        return list(TopologicalSorter(referencing).static_order())
    except CycleError:
        return extra
