"""The vocabulary of the contract: what may differ between the code and a store, and how grave it is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from .schema import Column, Constraint, EnumType, Index, Sequence, Table, TableKey


class DriftKind(StrEnum):
    """What differs."""

    MISSING_TABLE = "missing_table"
    EXTRA_TABLE = "extra_table"
    RELATION_KIND = "relation_kind"
    TABLE_OPTION = "table_option"
    MISSING_COLUMN = "missing_column"
    EXTRA_COLUMN = "extra_column"
    TYPE = "type"
    TYPE_ARGS = "type_args"
    DIMS = "dims"
    NULLABLE = "nullable"
    DEFAULT = "default"
    COMPUTED = "computed"
    IDENTITY = "identity"
    AUTOINCREMENT = "autoincrement"
    COLLATION = "collation"
    COMMENT = "comment"
    PK = "pk"
    UNIQUE_MISSING = "unique_missing"
    UNIQUE_EXTRA = "unique_extra"
    UNIQUE_CHANGED = "unique_changed"
    FK_MISSING = "fk_missing"
    FK_EXTRA = "fk_extra"
    FK_CHANGED = "fk_changed"
    CHECK_MISSING = "check_missing"
    CHECK_EXTRA = "check_extra"
    CHECK_CHANGED = "check_changed"
    INDEX_MISSING = "index_missing"
    INDEX_EXTRA = "index_extra"
    INDEX_CHANGED = "index_changed"
    ENUM_MISSING = "enum_missing"
    ENUM_EXTRA = "enum_extra"
    ENUM_NAME = "enum_name"
    ENUM_VALUES = "enum_values"
    SEQUENCE = "sequence"


class Severity(StrEnum):
    """`ERROR`: an ordinary insert, select or upsert of the model fails or stores something wrong."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Fix:
    """How a drift is mended. Nothing here is ever run by itself.

    `safe` are SQL statements that lose no data: where the rows do not fit, the database refuses them.
    `destructive` are statements that lose or rewrite data; a reader is shown them last and by that name.
    `note` says in words what the statements cannot. All three may be empty.
    """

    safe: tuple[str, ...] = ()
    destructive: tuple[str, ...] = ()
    note: str = ""


NO_FIX = Fix()


@dataclass(frozen=True)
class Drift:
    """One difference between what the model says and what a store holds.

    `table` is the table's name as the model writes it, with its schema if the model gives one; it is empty
    for a type or a sequence that no table uses. `name` is that of the column, constraint, index, type or
    sequence, or of the table itself. `columns` are the columns of `table` that the drift touches.
    `expected` is what the model says, `actual` what the store holds; None where one has no such thing.
    """

    kind: DriftKind
    table: str
    name: str
    columns: tuple[str, ...]
    expected: str | None
    actual: str | None
    severity: Severity
    fix: Fix = NO_FIX


Object: TypeAlias = Table | Column | Constraint | Index | EnumType | Sequence


@dataclass(frozen=True)
class Finding:
    """A drift together with the objects that it was found on.

    `key` is the table, type or sequence; `expected` and `actual` are what the model and the database have.
    """

    drift: Drift
    key: TableKey
    expected: Object | None
    actual: Object | None
