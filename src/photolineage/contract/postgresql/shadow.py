"""Creates the expected schema beside the live one on the same PostgreSQL server, and rolls it back."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, Enum, MetaData, RowMapping, text
from sqlalchemy.dialects.postgresql.named_types import ENUM, CreateEnumType
from sqlalchemy.exc import DBAPIError

from ..errors import MissingPrivilegeError, ReadOnlyDatabaseError, ShadowSchemaError
from ..schema import Schema, TableKey
from ..transactions import pipelined, rolled_back
from .schema import Namespace, read_schemas

_EXTENSION_OF_TYPE = {
    "CITEXT": "citext",
    "HALFVEC": "vector",
    "HSTORE": "hstore",
    "SPARSEVEC": "vector",
    "VECTOR": "vector",
}

_SESSION = """
SELECT current_database() AS database, current_user AS role, pg_is_in_recovery() AS standby,
       current_setting('transaction_read_only')::boolean AS read_only,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       current_schemas(false)::text[] AS searched,
       ARRAY(SELECT extname FROM pg_extension)::text[] AS extensions,
       ARRAY(SELECT DISTINCT nspname FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace
             WHERE nspname <> 'pg_catalog')::text[] AS extension_schemas
"""
_READING = """
SET LOCAL search_path TO pg_catalog, pg_temp; SET LOCAL join_collapse_limit TO 1; SET LOCAL jit TO off
"""
"""The catalog queries are written in a good join order. Planning the joins would cost as much as running them."""
_HOLDERS = """
SELECT DISTINCT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND c.relname = ANY(:tables) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""


def read_live_and_shadow(
    metadata: MetaData, enums: Mapping[TableKey, Enum], connection: Connection
) -> tuple[Schema, Schema]:
    """The live schema and the expected schema, both as the server prints them.

    Everything created is rolled back. The live default schema is the connection's default schema; if that has no
    table of the metadata, it is the first schema of the search_path that has one. Temporary tables are ignored.

    Raises MissingPrivilegeError, ReadOnlyDatabaseError or ShadowSchemaError.
    """
    with rolled_back(connection):
        session = connection.execute(text(_SESSION)).mappings().one()
        _require_scratch(session)
        home = _home(metadata, connection, session)
        live = _live_namespaces(metadata, enums, connection, home)
        copies = [_scratch_for(namespace, connection) for namespace in live]
        also_searched = [*session["searched"], home, *session["extension_schemas"]]
        _create_tables(metadata, enums, connection, copies, also_searched)
        connection.exec_driver_sql(_READING)
        live_schema, shadow = read_schemas(connection, live, copies)
        return live_schema, shadow


def _require_scratch(session: RowMapping) -> None:
    what = "Comparing the schema creates a scratch schema and rolls it back"
    if session["standby"]:
        raise ReadOnlyDatabaseError(f"{what}, but this server is a standby. Connect to the primary.")
    if session["read_only"]:
        raise ReadOnlyDatabaseError(
            f"{what}, but this transaction is read-only. Connect without default_transaction_read_only."
        )
    if not session["may_create"]:
        database, role = session["database"], session["role"]
        raise MissingPrivilegeError(
            f'{what}, but the role "{role}" lacks the CREATE privilege on the database "{database}".'
            f' Grant it (GRANT CREATE ON DATABASE "{database}" TO "{role}") or connect as the owner.'
        )


def _home(metadata: MetaData, connection: Connection, session: RowMapping) -> str:
    translated: str | None = _translations(connection).get(None)
    if translated is not None:
        return translated
    default = connection.dialect.default_schema_name or "public"
    candidates = [default, *session["searched"]]
    tables = [table.name for table in metadata.tables.values() if table.schema is None]
    holders = set(connection.execute(text(_HOLDERS), {"schemas": candidates, "tables": tables}).scalars())
    return next((name for name in candidates if name in holders), default)


def _live_namespaces(
    metadata: MetaData, enums: Mapping[TableKey, Enum], connection: Connection, home: str
) -> list[Namespace]:
    named = {table.schema for table in metadata.tables.values()} | {schema for schema, _ in enums}
    translations = _translations(connection)
    others = sorted(name for name in named if name is not None)
    return [Namespace(home, None), *(Namespace(translations.get(name) or name, name) for name in others)]


def _translations(connection: Connection) -> dict[str | None, str | None]:
    return dict(connection.get_execution_options().get("schema_translate_map") or {})


def _scratch_for(live: Namespace, connection: Connection) -> Namespace:
    scratch = f"contract_{secrets.token_hex(8)}"
    connection.execute(text(f"CREATE SCHEMA {scratch}"))
    return Namespace(scratch, live.declared_name, printed_as=_quoted(connection, live.name))


def _quoted(connection: Connection, name: str) -> str:
    return str(connection.execute(text("SELECT quote_ident(:name)"), {"name": name}).scalar_one())


def _create_tables(
    metadata: MetaData,
    enums: Mapping[TableKey, Enum],
    connection: Connection,
    copies: list[Namespace],
    also_searched: list[str],
) -> None:
    quote = connection.dialect.identifier_preparer.quote_identifier
    path = ", ".join([copies[0].name, *map(quote, also_searched), "pg_temp"])
    connection.exec_driver_sql(f"SET LOCAL search_path TO {path}")
    try:
        for extension in _missing_extensions(metadata, connection):
            connection.exec_driver_sql(f"CREATE EXTENSION {quote(extension)}")
        schemas: dict[str | None, str] = {
            copy.declared_name: copy.name for copy in copies if copy.declared_name
        }
        with _translated(connection, schemas), pipelined(connection):
            _create_foreign_enums(enums, connection)
            metadata.create_all(connection, checkfirst=False)
    except (DBAPIError, connection.dialect.loaded_dbapi.Error) as error:
        raise ShadowSchemaError(
            "Cannot compare the schema: PostgreSQL refuses a definition in the code."
            f" Its message: {str(getattr(error, 'orig', error)).strip()}"
        ) from error


def _missing_extensions(metadata: MetaData, connection: Connection) -> list[str]:
    """The extensions that the metadata needs for its types and the database lacks."""
    types = {
        str(column.type.compile(connection.dialect)).partition("(")[0].partition("[")[0].upper()
        for table in metadata.tables.values()
        for column in table.columns
    }
    needed = {_EXTENSION_OF_TYPE[name] for name in types & _EXTENSION_OF_TYPE.keys()}
    if not needed:
        return []
    installed = set(connection.execute(text("SELECT extname FROM pg_extension")).scalars())
    return sorted(needed - installed)


def _create_foreign_enums(enums: Mapping[TableKey, Enum], connection: Connection) -> None:
    """Creates the enum types that the metadata declares with `create_type=False`."""
    for enum in enums.values():
        if isinstance(enum, ENUM) and not enum.create_type:
            connection.execute(CreateEnumType(enum))


@contextmanager
def _translated(connection: Connection, schemas: dict[str | None, str]) -> Iterator[None]:
    before = connection.get_execution_options().get("schema_translate_map")
    connection.execution_options(schema_translate_map=schemas)
    try:
        yield
    finally:
        connection.execution_options(schema_translate_map=before)
