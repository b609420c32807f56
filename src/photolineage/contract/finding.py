"""A drift together with the objects that it was found on."""

from dataclasses import dataclass
from typing import TypeAlias

from .drift import Drift
from .schema import Column, Constraint, EnumType, Index, Sequence, Table, TableKey

Object: TypeAlias = Table | Column | Constraint | Index | EnumType | Sequence


@dataclass(frozen=True)
class Finding:
    """`key` is the table, type or sequence; `expected` and `actual` are what the model and the database have."""

    drift: Drift
    key: TableKey
    expected: Object | None
    actual: Object | None
