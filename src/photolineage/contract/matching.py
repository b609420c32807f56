"""Finds which constraint of the database is which constraint of the model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from .schema import Constraint

Predicate: TypeAlias = Callable[[Constraint, Constraint], bool]


@dataclass
class Matching:
    """`changed` pairs one constraint of the model with the one of the database in its place."""

    same: list[tuple[Constraint, Constraint]] = field(default_factory=list)
    changed: list[tuple[Constraint, Constraint]] = field(default_factory=list)
    missing: list[Constraint] = field(default_factory=list)
    extra: list[Constraint] = field(default_factory=list)


def match(
    expected: Sequence[Constraint],
    actual: Sequence[Constraint],
    *,
    same_name: Predicate,
    same_definition: Predicate,
    name_is_free: Predicate,
) -> Matching:
    """Pairs by name and definition, then by definition where the name is nobody's choice, then by name.

    `name_is_free` holds for a pair of which the model did not choose the name, or the database keeps none.
    What is left of such constraints is paired by its columns; the rest is missing or extra, so that a
    constraint renamed is one missing and one extra.
    """
    found = Matching(missing=list(expected), extra=list(actual))
    _pair(found, found.same, lambda e, a: same_name(e, a) and same_definition(e, a))
    _pair(found, found.same, lambda e, a: name_is_free(e, a) and same_definition(e, a))
    _pair(found, found.changed, same_name)
    _pair(found, found.changed, lambda e, a: name_is_free(e, a) and e.columns == a.columns)
    return found


def _pair(found: Matching, pairs: list[tuple[Constraint, Constraint]], alike: Predicate) -> None:
    for expected in list(found.missing):
        actual = next((candidate for candidate in found.extra if alike(expected, candidate)), None)
        if actual is not None:
            found.missing.remove(expected)
            found.extra.remove(actual)
            pairs.append((expected, actual))
