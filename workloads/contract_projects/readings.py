"""Reads a database's schema by other queries than the contract does. So a reading can judge what the contract reports.

Two readings are equal in one object if the database behaves the same there: a type has the same affinity on SQLite,
and a default has the same value.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, Inspector, RowMapping, inspect, text

Part: TypeAlias = tuple[str, str, str]
"""The table, the class (table, column, constraint, index or type), and the object's name or columns.

An index: its name, then its columns. A type: its name, then the columns that have it, as `table.column`.
"""


@dataclass
class TableReading:
    """One table. Columns by name; constraints and indexes as (kind, definition) with their names."""

    facts: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    constraints: list[tuple[str, str, tuple[str, ...], str]] = field(default_factory=list)
    indexes: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    sql: str = ""

    @property
    def names(self) -> set[str]:
        """The names of the constraints; on SQLite every word of the table's statement."""
        return {name for _, name, _, _ in self.constraints} | set(re.findall(r"\w+", self.sql))


@dataclass
class Reading:
    """All tables of the default schema, and the enum types: their values, and the columns that have them."""

    tables: dict[str, TableReading] = field(default_factory=dict)
    enums: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)


def read(connection: Connection) -> Reading:
    """The schema of the connection's database."""
    return _sqlite(connection) if connection.dialect.name == "sqlite" else _postgresql(connection)


_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       a.attidentity::text AS identity, a.attgenerated::text AS generated, pg_get_expr(d.adbin, d.adrelid) AS "default",
       (SELECT collname FROM pg_collation WHERE oid = a.attcollation) AS collation,
       col_description(c.oid, a.attnum) AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""
_TABLES = """
SELECT c.relname, c.relkind::text AS kind, c.relpersistence::text AS persistence, c.reloptions::text AS options,
       obj_description(c.oid, 'pg_class') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm')
"""
_CONSTRAINTS = """
SELECT c.relname, k.conname, k.contype::text AS kind, pg_get_constraintdef(k.oid) AS definition,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) AS p JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p
       )::text[] AS columns
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND k.contype IN ('p', 'u', 'f', 'c', 'x')
"""
_INDEXES = """
SELECT c.relname, i.relname AS index, pg_get_indexdef(x.indexrelid) AS definition, x.indisvalid AS valid,
       ARRAY(SELECT a.attname FROM unnest(x.indkey) AS p JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p
       )::text[] AS columns
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public'
  AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid AND k.contype IN ('p', 'u', 'x'))
"""
_ENUMS = """
SELECT t.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) AS labels,
       ARRAY(SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             WHERE a.atttypid IN (t.oid, t.typarray) AND c.relkind IN ('r', 'p'))::text[] AS users
FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = 'public' GROUP BY t.oid, t.typname, t.typarray
"""


def _postgresql(connection: Connection) -> Reading:
    def rows(query: str) -> Sequence[RowMapping]:
        return connection.execute(text(query)).mappings().all()

    found = Reading()
    for row in rows(_TABLES):
        facts = {name: row[name] for name in ("kind", "persistence", "options", "comment")}
        found.tables[row["relname"]] = TableReading(facts)
    for row in rows(_COLUMNS):
        column = {
            name: row[name] for name in ("type", "required", "identity", "generated", "collation", "comment")
        }
        default = row["default"]
        serial = default is not None and default.startswith("nextval(")
        column["default"] = "a sequence" if serial else _value(connection, default, column)
        found.tables[row["relname"]].columns[row["attname"]] = column
    for row in rows(_CONSTRAINTS):
        definition = _without_casts(row["definition"]) if row["kind"] == "c" else row["definition"]
        entry = (row["kind"], row["conname"], tuple(sorted(row["columns"])), definition)
        found.tables[row["relname"]].constraints.append(entry)
    for row in rows(_INDEXES):
        unique = "UNIQUE " if row["definition"].startswith("CREATE UNIQUE") else ""
        definition = (
            f"{unique}{row['definition'].partition(' USING ')[2]} {'' if row['valid'] else 'invalid'}"
        )
        found.tables[row["relname"]].indexes[row["index"]] = (tuple(sorted(row["columns"])), definition)
    found.enums = {row["typname"]: (row["labels"], tuple(row["users"])) for row in rows(_ENUMS)}
    return found


def _without_casts(check: str) -> str:
    """The CHECK without casts between strings, which PostgreSQL prints in more than one way, and their brackets."""
    return re.sub(r"[()]", "", re.sub(r"::(?:character varying|text)(?:\[\])?", "", check))


def _value(connection: Connection, default: str | None, column: Mapping[str, Any]) -> str | None:
    """The value of a default. now() and CURRENT_TIMESTAMP are equal within a transaction."""
    if default is None or column["generated"] or re.search(r"random|uuid", default):
        return default
    savepoint = connection.begin_nested()
    try:
        value = connection.execute(
            text(f"SELECT (({_escaped(default)})::{column['type']})::text")
        ).scalar_one()
    except Exception:  # noqa: BLE001 - then the text is compared
        return default
    finally:
        savepoint.rollback()
    time = (
        f"{column['type']} now" if "time" in column["type"] and value and _is_now(connection, value) else None
    )
    return None if value is None else time or str(value)


def _escaped(expression: str) -> str:
    return expression.replace(":", "\\:")


def _is_now(connection: Connection, value: str) -> bool:
    query = text("SELECT abs(extract(epoch FROM CAST(:value AS timestamptz) - now())) < 100000")
    return bool(connection.execute(query, {"value": value}).scalar_one())


def _sqlite(connection: Connection) -> Reading:
    found, inspector = Reading(), inspect(connection)
    for row in connection.execute(
        text("SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view')")
    ):
        if row.name.startswith("sqlite_"):
            continue
        options = {word: word in row.sql.rpartition(")")[2].upper() for word in ("STRICT", "WITHOUT")}
        table = found.tables[row.name] = TableReading({"kind": row.type, **options}, sql=row.sql)
        if row.type == "table":
            _fill(table, row.name, row.sql, connection, inspector)
    return found


def _fill(table: TableReading, name: str, sql: str, connection: Connection, inspector: Inspector) -> None:
    def rows(pragma: str, of: str = name) -> Iterable[Any]:
        quoted = of.replace("'", "''")
        return connection.exec_driver_sql(f"SELECT * FROM pragma_{pragma}('{quoted}')").all()

    single_key = sum(1 for row in rows("table_xinfo") if row.pk) == 1
    for row in rows("table_xinfo"):
        rowid = row.pk and single_key and row.type.upper() == "INTEGER"
        table.columns[row.name] = {
            "type": _affinity(row.type),
            "required": bool(row.notnull) or bool(rowid),
            "default": _sqlite_value(connection, row.dflt_value, _affinity(row.type)),
            "generated": row.hidden,
        }
    key = [row.name for row in sorted(rows("table_xinfo"), key=lambda row: row.pk) if row.pk]
    if key:
        counts = " AUTOINCREMENT" if re.search(r"\bAUTOINCREMENT\b", sql, re.IGNORECASE) else ""
        table.constraints.append(("p", "", tuple(sorted(key)), f"PRIMARY KEY ({', '.join(key)}){counts}"))
    for row in rows("index_list"):
        parts = [part for part in rows("index_xinfo", row.name) if part.key]
        columns = tuple(sorted(part.name for part in parts if part.name))
        ordered = ", ".join(f"{part.name} {part.desc} {part.coll}" for part in parts)
        if row.origin == "u":
            table.constraints.append(("u", "", columns, f"UNIQUE ({ordered})"))
        elif row.origin == "c":
            query = text("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = :name")
            written = connection.execute(query, {"name": row.name}).scalar_one()
            rest = (
                written[written.index("(") :] if row.partial or None in [part.name for part in parts] else ""
            )
            definition = f"{'UNIQUE ' if row.unique else ''}({ordered}) {_plain(rest)}"
            table.indexes[row.name] = (columns, definition)
    keys: dict[int, list[Any]] = {}
    for row in rows("foreign_key_list"):
        keys.setdefault(row.id, []).append(row)
    for parts in keys.values():
        parts.sort(key=lambda part: part.seq)
        columns = tuple(sorted(part[3] for part in parts))
        pairs = ", ".join(f"{part[3]} -> {part[4] or 'id'}" for part in parts)
        actions = f"{parts[0].on_update} {parts[0].on_delete}"
        table.constraints.append(("f", "", columns, f"FOREIGN KEY {pairs} OF {parts[0].table} {actions}"))
    for check in inspector.get_check_constraints(name):
        known = tuple(sorted(c for c in table.columns if re.search(rf"\b{re.escape(c)}\b", check["sqltext"])))
        table.constraints.append(("c", str(check["name"] or ""), known, _plain(check["sqltext"])))


def _plain(expression: str) -> str:
    """The expression without quotes, brackets and ASC, which is the default order."""
    words = re.sub(r"[\s\"`\[\]()]+", " ", re.sub(r"\bASC\b", "", expression, flags=re.IGNORECASE)).strip()
    return re.sub(r"\s*([,=<>!]+)\s*", r"\1", words).lower()


def _affinity(declared: str) -> str:
    """https://www.sqlite.org/datatype3.html, section 3.1."""
    rules: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("INTEGER", lambda upper: "INT" in upper),
        ("TEXT", lambda upper: any(part in upper for part in ("CHAR", "CLOB", "TEXT"))),
        ("BLOB", lambda upper: "BLOB" in upper or not upper),
        ("REAL", lambda upper: any(part in upper for part in ("REAL", "FLOA", "DOUB"))),
    )
    return next((name for name, fits in rules if fits(declared.upper())), "NUMERIC")


def _sqlite_value(connection: Connection, default: str | None, affinity: str) -> str | None:
    """The stored value of a default; its text if SQLite cannot evaluate it, or it has another value each time."""
    if default is None or re.search(r"random|strftime|current|date|now", default, re.IGNORECASE):
        return None if default is None else _plain(default)
    try:
        stored = (
            f"SELECT quote(CAST(({default}) AS {affinity}))"
            if affinity != "BLOB"
            else f"SELECT quote({default})"
        )
        value = str(connection.exec_driver_sql(stored).scalar_one())
    except Exception:  # noqa: BLE001 - then the text is compared
        return _plain(default)
    return None if value == "NULL" else value


def differences(expected: Reading, actual: Reading) -> dict[Part, str]:
    """The parts that differ, each with both sides in words."""
    found: dict[Part, str] = {}

    def note(part: Part, wanted: object, live: object) -> None:
        if wanted != live:
            found[part] = f"{wanted} → {live}"

    for name in expected.tables.keys() | actual.tables.keys():
        wanted, live = expected.tables.get(name), actual.tables.get(name)
        if wanted is None or live is None:
            note((name, "table", name), wanted is not None, live is not None)
            continue
        note((name, "table", name), wanted.facts, live.facts)
        for column in wanted.columns.keys() | live.columns.keys():
            note((name, "column", column), wanted.columns.get(column), live.columns.get(column))
        for index in wanted.indexes.keys() | live.indexes.keys():
            indexed = {column for side in (wanted, live) for column in side.indexes.get(index, ((), ""))[0]}
            part = (name, "index", ", ".join([index, *sorted(indexed)]))
            note(part, wanted.indexes.get(index), live.indexes.get(index))
        for kind in "pufcx":
            ours, theirs = (
                Counter(
                    (columns, definition) for of, _, columns, definition in side.constraints if of == kind
                )
                for side in (wanted, live)
            )
            missing = ours.keys() - theirs.keys()  # models may state one constraint twice
            for columns, definition in [*missing, *(theirs - ours)]:
                part = (name, f"constraint {kind}", ", ".join(columns))
                found[part] = f"{found.get(part, '')} {definition}".strip()
    for name in expected.enums.keys() | actual.enums.keys():
        (wanted_values, users), (values, live_users) = (
            side.enums.get(name, ("", ())) for side in (expected, actual)
        )
        note(("", "type", ", ".join([name, *sorted({*users, *live_users})])), wanted_values, values)
    return found
