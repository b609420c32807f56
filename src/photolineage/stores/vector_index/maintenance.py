"""Keeping a table fast: the approximate index, the scalar indices, the fragments and the old versions."""

import re
import time
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from lancedb._lancedb import IndexConfig
    from lancedb.table import Table

ANN_FROM_ROWS: Final = 10_000
"""Below this many rows, an exact search takes a few milliseconds."""
OUTGROWN_FACTOR: Final = 2
"""An index is retrained when the table has grown by this factor: it then has too few partitions, and its centroids no
longer fit the data."""
PARTITION_ROWS: Final = 4096
"""Rows per partition of the IVF_RQ index. IVF_HNSW_SQ took 40 times as long to build and 9 times the bytes.

Partitions of half the size found slightly more for the same number of compared rows, but took twice as long to build.
Three bits per dimension instead of one raised the recall at 3.17 million rows from 0.970 to 0.981, with the same number
of candidates, but a search took 13 ms instead of 10 and the compared vectors three times the memory.
"""
_TRAINING_ROWS_A_PARTITION: Final = 64
_TRAINING_ITERATIONS: Final = 20
"""Iterations of k-means. LanceDB's defaults (256 rows, 50 iterations) took twice as long and found no more (400,000
rows)."""
_ANN_NAME: Final = re.compile(r"vector_ann_(\d+)")


class AnnAction(StrEnum):
    """What `build_ann_if_outgrown` did."""

    NOT_NEEDED = "not needed"
    KEPT = "kept"
    BUILT = "built"


@dataclass(frozen=True, slots=True)
class AnnIndexReport:
    """`trained_rows`: the number of rows that the index was trained on, None without an index."""

    action: AnnAction
    kind: str | None
    rows: int
    trained_rows: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """Fragments and bytes before and after. Bytes are on disk and include old versions."""

    fragments_before: int
    bytes_before: int
    fragments_after: int
    bytes_after: int


def ann_index(table: "Table") -> "IndexConfig | None":
    """The approximate index. A kill before the drop leaves two indices; then, the one with more rows."""
    return max(_ann_indices(table), key=trained_rows, default=None)


def trained_rows(index: "IndexConfig") -> int:
    """The rows of the table when the index was trained.

    The number is part of the index's name, so one commit records both. Raises ValueError for another name.
    """
    match = _ANN_NAME.fullmatch(index.name)
    if match is None:
        raise ValueError(f"{index.name!r} is not the name of an approximate index of Photolineage")
    return int(match[1])


def build_ann_if_outgrown(table: "Table") -> AnnIndexReport:
    """Build the indices if the table has enough rows and has grown by `OUTGROWN_FACTOR` since the last training."""
    started = time.perf_counter()
    rows, former = table.count_rows(), ann_index(table)
    if rows < ANN_FROM_ROWS and former is None:
        return AnnIndexReport(AnnAction.NOT_NEEDED, None, rows, None, 0.0)
    action = AnnAction.KEPT
    if former is None or rows > OUTGROWN_FACTOR * trained_rows(former):
        _build(table, rows)
        action = AnnAction.BUILT
    current, *outgrown = sorted(_ann_indices(table), key=trained_rows, reverse=True)
    for index in outgrown:
        table.drop_index(index.name)
    return AnnIndexReport(
        action, current.index_type, rows, trained_rows(current), time.perf_counter() - started
    )


def optimize(table: "Table", keep_versions_for: timedelta) -> None:
    """Merge fragments, add new rows to the indices, and delete old versions and the files of killed writers.

    The caller must be the only writer: this deletes the files of any unfinished commit.
    """
    table.optimize(cleanup_older_than=keep_versions_for, delete_unverified=True)


def fragment_count(table: "Table") -> int:
    """The number of data fragments of the table."""
    statistics = cast("dict[str, Any]", table.stats())
    return int(statistics["fragment_stats"]["num_fragments"])


def _ann_indices(table: "Table") -> "list[IndexConfig]":
    return [index for index in table.list_indices() if _ANN_NAME.fullmatch(index.name)]


def _build(table: "Table", rows: int) -> None:
    """Build the scalar indices of the filtered columns, then the approximate index.

    Because the approximate index comes last, its presence shows that all indices exist.
    """
    from lancedb.index import Bitmap, BTree, IvfRq

    for column, kind in (("image_id", BTree), ("source", Bitmap), ("taken_at", BTree), ("latitude", BTree)):
        table.create_index(column, config=kind(), name=f"{column}_scalar")
    config = IvfRq(
        distance_type="cosine",
        num_partitions=max(1, rows // PARTITION_ROWS),
        sample_rate=_TRAINING_ROWS_A_PARTITION,
        max_iterations=_TRAINING_ITERATIONS,
    )
    table.create_index("vector", config=config, name=f"vector_ann_{rows}")
