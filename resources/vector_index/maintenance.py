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

Half of them find a little more among as many compared rows, and take twice the time to build.
"""
BITS: Final = 3
"""For each dimension, of the vectors that are compared first. Measured at 250,000 rows, all compared: one bit needs 64
candidates compared again for a recall of 0.997, three need 32 for 1.000 and a seventh less time; four find no more."""
_TRAINING_ROWS_A_PARTITION: Final = 64
_TRAINING_ITERATIONS: Final = 20
"""Of k-means. LanceDB's 256 and 50 took twice as long to build, and found no more (400,000 rows)."""
_ANN_NAME: Final = re.compile(r"vector_ann_(?P<rows>\d+)(_(?P<bits>\d)bit)?")


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
    """The approximate index; of the two that a kill before the drop leaves, the one that is kept."""
    return next(iter(_ann_indices(table)), None)


def trained_rows(index: "IndexConfig") -> int:
    """The rows of the table when the index was trained. They are part of its name: one commit makes both."""
    return int(_parts_of_name(index)["rows"])


def build_ann_if_outgrown(table: "Table") -> AnnIndexReport:
    """Build the indices, where there are enough rows, and over `OUTGROWN_FACTOR` times those trained on.

    An index of another number of bits is built anew.
    """
    started = time.perf_counter()
    rows, former = table.count_rows(), ann_index(table)
    if rows < ANN_FROM_ROWS and former is None:
        return AnnIndexReport(AnnAction.NOT_NEEDED, None, rows, None, 0.0)
    action = AnnAction.KEPT
    if former is None or _has_other_bits(former) or rows > OUTGROWN_FACTOR * trained_rows(former):
        _build(table, rows)
        action = AnnAction.BUILT
    current, *outgrown = _ann_indices(table)
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


def _parts_of_name(index: "IndexConfig") -> dict[str, str]:
    match = _ANN_NAME.fullmatch(index.name)
    if match is None:
        raise ValueError(f"{index.name!r} is not the name of an approximate index of this project")
    return match.groupdict()


def _has_other_bits(index: "IndexConfig") -> bool:
    return _parts_of_name(index)["bits"] != str(BITS)


def _ann_indices(table: "Table") -> "list[IndexConfig]":
    """The one to keep first: of the present bits, of the most rows."""
    indices = [index for index in table.list_indices() if _ANN_NAME.fullmatch(index.name)]
    return sorted(indices, key=lambda index: (not _has_other_bits(index), trained_rows(index)), reverse=True)


def _build(table: "Table", rows: int) -> None:
    """The scalar indices of what is filtered by, then the approximate one, whose presence says that all are made."""
    from lancedb.index import Bitmap, BTree, IvfRq

    for column, kind in (("image_id", BTree), ("source", Bitmap), ("taken_at", BTree), ("latitude", BTree)):
        table.create_index(column, config=kind(), name=f"{column}_scalar")
    config = IvfRq(
        distance_type="cosine",
        num_bits=BITS,
        num_partitions=max(1, rows // PARTITION_ROWS),
        sample_rate=_TRAINING_ROWS_A_PARTITION,
        max_iterations=_TRAINING_ITERATIONS,
    )
    table.create_index("vector", config=config, name=f"vector_ann_{rows}_{BITS}bit")
