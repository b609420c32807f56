"""Creates the expected schema in memory, with the SQLite library that reads the live one."""

from contextlib import closing

from sqlalchemy import Connection, MetaData, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from ..errors import ShadowSchemaError
from ..schema import Schema
from .schema import read_schema

_MAIN = "main"


def read_live_and_shadow(metadata: MetaData, connection: Connection) -> tuple[Schema, Schema]:
    """The live schema and the expected schema. The live database is only read, without a transaction.

    Raises ShadowSchemaError if SQLite refuses a definition in the metadata.
    """
    names = {None: _MAIN} | {table.schema: table.schema or _MAIN for table in metadata.tables.values()}
    translations = connection.get_execution_options().get("schema_translate_map") or {}
    live = {name: translations.get(name) or database for name, database in names.items()}
    with closing(connection.connection.cursor()) as cursor:
        return read_schema(cursor, live), _shadow(metadata, names)


def _shadow(metadata: MetaData, databases: dict[str | None, str]) -> Schema:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            for name in databases.values():
                if name != _MAIN:
                    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
                    connection.exec_driver_sql(f"ATTACH DATABASE ':memory:' AS {quoted}")
            metadata.create_all(connection, checkfirst=False)
            with closing(connection.connection.cursor()) as cursor:
                return read_schema(cursor, databases)
    except DBAPIError as error:
        raise ShadowSchemaError(
            f"Cannot compare the schema: SQLite refuses a definition in the code."
            f" Its message: {str(error.orig).strip()}. The statement: {str(error.statement).strip()}"
        ) from error
    finally:
        engine.dispose()
