"""Where the tables of the metadata that name no schema are, as the connection sees them."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, MetaData, text

from ..metadata import native_enums
from ..schema import TableKey
from .schema import Namespace

_TEMPORARY = "pg_temp"
_FOUND = """
SELECT CASE WHEN n.oid = pg_my_temp_schema() THEN 'pg_temp' ELSE n.nspname END AS schema, c.relname AS name,
       pg_table_is_visible(c.oid) AS visible, 'table' AS kind
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = ANY(CAST(:tables AS text[])) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (n.nspname = ANY(CAST(:schemas AS text[])) OR n.oid = pg_my_temp_schema())
UNION ALL
SELECT n.nspname, t.typname, pg_type_is_visible(t.oid), 'enum'
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typname = ANY(CAST(:enums AS text[])) AND t.typtype = 'e' AND n.nspname = ANY(CAST(:schemas AS text[]))
"""


@dataclass(frozen=True)
class Places:
    """`home`: the default schema. `found_elsewhere`: names that the connection sees in other schemas, by schema.

    `shadowed`: tables of the default schema that the connection does not see, because a table of a temporary or an
    earlier schema has the same name.
    """

    home: str
    found_elsewhere: dict[str, frozenset[str]] = field(default_factory=dict)
    shadowed: dict[TableKey, tuple[str, str]] = field(default_factory=dict)

    def borrowed(self, read: Collection[Namespace]) -> list[Namespace]:
        """The other schemas that have tables of the default schema and are not read anyway."""
        known = {namespace.name for namespace in read}
        return [
            Namespace(name, None, borrowed=names, whole=False, home=self.home)
            for name, names in self.found_elsewhere.items()
            if name not in known
        ]


def find_places(
    metadata: Iterable[MetaData], connection: Connection, searched: Sequence[str], translated: str | None
) -> Places:
    """Looks for the tables and enum types that name no schema. `translated` is the caller's name of that schema."""
    if translated is not None:
        return Places(translated)
    default = connection.dialect.default_schema_name or "public"
    candidates = [default, *searched]
    tables = [table for each in metadata for table in each.tables.values()]
    names = {
        "schemas": candidates,
        "tables": [str(table.name) for table in tables if not table.schema],
        "enums": [str(e.name) for e in native_enums(tables, connection.dialect) if not e.schema],
    }
    rows = connection.execute(text(_FOUND), names).all()
    seen = Counter(
        row.schema for row in rows if row.kind == "table" and row.visible and row.schema != _TEMPORARY
    )
    holders = {row.schema for row in rows if row.kind == "table"}
    if seen:
        most = max(seen.values())
        home = next(name for name in (default, *seen) if seen.get(name) == most)
    else:
        home = next((name for name in candidates if name in holders), default)
    at_home = {(row.kind, row.name) for row in rows if row.schema == home}
    elsewhere: dict[str, frozenset[str]] = {}
    shadowed: dict[TableKey, tuple[str, str]] = {}
    for row in rows:
        if not row.visible or row.schema == home:
            continue
        if (row.kind, row.name) not in at_home:
            if row.schema != _TEMPORARY:
                elsewhere[row.schema] = elsewhere.get(row.schema, frozenset()) | {row.name}
        elif row.kind == "table":
            shadowed[None, row.name] = (f"{home}.{row.name}", f"{row.schema}.{row.name}")
    return Places(home, elsewhere, shadowed)
