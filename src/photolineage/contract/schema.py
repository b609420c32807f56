"""A database schema as plain values, as the database itself prints it. The same for every dialect."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

TableKey: TypeAlias = tuple[str | None, str]
"""The schema as the model writes it (None: the default one) and the name of a table, type or sequence."""


class RelationKind(StrEnum):
    """What answers to the name of a table."""

    TABLE = "table"
    PARTITIONED_TABLE = "partitioned table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    FOREIGN_TABLE = "foreign table"
    VIRTUAL_TABLE = "virtual table"


class ConstraintKind(StrEnum):
    """The families of constraints; an exclusion constraint counts as a unique one."""

    PRIMARY_KEY = "pk"
    UNIQUE = "unique"
    FOREIGN_KEY = "fk"
    CHECK = "check"


@dataclass(frozen=True)
class EnumType:
    """An enumeration type of the database and its values in their order."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Sequence:
    """A sequence generator. `owner` is the (table, column) that it belongs to."""

    name: str
    type: str
    options: str
    owner: tuple[TableKey, str] | None = None


@dataclass(frozen=True)
class Column:
    """A column.

    `type` is what two columns must share to hold the same values, `full_type` the same with its
    arguments, `declared` what a reader is shown.
    `autoincrement` says how the database numbers the rows by itself, other than by an identity; `sequence`
    is the sequence that the column owns.
    """

    name: str
    type: str
    full_type: str
    declared: str
    nullable: bool
    default: str | None = None
    computed: str | None = None
    identity: str | None = None
    autoincrement: str | None = None
    collation: str | None = None
    comment: str | None = None
    enum: TableKey | None = None
    sequence: Sequence | None = None
    not_null_unproven: bool = False


@dataclass(frozen=True)
class Constraint:
    """A constraint. `name` is None where the database keeps none; `definition` leaves the name out.

    `unproven` holds for a constraint that new rows must satisfy and old rows may break.
    """

    kind: ConstraintKind
    name: str | None
    columns: tuple[str, ...]
    definition: str
    comment: str | None = None
    unproven: bool = False
    target: TableKey | None = None
    target_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Index:
    """An index that no constraint owns. `columns` are all that its keys and its predicate read."""

    name: str
    unique: bool
    columns: tuple[str, ...]
    definition: str
    valid: bool = True


@dataclass(frozen=True)
class Table:
    """A table or what stands in its place. A `child` is a partition of a table or inherits from one.

    `scripts` are the CREATE statements of what falls with a SQLite table when it is rebuilt: its indexes and
    its triggers, by their folded names.
    """

    key: TableKey
    kind: RelationKind
    columns: dict[str, Column] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    indexes: dict[str, Index] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    comment: str | None = None
    child: bool = False
    scripts: dict[str, str] = field(default_factory=dict)

    @property
    def primary_key(self) -> Constraint | None:
        """The primary key, if there is one."""
        return next(iter(self.constraints_of(ConstraintKind.PRIMARY_KEY)), None)

    def constraints_of(self, kind: ConstraintKind) -> list[Constraint]:
        """The constraints of one family."""
        return [constraint for constraint in self.constraints if constraint.kind is kind]


@dataclass(frozen=True)
class Schema:
    """All that a database or a model holds. Names that the dialect folds are folded in every key."""

    tables: dict[TableKey, Table] = field(default_factory=dict)
    enums: dict[TableKey, EnumType] = field(default_factory=dict)
    sequences: dict[TableKey, Sequence] = field(default_factory=dict)
