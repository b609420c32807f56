"""Set operations over the catalog and the embedding files: DuckDB joins Arrow tables."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from photolineage.catalog.engine import one_transaction

if TYPE_CHECKING:
    import duckdb
    from sqlalchemy import Connection, Select

ROWS_PER_BATCH = 50_000


def arrow_table(
    connection: "Connection", statement: "Select[*tuple[Any, ...]]", schema: pa.Schema
) -> pa.Table:
    """The rows of a statement, in order, with the columns of `schema`."""
    batches = []
    with one_transaction(connection):
        result = connection.execute(statement, execution_options={"stream_results": True})
        for rows in result.partitions(ROWS_PER_BATCH):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            batches.append(pa.record_batch(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)


def query(sql: str, **tables: pa.Table) -> pa.Table:
    """The result of a DuckDB query over Arrow tables. The query uses the argument names as table names."""
    import duckdb

    with duckdb.connect() as connection:
        register_tables(connection, tables)
        return connection.sql(sql).to_arrow_table()


def register_tables(connection: "duckdb.DuckDBPyConnection", tables: Mapping[str, pa.Table]) -> None:
    """Make Arrow tables available to queries under these names, without copying them."""
    for name, table in tables.items():
        connection.register(name, table)
