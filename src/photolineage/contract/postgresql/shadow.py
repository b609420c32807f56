"""Creates the expected schema beside the live one on the same PostgreSQL server, and rolls it back."""

import re
import secrets
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Enum, MetaData, RowMapping, text
from sqlalchemy.dialects.postgresql.named_types import ENUM, CreateEnumType
from sqlalchemy.exc import CompileError, SQLAlchemyError

from ..creation import Reading, Refused, ShadowConnection, create_all
from ..errors import MissingPrivilegeError, ReadOnlyDatabaseError, is_refusal
from ..metadata import Code
from ..transactions import pipelined, rolled_back
from .places import Places, find_places
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
             WHERE nspname <> 'pg_catalog')::text[] AS extension_schemas,
       set_config('quote_all_identifiers', 'off', true) AS quoting
"""
_READING = """
SELECT set_config('search_path', 'pg_catalog, pg_temp', true), set_config('join_collapse_limit', '1', true),
       set_config('jit', 'off', true)
"""
"""The catalog queries are written in a good join order. Planning the joins would cost as much as running them."""
_OF_EXTENSIONS = """
SELECT p.proname AS name FROM pg_proc AS p JOIN pg_depend AS e ON e.classid = 'pg_proc'::regclass AND e.objid = p.oid
WHERE e.deptype = 'e'
UNION SELECT t.typname FROM pg_type AS t JOIN pg_depend AS e ON e.classid = 'pg_type'::regclass AND e.objid = t.oid
WHERE e.deptype = 'e'
UNION SELECT o.opcname FROM pg_opclass AS o
JOIN pg_depend AS e ON e.classid = 'pg_opclass'::regclass AND e.objid = o.oid WHERE e.deptype = 'e'
"""
_BEFORE = "contract_shadow"


def read(metadata: Iterable[MetaData], connection: Connection) -> Reading:
    """The live schema and the expected schema, both as the server prints them.

    Everything created is rolled back. The live default schema is the one in which the connection sees most of the
    metadata's tables. If it sees none, it is the connection's default schema, or the first schema of the search_path
    that has a table of the metadata.

    Raises MissingPrivilegeError or ReadOnlyDatabaseError.
    """
    metadata = tuple(metadata)
    with rolled_back(connection):
        session = connection.execute(text(_SESSION)).mappings().one()
        _require_scratch(session)
        translations = dict(connection.get_execution_options().get("schema_translate_map") or {})
        places = find_places(metadata, connection, session["searched"], translations.get(None))
        code = Code(metadata, connection.dialect, str, _homes(places.home, translations))
        live = _live_namespaces(code, places, translations)
        copies = [_scratch_for(namespace, connection) for namespace in live]
        refused = _Shadow(code, connection, session, live, copies).create()
        connection.execute(text(_READING))
        live_schema, shadow = read_schemas(connection, [*live, *places.borrowed(live)], copies)
        live_schema.shadowed.update(places.shadowed)
        return Reading(code, live_schema, shadow, refused)


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


def _homes(home: str, translations: dict[str | None, str | None]) -> frozenset[str]:
    names = {home, *translations}
    return frozenset(name for name in names if name and (translations.get(name) or name) == home)


def _live_namespaces(
    code: Code, places: Places, translations: dict[str | None, str | None]
) -> list[Namespace]:
    named = {code.canonical(schema) for schema in code.schemas}
    others = sorted(name for name in named if name is not None)
    live = {translations.get(name) or name: name for name in others}
    return [
        Namespace(places.home, None),
        *(
            Namespace(
                name, declared, borrowed=places.found_elsewhere.get(name, frozenset()), home=places.home
            )
            for name, declared in live.items()
        ),
    ]


def _scratch_for(live: Namespace, connection: Connection) -> Namespace:
    scratch = f"contract_{secrets.token_hex(8)}"
    connection.execute(text(f"CREATE SCHEMA {scratch}"))
    printed_as = connection.execute(text("SELECT quote_ident(:name)"), {"name": live.name}).scalar_one()
    return Namespace(scratch, live.declared_name, printed_as=str(printed_as))


class _Shadow:
    """The expected schema, in the scratch schemas `copies` of the live schemas."""

    def __init__(
        self,
        code: Code,
        connection: Connection,
        session: RowMapping,
        live: list[Namespace],
        copies: list[Namespace],
    ) -> None:
        self._code = code
        self._connection = connection
        self._session = session
        self._copies = copies
        self._home = live[0].name
        self._scratch_of = {place.name: copy.name for place, copy in zip(live, copies, strict=True)}
        quote = connection.dialect.identifier_preparer.quote_identifier
        names = "|".join(re.escape(each) for name in self._scratch_of for each in {name, quote(name)})
        self._qualified = re.compile(rf'(?<![\w$."])({names})\s*\.\s*("(?:[^"]|"")+"|\w+)')

    def create(self) -> tuple[Refused, ...]:
        """Creates the tables and returns the definitions that the server refuses.

        First all at once, which is fast. If the server refuses anything, again with a savepoint for each.
        """
        connection = self._connection
        quote = connection.dialect.identifier_preparer.quote_identifier
        also = [*self._session["searched"], self._home, *self._session["extension_schemas"]]
        path = ", ".join([self._copies[0].name, *map(quote, also), "pg_temp"])
        connection.exec_driver_sql(f"SET LOCAL search_path TO {path}")
        for extension in self._missing_extensions():
            self._create_extension(quote(extension))
        connection.exec_driver_sql(f"SAVEPOINT {_BEFORE}")
        refusal = self._create_at_once()
        if refusal is None:
            return ()
        if not is_refusal(refusal):
            raise refusal
        connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {_BEFORE}")
        return tuple(self._create(careful=True).refused)

    def _create_extension(self, name: str) -> None:
        """Creates the extension. If that is not possible, the server refuses the columns that need it."""
        self._connection.exec_driver_sql(f"SAVEPOINT {_BEFORE}")
        try:
            self._connection.exec_driver_sql(f"CREATE EXTENSION {name}")
        except SQLAlchemyError as error:
            if not is_refusal(error):
                raise
            self._connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {_BEFORE}")

    def _create_at_once(self) -> Exception | None:
        """What the server refuses first; None if it accepts everything."""
        errors = (SQLAlchemyError, self._connection.dialect.loaded_dbapi.Error)
        refusal: Exception | None = None
        try:
            with pipelined(self._connection):
                try:
                    self._create(careful=False)
                except errors as error:
                    refusal = error
        except errors as error:  # the pipeline's end reports the statements that did not run
            refusal = refusal or error
        return refusal

    def _create(self, *, careful: bool) -> ShadowConnection:
        scratch = {copy.declared_name: copy.name for copy in self._copies}
        schemas: dict[str | None, str] = {
            name: scratch[self._code.canonical(name)] for name in self._code.schemas if name
        }
        if "" in self._code.schemas:
            schemas[None] = self._copies[0].name  # SQLAlchemy looks an empty name up as None
        shadow = ShadowConnection.over(self._connection, schemas, careful=careful, rewrite=self._rewritten)
        for enum in self._code.enums.values():
            if _is_made_elsewhere(enum):
                shadow.execute(CreateEnumType(enum))
        create_all(self._code.metadata, shadow)
        return shadow

    def _rewritten(self, statement: str, by_an_event: bool) -> str:
        """The statement with scratch schemas in place of live ones.

        The text of a definition may name functions that only the live schema has, so only the model's own names change
        there. An event may name whatever it makes.
        """

        def scratch(match: re.Match[str]) -> str:
            schema, name = (part.strip('"') for part in match.groups())
            if name not in self._own_names and (not by_an_event or name in self._names_of_extensions):
                return match.group()
            return f"{self._scratch_of[schema]}.{match.group(2)}"

        return self._qualified.sub(scratch, statement)

    @cached_property
    def _own_names(self) -> frozenset[str]:
        sequences = (
            sequence.name for metadata in self._code.metadata for sequence in metadata._sequences.values()
        )
        return frozenset([*(name for _, name in (*self._code.keys, *self._code.enums)), *sequences])

    @cached_property
    def _names_of_extensions(self) -> frozenset[str]:
        return frozenset(self._connection.execute(text(_OF_EXTENSIONS)).scalars())

    def _missing_extensions(self) -> list[str]:
        """The extensions that the metadata needs for its types and the database lacks."""
        types = {
            self._name_of(column.type)
            for key in self._code.keys
            if (table := self._code.table(key)) is not None
            for column in table.columns
        }
        needed = {_EXTENSION_OF_TYPE[name] for name in types & _EXTENSION_OF_TYPE.keys()}
        return sorted(needed - set(self._session["extensions"]))

    def _name_of(self, type_: Any) -> str:
        try:
            text = str(type_.compile(self._connection.dialect))
        except CompileError:
            return ""  # the definition is refused
        return text.partition("(")[0].partition("[")[0].upper()


def _is_made_elsewhere(enum: Enum) -> bool:
    """Whether the metadata declares the enum type with `create_type=False`."""
    return isinstance(enum, ENUM) and not enum.create_type
