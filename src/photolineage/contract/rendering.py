"""Writes the SQL of Alembic's operations, one statement at a time, without a database."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from sqlalchemy import Column, Constraint, Dialect, Index, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import BaseDDLElement, CreateIndex, CreateTable, SetColumnComment, SetTableComment
from sqlalchemy.sql.elements import ClauseElement

Script: TypeAlias = Callable[["Writer"], None]

_SELECT = re.compile(r"\ASELECT ")
_DIALECTS: dict[str, Callable[..., Dialect]] = {
    "postgresql": postgresql.dialect,
    "sqlite": sqlite.dialect,
}


class Writer:
    """Alembic's operations in offline mode, for objects of the metadata."""

    def __init__(self, dialect_name: str) -> None:
        from alembic.migration import MigrationContext
        from alembic.operations import Operations

        self._written: list[str] = []
        # Named parameters, because with a % style the compiler doubles every % in the text.
        context = MigrationContext.configure(
            dialect=_DIALECTS[dialect_name](paramstyle="named"), opts={"as_sql": True}
        )
        # Alembic's own function writes four spaces for every tab, also inside strings.
        context.impl._exec = self._record  # type: ignore[assignment, method-assign]
        self.op = Operations(context)
        self.dialect = context.dialect
        self.quote = context.dialect.identifier_preparer.quote

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements written so far, without their semicolons."""
        return tuple(self._written)

    def _record(self, construct: ClauseElement, *_: Any, **__: Any) -> None:
        literal = {} if isinstance(construct, BaseDDLElement) else {"literal_binds": True}
        compiled = construct.compile(dialect=self.dialect, compile_kwargs=literal)
        self._written.append(str(compiled).strip().removesuffix(";"))

    def sql(self, statement: str) -> None:
        """Writes a statement unchanged, for what Alembic has no operation for."""
        self._written.append(statement)

    def qualified(self, name: str, schema: str | None) -> str:
        """The name, quoted if necessary, with its schema if it has one."""
        return self.quote(name) if schema is None else f"{self.quote(schema)}.{self.quote(name)}"

    def create_table(self, table: Table, without: Iterable[Constraint | None] = ()) -> None:
        """Creates the table with its constraints, indexes and comments. Its types must already exist.

        `without`: foreign keys that it does not get yet.
        """
        now = [key for key in table.foreign_key_constraints if all(key is not each for each in without)]
        self.op.execute(CreateTable(table, include_foreign_key_constraints=now))
        for constraint in now:
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
    """The statements that a script writes. On PostgreSQL, several statements become one, which runs as a whole."""
    writer = Writer(dialect_name)
    script(writer)
    return as_one(writer.statements) if dialect_name == "postgresql" else writer.statements


def as_one(statements: tuple[str, ...]) -> tuple[str, ...]:
    """One DO statement for several statements of PostgreSQL: if one of them fails, none has an effect.

    So nothing is dropped after a failed statement, in a transaction or outside, whatever runs the statements.
    """
    if len(statements) < 2:
        return statements
    lines = "".join(f"  {_SELECT.sub('PERFORM ', statement)};\n" for statement in statements)
    tag = "$fix$"
    while tag in lines:
        tag = f"{tag[:-1]}_$"
    return (f"DO {tag}\nBEGIN\n{lines}END\n{tag}",)


def value_needed(database: str, table: str, column: str, type_: str) -> str:
    """What to do first if the rows of a table lack a value for a missing column. All but `database` as SQL has it."""
    return (
        f"{database} refuses this while the table has rows, because they have no value for {column}. First give them "
        f"one that fits: ALTER TABLE {table} ADD COLUMN {column} {type_} NOT NULL DEFAULT <value>; and then compare "
        "again."
    )
