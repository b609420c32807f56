"""A schema of ordinary size, to measure the cost of a comparison before a run's first write."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from photolineage.catalog.orm import Base

_TYPES: tuple[TypeEngine[Any], ...] = (String(20), Integer(), DateTime(timezone=True), Double())


def fifteen_tables() -> MetaData:
    """Fifteen tables of 13 columns, each with a CHECK, a UNIQUE, a foreign key and two indexes."""
    return many_tables(15)


def many_tables(count: int, *, drifts: int = 0) -> MetaData:
    """Tables like the fifteen. In the last `drifts` of them, a column is not nullable that is elsewhere."""
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    for number in range(count):
        optional = range(2 if number >= count - drifts else 0, 11, 2)
        Table(
            f"table_{number:02}",
            metadata,
            Column("id", BigInteger(), primary_key=True),
            *(Column(f"c{place}", _TYPES[place % 4], nullable=place in optional) for place in range(11)),
            Column("parent_id", ForeignKey(f"table_{max(number - 1, 0):02}.id"), index=True),
            CheckConstraint("c1 > 0", name="positive"),
            UniqueConstraint("c0"),
            Index(f"ix_table_{number:02}_c2", "c2"),
        )
    return metadata
