"""A database schema as plain values, as the database prints it. The same for every dialect."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

TableKey: TypeAlias = tuple[str | None, str]
"""The schema as the code writes it (None: the default schema) and the name of a table, type or sequence."""


class RelationKind(StrEnum):
    """The kinds of relation that can have a table's name."""

    TABLE = "table"
    PARTITIONED_TABLE = "partitioned table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    FOREIGN_TABLE = "foreign table"
    VIRTUAL_TABLE = "virtual table"


class ConstraintKind(StrEnum):
    """The kinds of constraint. An exclusion constraint counts as unique."""

    PRIMARY_KEY = "pk"
    UNIQUE = "unique"
    FOREIGN_KEY = "fk"
    CHECK = "check"


@dataclass(frozen=True)
class EnumType:
    """An enum type of the database and its values, in order."""

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

    `type`: without arguments, e.g. `character varying`. `full_type`: with arguments, e.g. `character varying(10)`.
    `declared`: the type as it is shown to a reader.
    `autoincrement`: how the database numbers the rows automatically, other than by an identity.
    `sequence`: the sequence that the column owns.
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

    @property
    def needs_value(self) -> bool:
        """Whether each row needs a value that the database does not give by itself."""
        made = self.default or self.computed or self.identity or self.autoincrement
        return not self.nullable and not made


@dataclass(frozen=True)
class Constraint:
    """A constraint. `name` is None if the database keeps no name. `definition` does not include the name.

    `unproven`: new rows must satisfy the constraint, old rows were not checked (NOT VALID).
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
    """An index that no constraint owns. `columns` are all columns in its keys and its predicate."""

    name: str
    unique: bool
    columns: tuple[str, ...]
    definition: str
    valid: bool = True


@dataclass(frozen=True)
class Table:
    """A table, or another relation with a table's name. A `child` is a partition of a table or inherits from one.

    `sql`: the CREATE statement of a SQLite table. `scripts`: those of its indexes and triggers, by folded name. A
    rebuild drops these and runs the statements again.
    `definition`: the query of a view, as the database prints it. `triggers`: their definitions, by name.
    """

    key: TableKey
    kind: RelationKind
    columns: dict[str, Column] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    indexes: dict[str, Index] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    comment: str | None = None
    child: bool = False
    sql: str = ""
    scripts: dict[str, str] = field(default_factory=dict)
    definition: str | None = None
    triggers: dict[str, str] = field(default_factory=dict)

    @property
    def primary_key(self) -> Constraint | None:
        """The primary key; None if the table has none."""
        return next(iter(self.constraints_of(ConstraintKind.PRIMARY_KEY)), None)

    def constraints_of(self, kind: ConstraintKind) -> list[Constraint]:
        """The constraints of one kind."""
        return [constraint for constraint in self.constraints if constraint.kind is kind]


@dataclass(frozen=True)
class Schema:
    """All objects of a database, live or created from the metadata. Keys are folded as the dialect folds names.

    `shadowed`: tables of the default schema that the connection does not see, because another table that comes first
    has their name: the names of both, with their schemas.
    """

    tables: dict[TableKey, Table] = field(default_factory=dict)
    enums: dict[TableKey, EnumType] = field(default_factory=dict)
    sequences: dict[TableKey, Sequence] = field(default_factory=dict)
    shadowed: dict[TableKey, tuple[str, str]] = field(default_factory=dict)
