"""A table as a value that can be changed, and the SQLAlchemy metadata that creates it."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

TYPES: dict[str, dict[str, Any]] = {
    "sqlite": {
        "integer": sa.Integer(), "bigint": sa.BigInteger(), "float": sa.Float(), "numeric": sa.Numeric(10, 2),
        "text": sa.Text(), "string": sa.String(20), "blob": sa.LargeBinary(), "datetime": sa.DateTime(),
    },
    "postgresql": {
        "smallint": sa.SmallInteger(), "integer": sa.Integer(), "bigint": sa.BigInteger(), "real": sa.REAL(),
        "float": sa.Double(), "numeric": sa.Numeric(), "numeric_8_2": sa.Numeric(8, 2), "text": sa.Text(),
        "varchar": sa.String(), "varchar_5": sa.String(5), "varchar_9": sa.String(9), "char_5": sa.CHAR(5),
        "bytea": sa.LargeBinary(), "timestamp": sa.DateTime(), "timestamptz": sa.DateTime(timezone=True),
        "timestamp_0": pg.TIMESTAMP(precision=0), "boolean": sa.Boolean(), "list": pg.ARRAY(sa.Text()),
    },
}  # fmt: skip
STRINGS = ("text", "string", "varchar", "varchar_5", "varchar_9", "char_5")
NUMBERS = ("integer", "bigint", "smallint", "float", "real", "numeric", "numeric_8_2")


@dataclass
class Column:
    """A column. `computed`: whether it is generated from `number`, stored or virtual."""

    type: str
    nullable: bool = True
    default: str | None = None
    collation: str | None = None
    computed: str | None = None
    persisted: bool = False


@dataclass
class Case:
    """The table `item` with its key, constraints and indexes.

    `uniques`: columns and ON CONFLICT by name. `checks`: SQL by name. `foreign_keys`: columns that reference
    `parent.id`, by name. `indexes`: columns and uniqueness by name. `others`: tables that only the database has; each
    references the one before.
    """

    columns: dict[str, Column]
    key: str = "integer"
    autoincrement: bool = False
    strict: bool = False
    without_rowid: bool = False
    uniques: dict[str, tuple[tuple[str, ...], str | None]] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    foreign_keys: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, tuple[tuple[str, ...], bool]] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def metadata(self, dialect: str) -> sa.MetaData:
        """The table, what it references, what references it, the log of its trigger, and the others."""
        metadata = sa.MetaData()
        sa.Table(
            "parent", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
        )
        sa.Table("item", metadata, *self._items(dialect), **self._options())
        sa.Table("log", metadata, sa.Column("what", sa.Text))
        sa.Table(
            "remark",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("item_id", sa.ForeignKey("item.id", ondelete="CASCADE")),
        )
        previous = "parent"
        for name in self.others:
            sa.Table(
                name,
                metadata,
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("up", sa.ForeignKey(f"{previous}.id", ondelete="CASCADE")),
            )
            previous = name
        return metadata

    def _options(self) -> dict[str, Any]:
        return {
            "sqlite_autoincrement": self.autoincrement and self.key == "integer" and not self.without_rowid,
            "sqlite_strict": self.strict,
            "sqlite_with_rowid": not self.without_rowid,
        }

    def _items(self, dialect: str) -> list[Any]:
        types = TYPES[dialect]
        items: list[Any] = [sa.Column("id", types[self.key], primary_key=True)]
        items += [self._column(name, column, types) for name, column in self.columns.items()]
        items += [
            sa.UniqueConstraint(*columns, name=name, sqlite_on_conflict=conflict)
            for name, (columns, conflict) in self.uniques.items()
        ]
        items += [sa.CheckConstraint(check, name=name) for name, check in self.checks.items()]
        items += [
            sa.ForeignKeyConstraint([column], ["parent.id"], name=name, ondelete="CASCADE")
            for name, column in self.foreign_keys.items()
        ]
        items += [sa.Index(name, *columns, unique=unique) for name, (columns, unique) in self.indexes.items()]
        return items

    @staticmethod
    def _column(name: str, column: Column, types: dict[str, Any]) -> "sa.Column[Any]":
        type_ = types[column.type]
        if column.collation is not None:
            type_ = sa.String(type_.length, collation=column.collation)
        generated = (
            [] if column.computed is None else [sa.Computed(column.computed, persisted=column.persisted)]
        )
        default = None if column.default is None else sa.text(column.default)
        return sa.Column(
            name, type_, *generated, nullable=column.nullable, server_default=None if generated else default
        )
