"""Compares the constraints and the indexes of one table."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from sqlalchemy import Boolean

from . import severity
from .columns import ColumnComparison
from .drift import Drift, DriftKind, Finding, Severity
from .loose import equal_but_for_types, listed_values, with_casts_inside
from .metadata import Code
from .schema import Constraint, ConstraintKind, Index, Schema, Table

_KINDS = {
    ConstraintKind.UNIQUE: (DriftKind.UNIQUE_MISSING, DriftKind.UNIQUE_EXTRA, DriftKind.UNIQUE_CHANGED),
    ConstraintKind.CHECK: (DriftKind.CHECK_MISSING, DriftKind.CHECK_EXTRA, DriftKind.CHECK_CHANGED),
    ConstraintKind.FOREIGN_KEY: (DriftKind.FK_MISSING, DriftKind.FK_EXTRA, DriftKind.FK_CHANGED),
}


_ZERO_OR_ONE = re.compile(r"^CHECK \(.+ in \( 0 , 1 \)\)$", re.IGNORECASE)

_GRAVITY = (Severity.WARNING, Severity.ERROR)

Predicate: TypeAlias = Callable[[Constraint, Constraint], bool]
_Part = TypeVar("_Part", Constraint, Index)


@dataclass
class Matching:
    """Pairs of constraints (metadata, database).

    A pair in `same` agrees; a pair in `changed` has different definitions.
    """

    same: list[tuple[Constraint, Constraint]] = field(default_factory=list)
    changed: list[tuple[Constraint, Constraint]] = field(default_factory=list)
    missing: list[Constraint] = field(default_factory=list)
    extra: list[Constraint] = field(default_factory=list)


class ConstraintComparison:
    """Compares the constraints and indexes of a table in the metadata with those in the database.

    A difference that a missing or extra column or table causes is left out: the fix of that column or table
    includes it.
    """

    def __init__(
        self, expected: Table, actual: Table, columns: ColumnComparison, live: Schema, code: Code
    ) -> None:
        self._expected = expected
        self._actual = actual
        self._columns = columns
        self._live = live
        self._code = code

    def drifts(self) -> Iterator[Finding]:
        """One drift for each difference."""
        yield from self._primary_key()
        for kind in _KINDS:
            matching = _match(
                self._expected.constraints_of(kind),
                self._actual.constraints_of(kind),
                same_name=self._same_name,
                same_definition=self._same_definition,
                name_is_free=self._name_is_free,
            )
            if kind is ConstraintKind.CHECK:
                yield from self._enumerations(matching)
            yield from self._of_matching(kind, matching)
        yield from self._indexes()

    def _primary_key(self) -> Iterator[Finding]:
        expected, actual = self._expected.primary_key, self._actual.primary_key
        if expected is None and actual is None:
            return
        if expected is not None and self._needs_a_missing(expected):
            return
        if expected is None or actual is None:
            yield self._drift(DriftKind.PK, expected, actual, Severity.ERROR)
        elif not self._same_definition(expected, actual):
            grave = severity.of_constraint_change(expected, actual)
            yield self._drift(DriftKind.PK, expected, actual, grave)
        elif not self._same_name(expected, actual) and not self._name_is_free(expected, actual):
            yield self._drift(DriftKind.PK, expected, actual, Severity.WARNING)

    def _of_matching(self, kind: ConstraintKind, matching: Matching) -> Iterator[Finding]:
        missing_kind, extra_kind, changed_kind = _KINDS[kind]
        for expected in matching.missing:
            again = [same for same, _ in matching.same if same.definition == expected.definition]
            if self._needs_a_missing(expected) or any(
                self._is_stated_twice(expected, same) for same in again
            ):
                continue
            harmless = bool(again) or self._repeats_the_key(expected) or self._lists_a_boolean(expected)
            grave = Severity.WARNING if harmless else Severity.ERROR
            yield self._drift(missing_kind, expected, None, grave)
        for expected, actual in matching.changed:
            if not self._needs_a_missing(expected):
                grave = severity.of_constraint_change(expected, actual)
                yield self._drift(changed_kind, expected, actual, grave)
        for actual in matching.extra:
            if self._columns.extra.isdisjoint(actual.columns) and not self._stands_for_a_missing_table(
                actual
            ):
                repeated = actual.definition in {same.definition for same, _ in matching.same}
                harmless = repeated or self._repeats_the_key(actual) or self._lists_a_boolean(actual)
                grave = Severity.WARNING if harmless else Severity.ERROR
                yield self._drift(extra_kind, None, actual, grave)
        for expected, actual in matching.same:
            if expected.comment != actual.comment:
                yield self._finding(
                    DriftKind.COMMENT, expected, actual, expected.comment, actual.comment, Severity.WARNING
                )

    def _is_stated_twice(self, expected: Constraint, found: Constraint) -> bool:
        """Whether the code states one constraint twice, under one name or without a name of its own."""
        return self._same_name(expected, found) or not self._code.chose(self._expected.key, expected.name)

    def _repeats_the_key(self, constraint: Constraint) -> bool:
        """Whether the constraint is UNIQUE over the columns of the primary key that the database has."""
        key = self._actual.primary_key
        plain = f"UNIQUE ({', '.join(constraint.columns)})"
        return key is not None and constraint.definition == plain and key.columns == constraint.columns

    def _lists_a_boolean(self, constraint: Constraint) -> bool:
        """Whether the constraint is the CHECK that SQLAlchemy's Boolean makes: the code stores only 0 and 1."""
        if len(constraint.columns) != 1 or not _ZERO_OR_ONE.search(constraint.definition):
            return False
        column = self._code.column(self._expected.key, constraint.columns[0])
        return column is not None and isinstance(column.type, Boolean)

    def _enumerations(self, matching: Matching) -> Iterator[Finding]:
        """Removes from the matching the CHECKs that list the values of an enum, and reports their drifts."""
        extra = list(matching.extra) + [actual for _, actual in matching.changed]
        missing = list(matching.missing) + [expected for expected, _ in matching.changed]
        for expected in missing:
            values = self._enumerated(expected)
            actual = next((a for a in extra if values and self._lists_the_same_column(expected, a)), None)
            if values is None or actual is None:
                continue
            extra.remove(actual)
            found = listed_values(actual.definition) or ()
            _take_out(matching, expected, actual)
            if found != values:
                yield self._finding(
                    DriftKind.ENUM_VALUES, expected, actual, _list(values), _list(found), Severity.ERROR
                )
            if not self._same_name(expected, actual) and not self._name_is_free(expected, actual):
                yield self._finding(
                    DriftKind.ENUM_NAME, expected, actual, expected.name, actual.name, Severity.WARNING
                )

    def _enumerated(self, check: Constraint) -> tuple[str, ...] | None:
        if len(check.columns) != 1:
            return None
        values = self._code.enum_values(self._expected.key, check.columns[0])
        return values if values is not None and listed_values(check.definition) == values else None

    def _lists_the_same_column(self, expected: Constraint, actual: Constraint) -> bool:
        return actual.columns == expected.columns and listed_values(actual.definition) is not None

    def _indexes(self) -> Iterator[Finding]:
        expected, actual = self._expected.indexes, self._actual.indexes
        missing = [
            index
            for name, index in expected.items()
            if name not in actual and self._columns.missing.isdisjoint(index.columns)
        ]
        extra = [
            index
            for name, index in actual.items()
            if name not in expected and self._columns.extra.isdisjoint(index.columns)
        ]
        renamed: list[tuple[Index, Index]] = []
        _pair(missing, extra, renamed, self._same_index)
        for name, index in expected.items():
            known = name in actual and self._columns.missing.isdisjoint(index.columns)
            if known and not self._same_index(index, actual[name]):
                yield self._index(DriftKind.INDEX_CHANGED, index, actual[name])
        for index, found in renamed:
            shown, live = (f"INDEX {each.name} {_index_text(each)}" for each in (index, found))
            yield self._finding(DriftKind.INDEX_CHANGED, index, found, shown, live, Severity.WARNING)
        for index in missing:
            yield self._index(DriftKind.INDEX_MISSING, index, None)
        for index in extra:
            yield self._index(DriftKind.INDEX_EXTRA, None, index)

    def _same_index(self, expected: Index, actual: Index) -> bool:
        if expected.unique != actual.unique or expected.valid != actual.valid:
            return False
        return self._equal(expected.columns, expected.definition, actual.definition)

    def _same_name(self, expected: Constraint, actual: Constraint) -> bool:
        fold = self._code.fold
        return (
            expected.name is not None and actual.name is not None and fold(expected.name) == fold(actual.name)
        )

    def _name_is_free(self, expected: Constraint, actual: Constraint) -> bool:
        return actual.name is None or not self._code.chose(self._expected.key, expected.name)

    def _same_definition(self, expected: Constraint, actual: Constraint) -> bool:
        return expected.unproven == actual.unproven and self._equal(
            expected.columns, expected.definition, actual.definition
        )

    def _equal(self, columns: Iterable[str], expected: str, actual: str) -> bool:
        if expected == actual or with_casts_inside(expected) == with_casts_inside(actual):
            return True
        return not self._columns.retyped.isdisjoint(columns) and equal_but_for_types(expected, actual)

    def _needs_a_missing(self, expected: Constraint) -> bool:
        """Whether a column of the constraint, or the table or column that it references, is missing."""
        if not self._columns.missing.isdisjoint(expected.columns):
            return True
        if expected.target is None or expected.target == self._expected.key:
            return False
        target = self._live.tables.get(expected.target)
        return target is None or not set(expected.target_columns) <= target.columns.keys()

    def _stands_for_a_missing_table(self, actual: Constraint) -> bool:
        """Whether a foreign key stands where the metadata references a missing table, e.g. after a rename."""
        wanted = (
            e for e in self._expected.constraints if e.kind is actual.kind and e.columns == actual.columns
        )
        return actual.target is not None and any(self._needs_a_missing(expected) for expected in wanted)

    def _drift(
        self, kind: DriftKind, expected: Constraint | None, actual: Constraint | None, grave: Severity
    ) -> Finding:
        return self._finding(
            kind, expected, actual, _shown(expected, actual), _shown(actual, expected), grave
        )

    def _index(self, kind: DriftKind, expected: Index | None, actual: Index | None) -> Finding:
        both = [index for index in (expected, actual) if index is not None]
        definitions = {index.definition for index in both}
        only_the_order = len({text.replace(" DESC", "") for text in definitions}) < len(definitions)
        grave = Severity.WARNING if only_the_order else max(map(severity.of_index, both), key=_GRAVITY.index)
        return self._finding(kind, expected, actual, _index_text(expected), _index_text(actual), grave)

    def _finding(
        self,
        kind: DriftKind,
        expected: Constraint | Index | None,
        actual: Constraint | Index | None,
        expected_text: str | None,
        actual_text: str | None,
        grave: Severity,
    ) -> Finding:
        key = self._expected.key
        named = expected or actual
        name = "" if named is None else named.name or ", ".join(named.columns)
        columns = () if named is None else self._as_written(named.columns)
        drift = Drift(kind, self._code.label(key), name, columns, expected_text, actual_text, grave)
        return Finding(drift, key, expected, actual)

    def _as_written(self, names: Iterable[str]) -> tuple[str, ...]:
        known = {**self._actual.columns, **self._expected.columns}
        return tuple(known[name].name if name in known else name for name in names)


def _take_out(matching: Matching, expected: Constraint, actual: Constraint) -> None:
    """Removes both from the matching. A constraint that was paired with one of them becomes missing or extra."""
    for pair in [pair for pair in matching.changed if pair[0] is expected or pair[1] is actual]:
        matching.changed.remove(pair)
        if pair[0] is not expected:
            matching.missing.append(pair[0])
        if pair[1] is not actual:
            matching.extra.append(pair[1])
    matching.missing = [constraint for constraint in matching.missing if constraint is not expected]
    matching.extra = [constraint for constraint in matching.extra if constraint is not actual]


def _list(values: Iterable[str]) -> str:
    return ", ".join(values)


def _shown(constraint: Constraint | None, other: Constraint | None) -> str | None:
    """The definition; with the constraint's name if only the names differ."""
    if constraint is None:
        return None
    text = constraint.definition + (" NOT VALID" if constraint.unproven else "")
    only_the_name = other is not None and constraint.definition == other.definition and constraint.name
    return f"CONSTRAINT {constraint.name} {text}" if only_the_name else text


def _index_text(index: Index | None) -> str | None:
    if index is None:
        return None
    return index.definition if index.valid else f"{index.definition} (invalid: its build failed)"


def _match(
    expected: Sequence[Constraint],
    actual: Sequence[Constraint],
    *,
    same_name: Predicate,
    same_definition: Predicate,
    name_is_free: Predicate,
) -> Matching:
    """Pairs by name and definition, then by definition if the name is free, then by name, then by definition alone
    (a renamed constraint), then by columns if the name is free.

    The name of a pair is free (`name_is_free`) if the code chose no name or the database keeps none. Every other
    constraint is missing or extra.
    """
    found = Matching(missing=list(expected), extra=list(actual))
    steps: tuple[tuple[list[tuple[Constraint, Constraint]], Predicate], ...] = (
        (found.same, lambda e, a: same_name(e, a) and same_definition(e, a)),
        (found.same, lambda e, a: name_is_free(e, a) and same_definition(e, a)),
        (found.changed, same_name),
        (found.changed, same_definition),
        (found.changed, lambda e, a: name_is_free(e, a) and e.columns == a.columns),
    )
    for pairs, alike in steps:
        _pair(found.missing, found.extra, pairs, alike)
    return found


def _pair(
    missing: list[_Part],
    extra: list[_Part],
    pairs: list[tuple[_Part, _Part]],
    alike: Callable[[_Part, _Part], bool],
) -> None:
    """Moves each missing object and the first extra one that is alike to the pairs."""
    for expected in list(missing):
        actual = next((candidate for candidate in extra if alike(expected, candidate)), None)
        if actual is not None:
            missing.remove(expected)
            extra.remove(actual)
            pairs.append((expected, actual))
