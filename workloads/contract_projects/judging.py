"""Judges what the contract and Alembic report, by readings of the project's database and of one made by its models."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from photolineage.contract.drift import Drift, DriftKind
from workloads.contract_projects.readings import Part, Reading

K = DriftKind
_CLASSES = {
    "table": (K.MISSING_TABLE, K.EXTRA_TABLE, K.RELATION_KIND, K.TABLE_OPTION, K.COMMENT),
    "constraint p": (K.PK, K.AUTOINCREMENT),
    "constraint u": (K.UNIQUE_MISSING, K.UNIQUE_EXTRA, K.UNIQUE_CHANGED),
    "constraint f": (K.FK_MISSING, K.FK_EXTRA, K.FK_CHANGED),
    "constraint c": (K.CHECK_MISSING, K.CHECK_EXTRA, K.CHECK_CHANGED, K.ENUM_VALUES),
    "index": (K.INDEX_MISSING, K.INDEX_EXTRA, K.INDEX_CHANGED),
    "type": (K.ENUM_MISSING, K.ENUM_EXTRA, K.ENUM_NAME, K.ENUM_VALUES),
    "column": (
        K.MISSING_COLUMN, K.EXTRA_COLUMN, K.TYPE, K.TYPE_ARGS, K.DIMS, K.NULLABLE, K.DEFAULT, K.COMPUTED,
        K.IDENTITY, K.AUTOINCREMENT, K.COLLATION, K.COMMENT, K.ENUM_NAME,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """What a tool says that differs: objects of some classes in a table, by their names or columns.

    A missing or extra table or column is `whole`: what belongs to it is missing or extra too.
    """

    table: str
    classes: tuple[str, ...]
    names: frozenset[str]
    text: str

    def covers(self, part: Part) -> bool:
        """Whether the claim speaks of the part."""
        table, kind, name = part
        if kind == "type":
            return kind in self.classes and name.split(", ")[0] in self.names
        if table != self.table:
            return False
        if "whole" in self.classes:
            return "table" in self.classes or bool(self.names & {*name.split(", ")})
        if kind not in self.classes:
            return False
        return kind == "table" or bool(self.names & {name, *name.split(", ")})


def covered(claims: Sequence[Claim], part: Part) -> bool:
    """Whether a claim speaks of the part: of a type also if claims speak of all the columns that have it."""
    if any(each.covers(part) for each in claims):
        return True
    _, kind, name = part
    users = [user.rpartition(".") for user in name.split(", ")[1:]] if kind == "type" else []
    wholes = [each for each in claims if "whole" in each.classes]
    return bool(users) and all(
        any(each.covers((table, "column", column)) for each in wholes) for table, _, column in users
    )


def claim(drift: Drift) -> Claim:
    """The claim of the contract."""
    table = drift.table.rpartition(".")[2]
    classes = tuple(name for name, kinds in _CLASSES.items() if drift.kind in kinds)
    if drift.kind in (K.MISSING_TABLE, K.EXTRA_TABLE):
        classes = ("table", "whole")
    if drift.kind in (K.MISSING_COLUMN, K.EXTRA_COLUMN):
        classes = ("column", "whole")
    if drift.kind is K.DEFINITION_REFUSED:
        classes = tuple(_CLASSES)
    columns = () if drift.kind in _CLASSES["index"] else drift.columns
    return Claim(table, classes, frozenset({drift.name, *columns, *_shown_names(drift)}), drift.identity)


def _shown_names(drift: Drift) -> Iterator[str]:
    """The names that a renaming shows."""
    for text in (drift.expected or "", drift.actual or ""):
        words = text.split()
        if words[:1] in (["INDEX"], ["CONSTRAINT"]):
            yield words[1]


def is_true(
    drift: Drift, differences: Iterable[Part], expected: Reading, actual: Reading, refused: Iterable[str]
) -> bool:
    """Whether the readings differ in what the drift names."""
    table = drift.table.rpartition(".")[2]
    if drift.kind is K.DEFINITION_REFUSED:
        return any(drift.name in message or table in message for message in refused)
    if (drift.expected or "").startswith("CONSTRAINT "):
        wanted = drift.name
        return wanted in expected.tables[table].names and wanted not in actual.tables[table].names
    if drift.kind in _CLASSES["constraint u"] and _uniques(expected, table) != _uniques(actual, table):
        return True
    said = claim(drift)
    return any(said.covers(part) for part in differences)


def _uniques(reading: Reading, table: str) -> int:
    """How often SQLite's statement says UNIQUE: a UNIQUE over the primary key has no index that shows it."""
    return len(re.findall(r"\bUNIQUE\b", reading.tables[table].sql, re.IGNORECASE))


def claims_of_alembic(metadata: list[MetaData], connection: Connection) -> list[Claim]:
    """The claims of Alembic, with `compare_type` and `compare_server_default`."""
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    found = compare_metadata(context, metadata if len(metadata) > 1 else metadata[0])  # type: ignore[arg-type]
    flat = [each for entry in found for each in (entry if isinstance(entry, list) else [entry])]
    return [_claim_of_alembic(entry) for entry in flat]


def _claim_of_alembic(entry: tuple[Any, ...]) -> Claim:
    kind, said = entry[0], repr(entry)[:200]
    if kind in ("add_table", "remove_table"):
        return Claim(entry[1].name, ("table", "whole"), frozenset({entry[1].name}), said)
    if kind in ("add_table_comment", "remove_table_comment"):
        return Claim(entry[1].name, ("table",), frozenset({entry[1].name}), said)
    if kind in ("add_column", "remove_column"):
        return Claim(entry[2], ("column", "whole"), frozenset({entry[3].name}), said)
    if kind.startswith("modify_"):
        return Claim(entry[2], ("column",), frozenset({entry[3]}), said)
    if kind in ("add_index", "remove_index"):
        return Claim(entry[1].table.name, ("index",), frozenset({str(entry[1].name)}), said)
    columns = frozenset(str(column.name) for column in entry[1].columns)
    names = columns | {", ".join(sorted(columns)), str(entry[1].name)}
    classes = ("constraint f",) if kind.endswith("_fk") else ("constraint u", "constraint c")
    return Claim(entry[1].table.name, classes, names, said)
