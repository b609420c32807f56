"""Creates the metadata's tables on a connection. A definition that the database refuses does not stop the rest."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import (
    DDL,
    Column,
    Connection,
    Constraint,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    TextClause,
    event,
)
from sqlalchemy.dialects.postgresql.named_types import CreateEnumType
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateColumn, CreateTable, ExecutableDDLElement
from sqlalchemy.sql.elements import ReleaseSavepointClause, RollbackToSavepointClause, SavepointClause
from sqlalchemy.sql.schema import ColumnCollectionConstraint

from .errors import ShadowSchemaError, is_refusal, reason
from .metadata import Code
from .schema import Schema

_SAVEPOINT = "contract_definition"
_SAVEPOINTS = (SavepointClause, RollbackToSavepointClause, ReleaseSavepointClause)
_LENGTH = 60


@dataclass(frozen=True)
class Refused:
    """A definition of the metadata that the database refuses, or that needs a refused one (`reason` is empty).

    `subject`: what the definition describes; None for a statement of a DDL event.
    """

    subject: Table | Column[Any] | Constraint | Index | None
    table: Table | None
    name: str
    definition: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """The live schema and the expected one, and the definitions that the database refuses."""

    code: Code
    live: Schema
    expected: Schema
    refused: tuple[Refused, ...]


def create_all(metadata: Iterable[MetaData], connection: "ShadowConnection") -> None:
    """Creates the tables, types and sequences of all metadata, and runs their DDL events.

    A table that several metadata have is created once.
    """
    known: set[str] = set()
    for each in metadata:
        tables = [table for key, table in each.tables.items() if key not in known and not is_view(table)]
        known |= each.tables.keys()
        try:
            each.create_all(connection, tables=tables, checkfirst=False)
        except (AttributeError, TypeError) as error:
            if not connection.refused:
                raise
            first = connection.refused[0]
            raise ShadowSchemaError(
                f"Cannot compare the schema: a DDL event in the code fails ({error}),"
                f" after the database refused {first.name}: {first.reason}"
            ) from error


def is_view(table: Table) -> bool:
    """Whether the code says that the table is a view that something else creates (`info={"is_view": True}`)."""
    return bool(table.info.get("is_view"))


class ShadowConnection(Connection):
    """An open connection that rewrites statements before it sends them, and survives refused definitions.

    `refused` lists these definitions. Only a `careful` connection has them: it runs each statement in a savepoint.
    """

    careful: bool
    refused: list[Refused]

    @classmethod
    def over(
        cls,
        connection: Connection,
        schemas: Mapping[str | None, str],
        *,
        careful: bool,
        rewrite: Callable[[str, bool], str] | None = None,
    ) -> Self:
        """The connection, with `schemas` as its translation of the names of schemas.

        `rewrite` gets each statement, and whether a DDL event wrote it rather than SQLAlchemy.
        """
        shadow = cls.__new__(cls)
        shadow.__dict__.update(
            {name: value for name, value in connection.__dict__.items() if name != "dispatch"}
        )
        shadow._execution_options = connection.get_execution_options().union(
            {"schema_translate_map": dict(schemas)}
        )
        shadow.careful, shadow.refused = careful, []
        if rewrite is not None:
            event.listen(shadow, "before_cursor_execute", _before_cursor_execute(rewrite), retval=True)
        return shadow

    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        """Executes the statement. Returns None if the database refuses it."""
        if not self.careful or isinstance(statement, _SAVEPOINTS):
            return super().execute(statement, parameters, **options)
        if self._follows_from_a_refusal(statement):
            return None
        try:
            return self._attempt(
                lambda: super(ShadowConnection, self).execute(statement, parameters, **options)
            )
        except SQLAlchemyError as error:
            if isinstance(statement, CreateTable):
                self._create_parts(statement, error)
            else:
                self._refuse_statement(statement, error)
            return None

    def exec_driver_sql(self, statement: str, parameters: Any = None, execution_options: Any = None) -> Any:
        """Executes the statement. Returns None if the database refuses it."""
        if not self.careful:
            return super().exec_driver_sql(statement, parameters, execution_options)
        try:
            return self._attempt(
                lambda: super(ShadowConnection, self).exec_driver_sql(
                    statement, parameters, execution_options
                )
            )
        except SQLAlchemyError as error:
            self._refuse(None, None, _shortened(statement), statement, error)
            return None

    def _attempt(self, work: Callable[[], Any], *, keep: bool = True) -> Any:
        super().exec_driver_sql(f"SAVEPOINT {_SAVEPOINT}")
        try:
            result = work()
        except SQLAlchemyError as error:
            if is_refusal(error):
                self._undo()
            raise
        if keep:
            super().exec_driver_sql(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        else:
            self._undo()
        return result

    def _undo(self) -> None:
        super().exec_driver_sql(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        super().exec_driver_sql(f"RELEASE SAVEPOINT {_SAVEPOINT}")

    def _refuse(
        self, subject: Any, table: Table | None, name: str, definition: str, error: SQLAlchemyError
    ) -> None:
        if not is_refusal(error):
            raise error
        self.refused.append(Refused(subject, table, name, definition, reason(error)))

    def _refuse_statement(self, statement: Any, error: SQLAlchemyError) -> None:
        element = getattr(statement, "element", None) if isinstance(statement, ExecutableDDLElement) else None
        text = self._compiled(statement)
        if isinstance(statement, CreateEnumType) and "already exists" in reason(error):
            return  # two metadata share the type; if their values differ, the comparison shows it
        table = element if isinstance(element, Table) else getattr(element, "table", None)
        if table is None and isinstance(statement, DDL) and isinstance(statement.target, Table):
            table = statement.target
        name = str(getattr(element, "name", None) or _shortened(text))
        self._refuse(element, table, name, text, error)

    def _compiled(self, statement: Any) -> str:
        try:
            return str(statement.compile(dialect=self.dialect)).strip()
        except SQLAlchemyError:
            return str(getattr(statement, "element", statement))

    def _follows_from_a_refusal(self, statement: Any) -> bool:
        """Whether the statement needs a refused table or column. Remembers the index or constraint that it makes."""
        element = getattr(statement, "element", None) if isinstance(statement, ExecutableDDLElement) else None
        if isinstance(element, Index | Constraint) and self._needs_a_refused(element):
            self.refused.append(Refused(element, _table_of(element), str(element.name or ""), "", ""))
            return True
        return isinstance(element, Table | Column) and self._is_refused(element)

    def _is_refused(self, part: Table | Column[Any]) -> bool:
        lost = [refused.subject for refused in self.refused]
        return any(part is each for each in lost) or (
            isinstance(part, Column) and any(part.table is each for each in lost)
        )

    def _needs_a_refused(self, part: Index | Constraint) -> bool:
        columns: list[Any] = []
        if isinstance(part, Index | ColumnCollectionConstraint):
            columns += part.columns
        if isinstance(part, ForeignKeyConstraint):
            columns += (key.column for key in part.elements)
        table = _table_of(part)
        return any(map(self._is_refused, columns)) or (table is not None and self._is_refused(table))

    def _create_parts(self, create: CreateTable, error: SQLAlchemyError) -> None:
        """Creates the table without the columns and constraints that the database refuses."""
        table = create.element
        if not is_refusal(error):
            raise error
        columns = self._accepted_columns(table)
        if not columns:
            self._refuse(table, table, str(table.name), self._compiled(create), error)
            return
        wanted: Any = create.include_foreign_key_constraints
        constraints: list[Constraint] = []
        for constraint in sorted(table.constraints, key=lambda constraint: constraint._creation_order):
            if (
                isinstance(constraint, ForeignKeyConstraint)
                and wanted is not None
                and constraint not in wanted
            ):
                continue
            if self._needs_a_refused(constraint):
                self.refused.append(Refused(constraint, table, str(constraint.name or ""), "", ""))
                continue
            refusal = self._probe(_part_of(table, columns, [*constraints, constraint]))
            if refusal is None:
                constraints.append(constraint)
            else:
                self._refuse(
                    constraint, table, _name_of(constraint), self._constraint_text(constraint), refusal
                )
        self._attempt(lambda: super(ShadowConnection, self).execute(_part_of(table, columns, constraints)))

    def _accepted_columns(self, table: Table) -> list[Column[Any]]:
        columns = list(table.columns)
        if self._probe(_part_of(table, columns, [])) is None:
            return columns
        for column in columns:
            others = [other for other in columns if other is not column]
            if others and self._probe(_part_of(table, others, [])) is None:
                refusal = self._probe(_part_of(table, columns, []))
                assert refusal is not None
                self._refuse(column, table, column.name, self._column_text(column), refusal)
                return others
        accepted: list[Column[Any]] = []
        refused: list[tuple[Column[Any], SQLAlchemyError]] = []
        for column in columns:
            refusal = self._probe(_part_of(table, [*accepted, column], []))
            if refusal is None:
                accepted.append(column)
            else:
                refused.append((column, refusal))
        for column, refusal in refused if accepted else ():
            self._refuse(column, table, column.name, self._column_text(column), refusal)
        return accepted

    def _column_text(self, column: Column[Any]) -> str:
        return f"{column.name} {column.type!r}"

    def _constraint_text(self, constraint: Constraint) -> str:
        try:
            return str(self.dialect.ddl_compiler(self.dialect, None).process(constraint))  # type: ignore[arg-type]
        except SQLAlchemyError:
            return repr(constraint)

    def _probe(self, create: CreateTable) -> SQLAlchemyError | None:
        """Why the database refuses the statement; None if it accepts it. The statement is undone."""
        try:
            self._attempt(lambda: super(ShadowConnection, self).execute(create), keep=False)
        except SQLAlchemyError as error:
            return error
        return None


def _before_cursor_execute(rewrite: Callable[[str, bool], str]) -> Callable[..., tuple[str, Any]]:
    def listener(
        _: Any, __: Any, statement: str, parameters: Any, context: Any, ___: bool
    ) -> tuple[str, Any]:
        compiled = None if context is None else context.compiled
        by_an_event = compiled is None or isinstance(compiled.statement, DDL | TextClause)
        return rewrite(statement, by_an_event), parameters

    return listener


def _part_of(table: Table, columns: Sequence[Column[Any]], constraints: Sequence[Constraint]) -> CreateTable:
    """CREATE TABLE with some of the table's columns and constraints."""
    part = copy.copy(table)
    part.constraints = set(constraints)
    keys = [constraint for constraint in constraints if isinstance(constraint, PrimaryKeyConstraint)]
    part.primary_key = keys[0] if keys else PrimaryKeyConstraint()  # type: ignore[misc]
    foreign_keys = [constraint for constraint in constraints if isinstance(constraint, ForeignKeyConstraint)]
    create = CreateTable(part, include_foreign_key_constraints=foreign_keys)
    create.columns = [CreateColumn(column) for column in columns]
    return create


def _table_of(part: Index | Constraint) -> Table | None:
    table = getattr(part, "table", None)
    return table if isinstance(table, Table) else None


def _name_of(constraint: Constraint) -> str:
    if constraint.name is not None:
        return str(constraint.name)
    columns = constraint.columns if isinstance(constraint, ColumnCollectionConstraint) else ()
    return ", ".join(str(column.name) for column in columns) or type(constraint).__name__


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LENGTH else f"{line[:_LENGTH]}…"
