"""The rows of a vector index: their columns, and the selection of rows that a synchronization writes."""

import re
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_MODEL_KEY: Final = re.compile(r"[a-z0-9._-]*[a-z0-9_-][a-z0-9._-]*")
"""The characters of a partition key, with at least one that is not a dot: `.` and `..` are folders."""


def live_schema() -> pa.Schema:
    """The columns that the catalog supplies: an image's facts, and the file that holds its embedding.

    `stack_of` is the image that the stack of this one shows, null for an image that shows itself.
    """
    return pa.schema(
        [
            pa.field("image_id", pa.int64(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("taken_at", pa.timestamp("us", tz="UTC")),
            pa.field("latitude", pa.float64()),
            pa.field("longitude", pa.float64()),
            pa.field("stack_of", pa.int64()),
            pa.field("embedding_file", pa.int64(), nullable=False),
        ]
    )


def index_schema(dim: int) -> pa.Schema:
    """The columns of `live_schema`, and the embedding as it was committed: `dim` float16 numbers, of unit length."""
    return live_schema().append(pa.field("vector", pa.list_(pa.float16(), dim), nullable=False))


def table_name(model_key: str) -> str:
    """The name of the model's table. Raises ValueError for an invalid model key."""
    if not _MODEL_KEY.fullmatch(model_key):
        raise ValueError(
            f"model key {model_key!r}: use only a-z, 0-9, '.', '_' and '-', with at least one that is not a dot"
        )
    return model_key


class WantedRows:
    """The current rows whose embeddings must be read from files. Each is selected once, even if files repeat it."""

    def __init__(self, live: pa.Table, image_ids: NDArray[np.int64], dim: int) -> None:
        rows = live.filter(pa.array(np.isin(live["image_id"].to_numpy(), image_ids)))
        self._rows = rows.sort_by("image_id").combine_chunks()
        self._image_ids: NDArray[np.int64] = self._rows["image_id"].to_numpy()
        self._embedding_files: NDArray[np.int64] = self._rows["embedding_file"].to_numpy()
        self._read = np.zeros(len(self._image_ids), dtype=np.bool_)
        self._schema = index_schema(dim)

    def __len__(self) -> int:
        return len(self._image_ids)

    @property
    def files(self) -> list[int]:
        """The files that hold the embeddings, in ascending order."""
        return [int(file) for file in np.unique(self._embedding_files)]

    @property
    def missing(self) -> tuple[list[int], list[int]]:
        """The images that no batch contained so far, and the files that should contain them."""
        files = np.unique(self._embedding_files[~self._read])
        return self._image_ids[~self._read].tolist(), files.tolist()

    def select(self, batch: pa.RecordBatch) -> pa.Table:
        """The wanted rows of the batch that were not selected before, in the schema of the index."""
        image_ids = batch.column("image_id").to_numpy(zero_copy_only=False)
        position = np.searchsorted(self._image_ids, image_ids).clip(max=len(self) - 1)
        wanted = (
            (self._image_ids[position] == image_ids)
            & (
                self._embedding_files[position]
                == batch.column("embedding_file").to_numpy(zero_copy_only=False)
            )
            & ~self._read[position]
        )
        position, first = np.unique(position[wanted], return_index=True)
        self._read[position] = True
        vectors = batch.column("vector").take(pa.array(np.flatnonzero(wanted)[first]))
        facts = self._rows.take(pa.array(position))
        return pa.table([*facts.columns, vectors], schema=self._schema)
