"""Reads the schema of a SQLite database from its PRAGMAs and from sqlite_master."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from sqlalchemy.engine.interfaces import DBAPICursor

from ..errors import UnsupportedDatabaseError
from ..schema import (
    Column,
    Constraint,
    ConstraintKind,
    Index,
    RelationKind,
    Schema,
    Table,
    TableKey,
)
from .ddl import ParsedTable, parse_index, parse_table
from .tokens import Token, TokenKind, fold, normal_form, tokenize

_OLDEST_WITH_TABLE_LIST = (3, 37, 0)
_RELATION_KINDS = {
    "table": RelationKind.TABLE,
    "view": RelationKind.VIEW,
    "virtual": RelationKind.VIRTUAL_TABLE,
}
_VECTOR = re.compile(r"(VECTOR|HALFVEC|SPARSEVEC|F\d+_BLOB)\s*(\(.*\))?", re.IGNORECASE)
_AFFINITIES = ("INTEGER", "TEXT", "BLOB", "REAL", "NUMERIC")


def affinity(declared: str) -> str:
    """The affinity of a declared type (https://www.sqlite.org/datatype3.html, section 3.1)."""
    upper = declared.upper()
    if "INT" in upper:
        return "INTEGER"
    if any(part in upper for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in upper or not upper:
        return "BLOB"
    if any(part in upper for part in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


def read_schema(cursor: DBAPICursor, databases: Mapping[str | None, str]) -> Schema:
    """The tables of `databases`: names in the metadata, and the names of `main` or of attached databases.

    Reads without a transaction, so no lock lasts longer than a statement. Temporary tables, tables behind a
    virtual table and SQLite's internal tables are left out. Keys are folded.

    Raises UnsupportedDatabaseError if the SQLite library is older than 3.37.
    """
    if sqlite3.sqlite_version_info < _OLDEST_WITH_TABLE_LIST:
        raise UnsupportedDatabaseError(
            f"SQLite {sqlite3.sqlite_version} cannot list its tables with their kinds. Use SQLite 3.37 or newer."
        )
    with closing(sqlite3.connect(":memory:")) as memory:
        reader = _Reader(cursor, _Defaults(memory))
        tables = [
            table for declared_name, name in databases.items() for table in reader.tables(declared_name, name)
        ]
    return Schema(tables={table.key: table for table in tables})


def shadowed_tables(cursor: DBAPICursor, tables: Iterable[TableKey]) -> dict[TableKey, tuple[str, str]]:
    """Tables of the main database that the connection does not see, because a temporary table has the same name."""
    cursor.execute("SELECT name FROM sqlite_temp_master WHERE type IN ('table', 'view')")
    temporary = {fold(row[0]) for row in cursor.fetchall()}
    return {
        key: (f"main.{key[1]}", f"temp.{key[1]}") for key in tables if key[0] is None and key[1] in temporary
    }


class _Defaults:
    """Prints literal defaults as a column of a given affinity stores them."""

    def __init__(self, memory: sqlite3.Connection) -> None:
        self._memory = memory
        for name in _AFFINITIES:
            memory.execute(f"CREATE TABLE {name.lower()}_value (stored {name})")

    def printed(self, default: str, type_: str) -> str | None:
        """The default in one spelling per value; None for NULL. Only literals are evaluated."""
        tokens = tokenize(normal_form(tokenize(default)))
        if not _is_literal(tokens):
            return normal_form(tokens)
        table = f"{(type_ if type_ in _AFFINITIES else 'BLOB').lower()}_value"
        literal = " ".join(token.text for token in tokens)
        row = self._memory.execute(
            f"INSERT INTO {table} VALUES ({literal}) RETURNING quote(stored)"  # noqa: S608 - names are quoted
        ).fetchone()
        return None if row[0] == "NULL" else str(row[0])


def _is_literal(tokens: list[Token]) -> bool:
    unsigned = tokens[1:] if tokens and tokens[0].text in ("+", "-") else tokens
    return len(unsigned) == 1 and (
        unsigned[0].kind is TokenKind.LITERAL or unsigned[0].is_word("null", "true", "false")
    )


class _Reader:
    def __init__(self, cursor: DBAPICursor, defaults: _Defaults) -> None:
        self._cursor = cursor
        self._defaults = defaults

    def tables(self, declared_name: str | None, database: str) -> list[Table]:
        statements = self._rows(f"SELECT type, name, tbl_name, sql FROM {_quoted(database)}.sqlite_master")  # noqa: S608 - names are quoted
        listed = self._rows("PRAGMA table_list")
        sql = {fold(name): text for kind, name, _, text in statements if kind == "table"}
        views = {fold(name): text for kind, name, _, text in statements if kind == "view"}
        owned: defaultdict[str, list[Any]] = defaultdict(list)
        for statement in statements:
            owned[fold(statement[2])].append(statement)
        tables = []
        for schema, name, kind, _, without_rowid, strict in listed:
            if fold(schema) != fold(database) or fold(name).startswith("sqlite_"):
                continue
            if (relation := _RELATION_KINDS.get(kind)) is None:
                continue
            table = Table((declared_name, fold(name)), relation, triggers=_triggers(owned[fold(name)]))
            if relation is RelationKind.VIEW:
                columns = self._columns_of_view(database, name)
                table = replace(table, definition=_definition(views[fold(name)]), columns=columns)
            if relation is RelationKind.TABLE:
                options = {"STRICT": strict, "WITHOUT ROWID": without_rowid}
                table = replace(
                    table,
                    options={option: "on" for option, on in options.items() if on},
                    sql=sql[fold(name)],
                    scripts=_scripts(owned[fold(name)]),
                )
                table = self._filled(table, database, sql[fold(name)], _indexes(owned[fold(name)]))
            tables.append(table)
        primary_keys = {table.key: table.primary_key for table in tables}
        return [_with_full_foreign_keys(table, primary_keys) for table in tables]

    def _filled(self, table: Table, database: str, sql: str, indexes: Mapping[str, str]) -> Table:
        rows = self._rows(f"PRAGMA {_quoted(database)}.table_xinfo({_quoted(table.key[1])})")
        names = frozenset(fold(row[1]) for row in rows)
        parsed = parse_table(sql, names)
        table = replace(table, constraints=tuple(parsed.constraints))
        own: list[Index] = [parse_index(name, text, parsed, names) for name, text in indexes.items()]
        columns = (self._column(row, table, parsed) for row in rows)
        return replace(
            table,
            columns={fold(column.name): column for column in columns},
            indexes={fold(index.name): index for index in own},
        )

    def _columns_of_view(self, database: str, name: str) -> dict[str, Column]:
        """The columns of a view; none if its query does not work."""
        try:
            rows = self._rows(f"PRAGMA {_quoted(database)}.table_xinfo({_quoted(name)})")
        except Exception as error:
            if "locked" in str(error):
                raise
            return {}
        return {fold(row[1]): Column(row[1], row[2], row[2], row[2], nullable=True) for row in rows}

    def _column(self, row: Any, table: Table, parsed: ParsedTable) -> Column:
        _, name, declared, not_null, default, _, _ = row
        type_ = _type(declared, strict="STRICT" in table.options)
        key = table.primary_key
        in_key = key is not None and fold(name) in key.columns
        alone = key is not None and key.columns == (fold(name),)
        row_id = (
            alone
            and declared.upper() == "INTEGER"
            and "WITHOUT ROWID" not in table.options
            and not parsed.descending_key
        )
        numbering = "AUTOINCREMENT" if parsed.autoincrement else "the row id"
        implied = in_key and (row_id or bool(table.options))
        return Column(
            name=name,
            type=type_,
            full_type=declared.upper().replace(" ", "") if type_ == "VECTOR" else type_,
            declared=declared if affinity(declared) == type_ else f"{declared} ({type_})",
            nullable=not (not_null or implied),
            default=None if default is None else self._defaults.printed(default, type_),
            computed=parsed.computed.get(fold(name)),
            autoincrement=numbering if row_id else None,
            collation=_collation(parsed, name),
        )

    def _rows(self, sql: str) -> list[Any]:
        self._cursor.execute(sql)
        return list(self._cursor.fetchall())


def _indexes(statements: list[Any]) -> dict[str, str]:
    return {name: sql for kind, name, _, sql in statements if kind == "index" and sql is not None}


def _scripts(statements: list[Any]) -> dict[str, str]:
    triggers = {fold(name): sql for kind, name, _, sql in statements if kind == "trigger"}
    return {fold(name): sql for name, sql in _indexes(statements).items()} | triggers


def _triggers(statements: list[Any]) -> dict[str, str]:
    return {name: _definition(sql) for kind, name, _, sql in statements if kind == "trigger"}


def _definition(sql: str) -> str:
    """The statement in one spelling. SQLite itself removes `IF NOT EXISTS`, `TEMP` and the database's name."""
    return normal_form([replace(token, string_if_unknown=False) for token in tokenize(sql)])


def _type(declared: str, *, strict: bool) -> str:
    if _VECTOR.fullmatch(declared):
        return "VECTOR"
    return "ANY" if strict and declared.upper() == "ANY" else affinity(declared)


def _collation(parsed: ParsedTable, name: str) -> str | None:
    collation = parsed.collations.get(fold(name), "binary")
    return None if collation == "binary" else collation.upper()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _with_full_foreign_keys(table: Table, primary_keys: Mapping[TableKey, Constraint | None]) -> Table:
    """The table with the target columns of every foreign key, also if the statement leaves them out."""

    def full(constraint: Constraint) -> Constraint:
        if constraint.kind is not ConstraintKind.FOREIGN_KEY or constraint.target is None:
            return constraint
        target = (table.key[0], constraint.target[1])
        primary_key = primary_keys.get(target)
        target_columns = constraint.target_columns or (primary_key.columns if primary_key else ())
        source, aim = ", ".join(constraint.columns), ", ".join(target_columns)
        definition = f"FOREIGN KEY ({source}) REFERENCES {target[1]} ({aim}){constraint.definition}"
        return replace(constraint, target=target, target_columns=target_columns, definition=definition)

    return replace(table, constraints=tuple(full(constraint) for constraint in table.constraints))
