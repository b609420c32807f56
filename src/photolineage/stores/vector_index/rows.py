"""The rows that a synchronization writes: embeddings from files, joined with what the catalog knows."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photolineage.stores.vector_index.schema import index_schema


class WantedRows:
    """The live rows whose embeddings are to be read; each is selected once, whatever the files repeat."""

    def __init__(self, live: pa.Table, image_ids: NDArray[np.int64], dim: int) -> None:
        rows = live.filter(pa.array(np.isin(live["image_id"].to_numpy(), image_ids)))
        self._rows = rows.sort_by("image_id").combine_chunks()
        self._image_ids: NDArray[np.int64] = self._rows["image_id"].to_numpy()
        self._shard_file_ids: NDArray[np.int64] = self._rows["shard_file_id"].to_numpy()
        self._read = np.zeros(len(self._image_ids), dtype=np.bool_)
        self._schema = index_schema(dim)

    def __len__(self) -> int:
        return len(self._image_ids)

    @property
    def files(self) -> list[int]:
        """The files that hold the embeddings, in ascending order."""
        return [int(file) for file in np.unique(self._shard_file_ids)]

    @property
    def missing(self) -> tuple[list[int], list[int]]:
        """The images that no batch has held so far, and the files that should hold them."""
        files = np.unique(self._shard_file_ids[~self._read])
        return self._image_ids[~self._read].tolist(), files.tolist()

    def select(self, batch: pa.RecordBatch) -> pa.Table:
        """The rows of the batch that are wanted and were not selected before, in the schema of the index."""
        image_ids = batch.column("image_id").to_numpy(zero_copy_only=False)
        position = np.searchsorted(self._image_ids, image_ids).clip(max=len(self) - 1)
        wanted = (
            (self._image_ids[position] == image_ids)
            & (self._shard_file_ids[position] == batch.column("shard_file_id").to_numpy(zero_copy_only=False))
            & ~self._read[position]
        )
        position, first = np.unique(position[wanted], return_index=True)
        self._read[position] = True
        vectors = batch.column("vector").take(pa.array(np.flatnonzero(wanted)[first]))
        facts = self._rows.take(pa.array(position))
        return pa.table([*facts.columns, vectors], schema=self._schema)
