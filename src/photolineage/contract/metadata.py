"""Facts that only the SQLAlchemy metadata has: names that the code chose, enums, and defaults of new columns."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    Constraint,
    Dialect,
    Enum,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    TypeDecorator,
    UniqueConstraint,
    literal,
)
from sqlalchemy.exc import NoReferenceError
from sqlalchemy.schema import sort_tables_and_constraints
from sqlalchemy.sql.schema import ColumnCollectionConstraint
from sqlalchemy.types import TypeEngine

from . import schema
from .errors import ContractError
from .schema import ConstraintKind, TableKey

_CLASSES: dict[ConstraintKind, type[Constraint]] = {
    ConstraintKind.PRIMARY_KEY: PrimaryKeyConstraint,
    ConstraintKind.UNIQUE: UniqueConstraint,
    ConstraintKind.FOREIGN_KEY: ForeignKeyConstraint,
    ConstraintKind.CHECK: CheckConstraint,
}


class Code:
    """The SQLAlchemy metadata for one dialect. Keys and names are folded as the dialect folds them.

    `homes`: names of the default schema. A table that gives one of them has the same key as a table that gives none.

    Raises ContractError if a foreign key references a table or column that the metadata lacks.
    """

    def __init__(
        self,
        metadata: Iterable[MetaData],
        dialect: Dialect,
        fold: Callable[[str], str],
        homes: Collection[str],
    ) -> None:
        self.metadata = tuple(metadata)
        self.dialect = dialect
        self.fold = fold
        self._homes = homes
        self._tables: dict[TableKey, Table] = {}
        for table in self._in_order_of_creation():
            self._tables.setdefault(self.key(table.schema, str(table.name)), table)
        self._chosen = {key: frozenset(self._chosen_names(t)) for key, t in self._tables.items()}
        self.enums = {
            self.key(enum.schema, str(enum.name)): enum
            for enum in native_enums(self._tables.values(), dialect)
        }

    def _in_order_of_creation(self) -> Iterator[Table]:
        for metadata in self.metadata:
            try:
                ordered = sort_tables_and_constraints(metadata.tables.values())  # type: ignore[no-untyped-call]
            except NoReferenceError as error:
                raise ContractError(
                    f"Cannot compare the schema: a foreign key in the code leads nowhere. {error}"
                    " Import the module that defines the other table, or define both tables in one MetaData."
                ) from error
            yield from (table for table, _ in ordered if table is not None)

    @property
    def keys(self) -> tuple[TableKey, ...]:
        """The keys of all tables. A table comes after the tables that its foreign keys point to."""
        return tuple(self._tables)

    @property
    def schemas(self) -> frozenset[str | None]:
        """The schemas that the tables, enums and sequences name, as the code writes them."""
        parts: list[Any] = [*self._tables.values(), *self.enums.values()]
        parts += (sequence for metadata in self.metadata for sequence in metadata._sequences.values())
        return frozenset(part.schema for part in parts)

    def key(self, schema: str | None, name: str) -> TableKey:
        """The key of a table or type that the code declares under this schema and name."""
        return self.canonical(schema), self.fold(name)

    def canonical(self, declared: str | None) -> str | None:
        """The schema of a key: None for the default schema, whether the code names it or not."""
        return None if not declared or declared in self._homes else declared

    def table(self, key: TableKey) -> Table | None:
        """The table in the metadata; None for a table that a DDL event creates."""
        return self._tables.get(key)

    def column(self, key: TableKey, name: str) -> Column[Any] | None:
        """The column in the metadata, by its folded name."""
        table = self.table(key)
        columns = () if table is None else table.columns
        return next((column for column in columns if self.fold(column.name) == name), None)

    def label(self, key: TableKey) -> str:
        """The table's name as the code writes it, with its schema if it has one."""
        table = self.table(key)
        if table is not None:
            return table.fullname if table.schema else str(table.name)
        return key[1] if key[0] is None else f"{key[0]}.{key[1]}"

    def chose(self, key: TableKey, name: str | None) -> bool:
        """Whether the code gives a constraint of the table this name, directly or by its naming convention."""
        return name is not None and self.fold(name) in self._chosen.get(key, ())

    def enum_values(self, key: TableKey, name: str) -> tuple[str, ...] | None:
        """The values that the code stores in an enum column; None for any other column."""
        column = self.column(key, name)
        enum = None if column is None else enum_of(column.type, self.dialect)
        return None if enum is None else tuple(enum.enums)

    def constraint(self, key: TableKey, printed: schema.Constraint) -> Constraint | None:
        """The constraint in the metadata, by its name, or by its columns if the code gives it no name."""
        table = self.table(key)
        of_kind = (
            [] if table is None else [c for c in table.constraints if isinstance(c, _CLASSES[printed.kind])]
        )
        for constraint in of_kind:
            name = self._constraint_name(constraint)
            if name is not None and printed.name is not None and self.fold(name) == self.fold(printed.name):
                return constraint
        for constraint in of_kind:
            if self._constraint_name(constraint) is None and self._columns(constraint) == printed.columns:
                return constraint
        return None

    def index(self, key: TableKey, name: str) -> Index | None:
        """The index in the metadata, by its folded name."""
        table = self.table(key)
        indexes = () if table is None else table.indexes
        return next((index for index in indexes if self.fold(str(index.name)) == name), None)

    def _columns(self, constraint: Constraint) -> tuple[str, ...]:
        columns = constraint.columns if isinstance(constraint, ColumnCollectionConstraint) else ()
        return tuple(self.fold(column.name) for column in columns)

    def _chosen_names(self, table: Table) -> Iterator[str]:
        for constraint in table.constraints:
            name = self._constraint_name(constraint)
            if name is not None:
                yield self.fold(name)

    def _constraint_name(self, constraint: Constraint) -> str | None:
        if constraint.name is None:
            return None
        formatted: str | None = self.dialect.identifier_preparer.format_constraint(constraint)
        if formatted is not None and formatted.startswith('"'):
            return formatted[1:-1].replace('""', '"').replace("%%", "%")
        return formatted


def enum_of(type_: TypeEngine[Any], dialect: Dialect) -> Enum | None:
    """The enum that a type is in this dialect, or that its array holds; None for any other type."""
    impl = type_.dialect_impl(dialect)
    if isinstance(impl, TypeDecorator):
        impl = impl.impl_instance
    if isinstance(impl, ARRAY):
        return enum_of(impl.item_type, dialect)
    return impl if isinstance(impl, Enum) else None


def native_enums(tables: Iterable[Table], dialect: Dialect) -> Iterator[Enum]:
    """The enums that are types in the database, not CHECKs."""
    for table in tables:
        for column in table.columns:
            enum = enum_of(column.type, dialect)
            if enum is not None and enum.native_enum and enum.name:
                yield enum


def addable(column: Column[Any], constant: Any = None) -> Column[Any]:
    """A copy of the column without its keys, constraints and indexes, which are added after it."""
    generated = [part._copy() for part in (column.computed, column.identity) if part is not None]
    default = constant if constant is not None else column.server_default
    return Column(
        column.name,
        column.type,
        *generated,
        nullable=column.nullable,
        server_default=None if generated else getattr(default, "arg", default),
        comment=column.comment,
        primary_key=column.primary_key,
        autoincrement=column.autoincrement,
    )


def constant_default(column: Column[Any]) -> Any | None:
    """The constant that the code gives to new rows of a NOT NULL column without a server default.

    None if the column is nullable or has a server default, or if the code gives no constant.
    """
    default = column.default
    if column.nullable or column.server_default is not None or default is None or not default.is_scalar:
        return None
    return literal(default.arg, column.type)  # type: ignore[attr-defined]
