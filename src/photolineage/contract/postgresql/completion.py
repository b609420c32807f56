"""Which fix adds a constraint or an index that needs several missing parts: the last of them in the report."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeAlias

from ..drift import DriftKind, Finding
from ..schema import Constraint, ConstraintKind, Index, Schema, Table, TableKey

Part: TypeAlias = tuple[TableKey, Constraint | Index]
"""A constraint or an index, and its table."""

_TABLES = (DriftKind.MISSING_TABLE, DriftKind.RELATION_KIND)
_KEYS = (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE)


class Completion:
    """The constraints and indexes that the fixes of missing tables, columns and keys add, besides these.

    No drift reports such a constraint, because a missing table or column causes its absence. `findings`: in the
    report's order.
    """

    def __init__(self, expected: Schema, actual: Schema, findings: Sequence[Finding]) -> None:
        self._expected = expected
        self._actual = actual
        self._findings = findings

    def added_by(self, finding: Finding) -> list[Part]:
        """What the fix of the finding adds. Keys come before the foreign keys that need them."""
        place = next(place for place, each in enumerate(self._findings) if each is finding)
        return self._by_place.get(place, [])

    def is_created_later(self, key: TableKey, foreign_key: Constraint) -> bool:
        """Whether a foreign key of a missing table needs something that a later fix makes."""
        place = self._place(key, foreign_key)
        return place is not None and place != self._places.get((key, None))

    @cached_property
    def _places(self) -> dict[tuple[TableKey, str | None], int]:
        """The place in the report of each missing table, with None, and of each missing column."""
        places: dict[tuple[TableKey, str | None], int] = {}
        for place, finding in enumerate(self._findings):
            if finding.drift.kind in _TABLES:
                places[finding.key, None] = place
            elif finding.drift.kind is DriftKind.MISSING_COLUMN:
                places[finding.key, finding.drift.name] = place
        return places

    @cached_property
    def _keys(self) -> dict[tuple[TableKey, frozenset[str]], int]:
        """The place in the report of each missing or changed key."""
        return {
            (finding.key, frozenset(finding.expected.columns)): place
            for place, finding in enumerate(self._findings)
            if isinstance(finding.expected, Constraint | Index) and _is_key(finding.expected)
        }

    @cached_property
    def _by_place(self) -> dict[int, list[Part]]:
        found: dict[int, list[Part]] = {}
        for key, part in sorted(self._parts(), key=lambda each: _is_foreign_key(each[1])):
            place = self._place(key, part)
            if place is not None:
                found.setdefault(place, []).append((key, part))
        return found

    def _parts(self) -> Iterator[Part]:
        """What is not there, apart from what a CREATE TABLE makes."""
        for key, table in self._expected.tables.items():
            live = None if (key, None) in self._places else self._actual.tables.get(key)
            if live is None:
                foreign_keys = table.constraints_of(ConstraintKind.FOREIGN_KEY)
                yield from ((key, each) for each in foreign_keys if self.is_created_later(key, each))
                continue
            yield from ((key, each) for each in table.constraints if not _has(live, each))
            yield from ((key, each) for each in table.indexes.values() if each.name not in live.indexes)

    def _place(self, key: TableKey, part: Constraint | Index) -> int | None:
        """The place of the last missing thing that the part needs. None if it needs nothing, or is never complete."""
        needed = set(self._missing(key, part.columns))
        if isinstance(part, Constraint) and part.target is not None:
            needed.update(self._missing(part.target, part.target_columns))
        places = [self._places.get(each) for each in needed]
        if isinstance(part, Constraint) and part.target is not None:
            places += self._place_of_key(part.target, frozenset(part.target_columns))
        known = [place for place in places if place is not None]
        return max(known) if needed and len(known) == len(places) else None

    def _missing(self, key: TableKey, columns: Sequence[str]) -> Iterator[tuple[TableKey, str | None]]:
        live = self._actual.tables.get(key)
        if live is None or (key, None) in self._places:
            yield key, None
            return
        yield from ((key, column) for column in columns if column not in live.columns)

    def _place_of_key(self, target: TableKey, columns: frozenset[str]) -> list[int]:
        place = self._keys.get((target, columns))
        return [] if place is None else [place]


def _is_key(part: Constraint | Index) -> bool:
    return part.unique if isinstance(part, Index) else part.kind in _KEYS


def _is_foreign_key(part: Constraint | Index) -> bool:
    return isinstance(part, Constraint) and part.kind is ConstraintKind.FOREIGN_KEY


def _has(live: Table, constraint: Constraint) -> bool:
    return any(
        constraint.name == each.name or constraint.definition == each.definition for each in live.constraints
    )
