"""Rows of the catalog as Arrow, and joined in DuckDB."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sqlalchemy import Engine, insert, select

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Source
from photolineage.stores import analytics
from photolineage.stores.analytics import arrow_table, query

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
SCHEMA = pa.schema([("id", pa.int64()), ("key", pa.string()), ("scanned", pa.timestamp("us", "UTC"))])


def add_sources(engine: Engine, count: int) -> None:
    with write_transaction(engine) as connection:
        connection.execute(
            insert(Source),
            [
                {
                    "key": f"s{number}",
                    "root": "/",
                    "created_at": NOON,
                    "scanned_at": NOON + timedelta(microseconds=number) if number % 2 else None,
                }
                for number in range(count)
            ],
        )


@pytest.mark.parametrize("rows", [0, 1, 7, 8])
def test_rows_become_arrow_whatever_the_batches(
    catalog_engine: Engine, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(analytics, "ROWS_PER_BATCH", 4)
    if rows:
        add_sources(catalog_engine, rows)
    with catalog_engine.connect() as connection:
        table = arrow_table(
            connection, select(Source.id, Source.key, Source.scanned_at).order_by(Source.id), SCHEMA
        )
    assert table.schema == SCHEMA
    assert table["key"].to_pylist() == [f"s{number}" for number in range(rows)]
    assert table["scanned"].to_pylist() == [
        NOON + timedelta(microseconds=number) if number % 2 else None for number in range(rows)
    ]


def test_a_query_names_its_tables_as_the_arguments_do() -> None:
    left, right = pa.table({"a": [1, 2, 3]}), pa.table({"a": [2, 3, 4], "b": ["x", "y", "z"]})
    result = query("SELECT a, b FROM l JOIN r USING (a) ORDER BY a", l=left, r=right)
    assert result.to_pydict() == {"a": [2, 3], "b": ["x", "y"]}
