"""The commits of a synchronization. Each is atomic and may be repeated."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photolineage.stores.vector_index.rows import WantedRows

if TYPE_CHECKING:
    from lancedb.table import Table

ROWS_A_COMMIT: Final = 50_000
"""With 512 dimensions: 51 MB of embeddings in memory, and 64 commits for 3.2 million images."""
_IDS_A_STATEMENT: Final = 10_000


def remove_rows(table: "Table", image_ids: NDArray[np.int64]) -> None:
    """Remove the rows of these images."""
    from lancedb.expr import col

    for first in range(0, len(image_ids), _IDS_A_STATEMENT):
        table.delete(col("image_id").isin(image_ids[first : first + _IDS_A_STATEMENT].tolist()))


def update_facts(table: "Table", live: pa.Table, image_ids: NDArray[np.int64]) -> None:
    """Update the facts of these images' rows from `live`. Embeddings are not touched."""
    rows = live.filter(pa.array(np.isin(live["image_id"].to_numpy(), image_ids)))
    for first in range(0, rows.num_rows, ROWS_A_COMMIT):
        table.merge_insert("image_id").when_matched_update_all().execute(rows.slice(first, ROWS_A_COMMIT))


def write_rows(
    table: "Table",
    wanted: WantedRows,
    batches: Iterable[pa.RecordBatch],
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Write the wanted rows among `batches`, replacing existing rows of the same images."""
    written = 0
    for rows in _chunks(wanted, batches):
        table.merge_insert("image_id").when_matched_update_all().when_not_matched_insert_all().execute(rows)
        written += rows.num_rows
        if on_progress is not None:
            on_progress(written, len(wanted))


def _chunks(wanted: WantedRows, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The wanted rows in non-empty tables of about `ROWS_A_COMMIT` rows."""
    pending: list[pa.Table] = []
    for batch in batches:
        rows = wanted.select(batch)
        if rows.num_rows:
            pending.append(rows)
        if sum(table.num_rows for table in pending) >= ROWS_A_COMMIT:
            yield pa.concat_tables(pending)
            pending = []
    if pending:
        yield pa.concat_tables(pending)


def flush_files(folder: Path) -> None:
    """Write the files below a folder to the disk, and then the names of all: those of the folder itself, too.

    A file that is renamed meanwhile is left out: LanceDB writes its hint of the newest version after a commit has
    returned, and does without it.
    """
    if folder.is_dir():
        for directory, _folders, names in os.walk(folder, topdown=False):
            for path in (*(os.path.join(directory, name) for name in names), directory):
                _flush(path)
        _flush(folder.parent)
        _flush(folder.parent.parent)


def _flush(path: str | Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
