"""Keeping a table fast: its approximate index, its scalar indices, its fragments and its old versions."""

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
"""Below it, comparing with every row takes a few milliseconds and finds everything."""
OUTGROWN_FACTOR: Final = 2
"""The growth since its training from which an index has too few partitions, and centroids out of place."""
PARTITION_ROWS: Final = 4096
"""Rows for each partition: IVF_RQ, measured against IVF_HNSW_SQ (40 times the time to build, 9 times the bytes).

Half of them find a little more among as many compared rows, and take twice the time to build. Three bits a dimension in
place of one find more among as few candidates (at 3.17 million rows 0.981 for 0.970), in 13 ms for 10: what is compared
takes three times the memory.
"""
_TRAINING_ROWS_A_PARTITION: Final = 64
_TRAINING_ITERATIONS: Final = 20
"""Of k-means. LanceDB's 256 and 50 took twice as long to build, and found no more (400,000 rows)."""
_ANN_NAME: Final = re.compile(r"vector_ann_(\d+)")


class AnnAction(StrEnum):
    """What was done about the approximate index."""

    NOT_NEEDED = "not needed"
    KEPT = "kept"
    BUILT = "built"


@dataclass(frozen=True, slots=True)
class AnnIndexReport:
    """`trained_rows`: the rows that the index was trained on, null where there is no index."""

    action: AnnAction
    kind: str | None
    rows: int
    trained_rows: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """Bytes are those on disk, old versions included."""

    fragments_before: int
    bytes_before: int
    fragments_after: int
    bytes_after: int


def ann_index(table: "Table") -> "IndexConfig | None":
    """The approximate index; of the two that a kill before the drop leaves, the one of more rows."""
    return max(_ann_indices(table), key=trained_rows, default=None)


def trained_rows(index: "IndexConfig") -> int:
    """The rows of the table when the index was trained. They are part of its name: one commit makes both."""
    match = _ANN_NAME.fullmatch(index.name)
    if match is None:
        raise ValueError(f"{index.name!r} is not the name of an approximate index of this project")
    return int(match[1])


def build_ann_if_outgrown(table: "Table") -> AnnIndexReport:
    """Build the indices, where there are enough rows, and over `OUTGROWN_FACTOR` times those trained on."""
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
    """Merge fragments, add new rows to the indices, and delete older versions and what killed writers left.

    The caller holds the only right to write: the files of an unfinished commit of another would be deleted.
    """
    table.optimize(cleanup_older_than=keep_versions_for, delete_unverified=True)


def fragment_count(table: "Table") -> int:
    """The number of data fragments of the table."""
    statistics = cast("dict[str, Any]", table.stats())
    return int(statistics["fragment_stats"]["num_fragments"])


def _ann_indices(table: "Table") -> "list[IndexConfig]":
    return [index for index in table.list_indices() if _ANN_NAME.fullmatch(index.name)]


def _build(table: "Table", rows: int) -> None:
    """The scalar indices of what is filtered by, then the approximate one, whose presence says that all are made."""
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
