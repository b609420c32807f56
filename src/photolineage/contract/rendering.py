"""Writes the SQL of Alembic's operations, one statement at a time, without a database."""

from collections.abc import Callable
from typing import Any, TypeAlias

from sqlalchemy import DDL, Column, Constraint, Dialect, Index, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment, SetTableComment

Script: TypeAlias = Callable[["Writer"], None]

_DIALECTS: dict[str, Callable[..., Dialect]] = {
    "postgresql": postgresql.dialect,
    "sqlite": sqlite.dialect,
}


class _Statements:
    """An output buffer that keeps each statement that Alembic writes as a separate string."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(text.strip().removesuffix(";"))

    def flush(self) -> None:
        """Does nothing: Alembic requires the method."""


class Writer:
    """Alembic's operations in offline mode, for objects of the metadata."""

    def __init__(self, dialect_name: str) -> None:
        from alembic.migration import MigrationContext
        from alembic.operations import Operations

        self._buffer = _Statements()
        # Named parameters, because with a % style the compiler doubles every % in the text.
        context = MigrationContext.configure(
            dialect=_DIALECTS[dialect_name](paramstyle="named"),
            opts={"as_sql": True, "output_buffer": self._buffer},
        )
        self.op = Operations(context)
        self.dialect = context.dialect
        self.quote = context.dialect.identifier_preparer.quote

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements written so far, without their semicolons."""
        return tuple(self._buffer.written)

    def sql(self, statement: str) -> None:
        """Writes a statement unchanged, for what Alembic has no operation for."""
        self.op.execute(DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]

    def qualified(self, name: str, schema: str | None) -> str:
        """The name, quoted if necessary, with its schema if it has one."""
        return self.quote(name) if schema is None else f"{self.quote(schema)}.{self.quote(name)}"

    def create_table(self, table: Table) -> None:
        """Creates the table with its constraints, indexes and comments. Its types must already exist."""
        self.op.execute(CreateTable(table))
        for constraint in table.foreign_key_constraints:
            if constraint.use_alter and self.dialect.supports_alter:
                self.add_constraint(constraint)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            self.create_index(index)
        if self.dialect.supports_comments:
            self._comment(table)

    def _comment(self, table: Table) -> None:
        if table.comment is not None:
            self.op.execute(SetTableComment(table))
        for column in table.columns:
            if column.comment is not None:
                self.op.execute(SetColumnComment(column))

    def create_index(self, index: Index) -> None:
        """Creates an index of the metadata."""
        self.op.execute(CreateIndex(index))

    def add_constraint(self, constraint: Constraint) -> None:
        """Adds a constraint of the metadata."""
        from alembic.operations import ops

        self.op.invoke(ops.AddConstraintOp.from_constraint(constraint))

    def drop_constraint(self, table: Table, name: str) -> None:
        """Drops a constraint of the live table, by its name."""
        self.op.drop_constraint(name, table.name, schema=table.schema)

    def alter_column(self, column: Column[Any], **changes: Any) -> None:
        """Changes the live column that has this column's name."""
        self.op.alter_column(column.table.name, column.name, schema=column.table.schema, **changes)


def rendered(dialect_name: str, script: Script) -> tuple[str, ...]:
    """The statements that a script writes."""
    writer = Writer(dialect_name)
    script(writer)
    return writer.statements
