"""Connections to PostgreSQL, which behave alike whatever is set for the database, for the role or on the server."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sqlalchemy import URL, Engine, create_engine, event

from photolineage.errors import PhotolineageError

if TYPE_CHECKING:
    from psycopg import Connection as PsycopgConnection
    from sqlalchemy import Dialect
    from sqlalchemy.pool import ConnectionPoolEntry

SESSION_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bytea_output": "hex",
        "client_encoding": "UTF8",
        "DateStyle": "ISO, YMD",
        "default_transaction_isolation": "read committed",
        "extra_float_digits": "1",
        "IntervalStyle": "postgres",
        "quote_all_identifiers": "off",
        "search_path": '"$user", public',
        "standard_conforming_strings": "on",
        "TimeZone": "UTC",
        "transform_null_equals": "off",
    }
)
"""What each connection sets: how values are written and read, and where tables are found. A setting that `options` in
the URL names keeps its value, for example `?options=-csearch_path=photos` for a schema."""

_SET: Final = (
    "SELECT set_config(name, setting, false) FROM unnest(%s::text[], %s::text[]) AS wanted(name, setting)"
)


class CatalogEncodingError(PhotolineageError):
    """The database's encoding is not UTF-8; the message says how to move the catalog to another database."""


def create_postgresql_engine(url: URL, password: str | None) -> Engine:
    """An engine with psycopg. Each new connection raises CatalogEncodingError if the database is not UTF-8."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"password": password} if password else {},
    )
    options = str(url.query.get("options", ""))
    settings = {
        name: value for name, value in SESSION_SETTINGS.items() if name.lower() not in options.lower()
    }

    # Before SQLAlchemy sends its first query, whose answer it cannot read in every encoding.
    @event.listens_for(engine, "do_connect")
    def _connect(
        dialect: "Dialect", _record: "ConnectionPoolEntry", arguments: list[object], named: dict[str, object]
    ) -> object:
        connection: PsycopgConnection = dialect.connect(*arguments, **named)  # type: ignore[assignment]
        try:
            _require_utf8(connection)
            connection.autocommit = True  # a rollback would undo the settings
            connection.execute(_SET, (list(settings), list(settings.values())))
            connection.autocommit = False
        except BaseException:
            connection.close()
            raise
        return connection

    return engine


def _require_utf8(connection: "PsycopgConnection") -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise CatalogEncodingError(
            f"catalog.url: database {connection.info.dbname!r} has the encoding {encoding}, which cannot hold every "
            "path. Create another one: CREATE DATABASE photolineage ENCODING 'UTF8' TEMPLATE template0; "
            "then set catalog.url to it. If this database already holds a catalog, move it with pg_dump and psql."
        )
