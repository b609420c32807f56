"""Reads schemas of a PostgreSQL database from its catalogs. The server prints the definitions."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, text

from ..errors import SchemaChangedError
from ..schema import (
    Column,
    Constraint,
    ConstraintKind,
    EnumType,
    Index,
    RelationKind,
    Schema,
    Sequence,
    Table,
    TableKey,
)
from ..transactions import pipelined
from . import catalog_queries as catalog

Row: TypeAlias = Mapping[str, Any]
Owner: TypeAlias = tuple[TableKey, str]

_RELATION_KINDS = {
    "r": RelationKind.TABLE,
    "p": RelationKind.PARTITIONED_TABLE,
    "v": RelationKind.VIEW,
    "m": RelationKind.MATERIALIZED_VIEW,
    "f": RelationKind.FOREIGN_TABLE,
}
_CONSTRAINT_KINDS = {
    "p": ConstraintKind.PRIMARY_KEY,
    "u": ConstraintKind.UNIQUE,
    "x": ConstraintKind.UNIQUE,
    "f": ConstraintKind.FOREIGN_KEY,
    "c": ConstraintKind.CHECK,
}
_PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}
_IDENTITY = {"a": "ALWAYS", "d": "BY DEFAULT"}
_GENERATED = {"s": "STORED", "v": "VIRTUAL"}
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_NULL = re.compile(r"NULL(::.*)?")


@dataclass(frozen=True)
class Namespace:
    """A schema of the database to read.

    `declared_name` is its name in the metadata. If `printed_as` is given, definitions show it instead of `name`,
    so that a scratch copy prints like the original.

    `borrowed`: names of tables and types that belong to the default schema `home`, though they are here. Only these
    are read if the namespace is not `whole`.
    """

    name: str
    declared_name: str | None
    printed_as: str | None = None
    borrowed: frozenset[str] = frozenset()
    whole: bool = True
    home: str = ""


def read_schemas(connection: Connection, *sides: list[Namespace]) -> list[Schema]:
    """One schema for each list of namespaces, without the objects that extensions own.

    Expects a search_path of only pg_catalog: the server then prints every other name with its schema, whatever
    the session or a temporary table shadows.

    Raises SchemaChangedError if another session changes the schema meanwhile.
    """
    names = {"schemas": [namespace.name for side in sides for namespace in side]}
    queries = (catalog.VERSION, *catalog.QUERIES, catalog.VERSION)
    before, *rows, after = _rows_of(connection, queries, names)
    found = dict(zip(catalog.QUERIES, rows, strict=True))
    if before != after or any(
        row["definition"] is None for row in (*found[catalog.CONSTRAINTS], *found[catalog.INDEXES])
    ):
        raise SchemaChangedError(
            "Cannot compare the schema: another session changed it during the comparison."
            " Compare again when no migration is running."
        )
    return [_Reader(found, side).schema() for side in sides]


def _rows_of(
    connection: Connection, queries: Iterable[str], names: dict[str, list[str]]
) -> Iterator[list[dict[str, Any]]]:
    """The rows of each query. If the driver can, all queries are sent before the first answer is read."""
    driver: Any = connection.connection.dbapi_connection
    if not hasattr(driver, "pipeline"):
        for query in queries:
            yield [dict(row) for row in connection.execute(text(query), names).mappings()]
        return
    with pipelined(connection):
        cursors = [driver.cursor() for _ in queries]
        for cursor, query in zip(cursors, queries, strict=True):
            cursor.execute(str(text(query).compile(dialect=connection.dialect)), names)
        for cursor in cursors:
            rows = cursor.fetchall()
            columns = tuple(column[0] for column in cursor.description or ())
            yield [dict(zip(columns, row, strict=True)) for row in rows]


class _Reader:
    """Builds the schema of some namespaces from the rows of the catalog queries."""

    def __init__(self, found: Mapping[str, list[dict[str, Any]]], namespaces: list[Namespace]) -> None:
        self._found = found
        self._namespaces = {namespace.name: namespace for namespace in namespaces}
        self._copies = {n.name: n.printed_as for n in namespaces if n.printed_as is not None}
        self._copies |= {
            f"{_quoted(n.name)}.{_quoted(name)}": f"{_quoted(n.home)}.{_quoted(name)}"
            for n in namespaces
            for name in n.borrowed
        }

    def schema(self) -> Schema:
        sequences = {self._key(row): self._sequence(row) for row in self._rows(catalog.SEQUENCES)}
        labels: defaultdict[TableKey, list[str]] = defaultdict(list)
        for row in self._rows(catalog.ENUMS):
            labels[self._key(row)].extend([] if row["value"] is None else [row["value"]])
        return Schema(
            tables=self._tables({s.owner: s for s in sequences.values() if s.owner is not None}),
            enums={key: EnumType(key[1], tuple(values)) for key, values in labels.items()},
            sequences=sequences,
        )

    def _tables(self, owned: Mapping[Owner, Sequence]) -> dict[TableKey, Table]:
        columns: defaultdict[TableKey, dict[str, Column]] = defaultdict(dict)
        for row in self._rows(catalog.COLUMNS):
            key = self._key(row)
            columns[key][row["name"]] = self._column(row, owned.get((key, row["name"])))
        constraints: defaultdict[TableKey, list[Constraint]] = defaultdict(list)
        for row in self._rows(catalog.CONSTRAINTS):
            constraints[self._key(row)].append(self._constraint(row))
        indexes: defaultdict[TableKey, dict[str, Index]] = defaultdict(dict)
        for row in self._rows(catalog.INDEXES):
            indexes[self._key(row)][row["name"]] = _index(row)
        triggers: defaultdict[TableKey, dict[str, str]] = defaultdict(dict)
        for row in self._rows(catalog.TRIGGERS):
            triggers[self._key(row)][row["name"]] = _trigger(row)
        return {
            (key := self._key(row)): Table(
                key=key,
                kind=_RELATION_KINDS[row["kind"]],
                columns=columns[key],
                constraints=tuple(constraints[key]),
                indexes=indexes[key],
                options=_options(row),
                comment=row["comment"],
                child=row["child"],
                definition=row["definition"],
                triggers=triggers[key],
            )
            for row in self._rows(catalog.RELATIONS)
        }

    def _rows(self, query: str) -> list[Row]:
        rows: list[Row] = [row for row in self._found[query] if self._is_read(row)]
        return [self._printed(row) for row in rows] if self._copies else rows

    def _is_read(self, row: Row) -> bool:
        namespace = self._namespaces.get(row["schema"])
        if namespace is None or namespace.whole:
            return namespace is not None
        return row["relation"] in namespace.borrowed or row.get("owner_table") in namespace.borrowed

    def _printed(self, row: Row) -> Row:
        return {
            name: self._text(value) if isinstance(value, str) and not name.endswith("schema") else value
            for name, value in row.items()
        }

    def _text(self, value: str) -> str:
        for name, printed_as in self._copies.items():
            value = value.replace(name, printed_as)
        return value

    def _key(self, row: Row, schema: str = "schema", name: str = "relation") -> TableKey:
        namespace = self._namespaces.get(row[schema])
        if namespace is None:
            return row[schema], row[name]
        return None if row[name] in namespace.borrowed else namespace.declared_name, row[name]

    def _sequence(self, row: Row) -> Sequence:
        owner = None
        if row["owner_table"] is not None:
            owner = (self._key(row, "owner_schema", "owner_table"), row["owner_column"])
        options = (
            f"START {row['start']} INCREMENT {row['increment']} MINVALUE {row['minimum']}"
            f" MAXVALUE {row['maximum']} CACHE {row['cache']} {'' if row['cycle'] else 'NO '}CYCLE"
        )
        return Sequence(row["relation"], row["type"], options, owner)

    def _column(self, row: Row, sequence: Sequence | None) -> Column:
        default, computed = row["expression"], None
        if row["generated"]:
            default, computed = None, f"{default} {_GENERATED[row['generated']]}"
        serial = sequence is not None and not row["identity"] and _reads(default, sequence)
        domain = "" if row["domain"] is None else f" AS {row['domain']}"
        return Column(
            name=row["name"],
            type=row["type"] + domain,
            full_type=row["full_type"] + domain,
            declared=row["full_type"] + domain,
            nullable=not row["not_null"],
            default=None if serial or (default and _NULL.fullmatch(default)) else default,
            computed=computed,
            identity=_IDENTITY.get(row["identity"]),
            autoincrement="its own sequence" if serial else None,
            collation=row["collation"],
            comment=row["comment"],
            enum=None if row["enum"] is None else self._key(row, "enum_schema", "enum"),
            sequence=sequence,
            not_null_unproven=row["not_null_unproven"],
        )

    def _constraint(self, row: Row) -> Constraint:
        return Constraint(
            kind=_CONSTRAINT_KINDS[row["kind"]],
            name=row["name"],
            columns=tuple(row["columns"]),
            definition=row["definition"].removesuffix(" NOT VALID"),
            comment=row["comment"],
            unproven=not row["proven"] and not row["definition"].endswith(" NOT ENFORCED"),
            target=None if row["target"] is None else self._key(row, "target_schema", "target"),
            target_columns=tuple(row["target_columns"]),
        )


def _reads(default: str | None, sequence: Sequence) -> bool:
    return default is not None and default.startswith("nextval(") and sequence.name in default


def _index(row: Row) -> Index:
    method_and_keys = row["definition"].partition(" USING ")[2]
    unique = "UNIQUE " if row["is_unique"] else ""
    return Index(
        name=row["name"],
        unique=row["is_unique"],
        columns=tuple(row["columns"]),
        definition=f"{unique}USING {method_and_keys}",
        valid=row["valid"],
    )


def _trigger(row: Row) -> str:
    """The trigger with the body of its function, without which it says little."""
    body = "" if row["body"] is None else f" AS {row['body'].strip()}"
    disabled = " (disabled)" if row["enabled"] == "D" else ""
    return f"{row['definition']}{body}{disabled}"


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _options(row: Row) -> dict[str, str]:
    """The table's options by name, without those at their default."""
    options = {
        "persistence": _PERSISTENCE[row["persistence"]],
        "partition by": row["partition_key"],
        "access method": row["access_method"],
        "row level security": "on" if row["row_security"] else None,
        "inherits": row["parents"],
    }
    for setting in row["storage"] or ():
        name, _, value = setting.partition("=")
        options[name] = value
    return {name: value for name, value in options.items() if value}
