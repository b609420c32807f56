"""Creates the expected schema in memory, with the SQLite library that reads the live one."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, MetaData, create_engine
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from ..creation import Reading, Refused, ShadowConnection, create_all
from ..errors import SchemaChangedError
from ..metadata import Code
from ..schema import Schema
from .schema import read_schema, shadowed_tables
from .tokens import fold

_MAIN = "main"
_ALWAYS_THERE = (_MAIN, "temp")
_DETERMINISTIC = 0x800


def read(metadata: Iterable[MetaData], connection: Connection) -> Reading:
    """The live schema and the expected schema. The live database is only read, without a transaction.

    Raises SchemaChangedError if another process changes the live schema meanwhile.
    """
    translations = connection.get_execution_options().get("schema_translate_map") or {}
    code = Code(metadata, connection.dialect, fold, _homes(translations))
    names = {schema: schema or _MAIN for schema in (None, *(schema for schema, _ in code.keys))}
    live = {name: translations.get(name) or database for name, database in names.items()}
    expected, refused = _shadow(code, names, connection)
    with closing(connection.connection.cursor()) as cursor:
        actual = _read_unchanged(cursor, live)
        if live[None] == _MAIN:
            actual.shadowed.update(shadowed_tables(cursor, expected.tables))
        known = {row[0] for row in _rows(cursor, "PRAGMA module_list")}
    return Reading(
        code, actual, expected, tuple(each for each in refused if not _lacks_only_a_module(each, known))
    )


def _homes(translations: Mapping[str | None, str | None]) -> frozenset[str]:
    home = translations.get(None) or _MAIN
    return frozenset(
        name for name in {home, *translations} if name and (translations.get(name) or name) == home
    )


def _read_unchanged(cursor: DBAPICursor, databases: Mapping[str | None, str]) -> Schema:
    before = _versions(cursor, databases)
    try:
        schema = read_schema(cursor, databases)
    except (KeyError, StopIteration, IndexError) as error:
        if _versions(cursor, databases) == before:
            raise
        raise _changed() from error
    if _versions(cursor, databases) != before:
        raise _changed()
    return schema


def _changed() -> SchemaChangedError:
    return SchemaChangedError(
        "Cannot compare the schema: another process changed it during the comparison."
        " Compare again when no migration is running."
    )


def _versions(cursor: DBAPICursor, databases: Mapping[str | None, str]) -> list[Any]:
    quoted = ('"' + name.replace('"', '""') + '"' for name in databases.values())
    return [_rows(cursor, f"PRAGMA {name}.schema_version") for name in quoted]


def _shadow(
    code: Code, databases: Mapping[str | None, str], live: Connection
) -> tuple[Schema, tuple[Refused, ...]]:
    """The expected schema, created all at once. If SQLite refuses anything, created again statement by statement."""
    try:
        return _created(code, databases, None)
    except SQLAlchemyError:
        return _created(code, databases, live)


def _created(
    code: Code, databases: Mapping[str | None, str], careful: Connection | None
) -> tuple[Schema, tuple[Refused, ...]]:
    """`careful`: the live connection, whose functions and collations are then known to the shadow too."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            if careful is not None:
                _learn_functions(connection, careful)
            for name in databases.values():
                if name not in _ALWAYS_THERE:
                    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
                    connection.exec_driver_sql(f"ATTACH DATABASE ':memory:' AS {quoted}")
            shadow = ShadowConnection.over(connection, {}, careful=careful is not None)
            create_all(code.metadata, shadow)
            with closing(connection.connection.cursor()) as cursor:
                return read_schema(cursor, databases), tuple(shadow.refused)
    finally:
        engine.dispose()


def _learn_functions(shadow: Connection, live: Connection) -> None:
    """Registers the functions and collations that the application registered with its own connection.

    Only their names matter: no row is ever written to the shadow.
    """
    driver: Any = shadow.connection.dbapi_connection
    with closing(live.connection.cursor()) as theirs, closing(shadow.connection.cursor()) as ours:
        known = {(row[0], row[4]) for row in _rows(ours, "PRAGMA function_list")}
        for name, _, kind, _, arguments, flags in _rows(theirs, "PRAGMA function_list"):
            if (name, arguments) not in known and kind == "s":
                deterministic = bool(flags & _DETERMINISTIC)
                driver.create_function(name, arguments, lambda *_: None, deterministic=deterministic)
        collations = {row[1] for row in _rows(ours, "PRAGMA collation_list")}
        for _, name in _rows(theirs, "PRAGMA collation_list"):
            if name not in collations:
                driver.create_collation(name, lambda one, other: (one > other) - (one < other))


def _lacks_only_a_module(refused: Refused, modules: Iterable[str]) -> bool:
    """Whether the definition is a virtual table of a module that the live connection has loaded."""
    return any(refused.reason == f"no such module: {module}" for module in modules)


def _rows(cursor: DBAPICursor, sql: str) -> list[Any]:
    cursor.execute(sql)
    return list(cursor.fetchall())
