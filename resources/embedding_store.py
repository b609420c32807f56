"""Embeddings: one Parquet file a checkpoint, float16 vectors of unit length.

The file's metadata name the model, the digest of its weights and the shard, so that a file can be held against
the catalog without trusting its path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from resources.file_store import StorageError, write_atomically


@dataclass(frozen=True, slots=True)
class EmbeddingFileHeader:
    """Whose embeddings a file holds."""

    model_key: str
    weights_digest: str
    shard_key: str


def embedding_schema(dim: int, header: EmbeddingFileHeader | None = None) -> pa.Schema:
    """The Arrow schema of an embedding file: image id, content hash and a float16 vector of length `dim`."""
    metadata = (
        None
        if header is None
        else {
            "photolineage.model_key": header.model_key,
            "photolineage.weights_digest": header.weights_digest,
            "photolineage.shard_key": header.shard_key,
        }
    )
    return pa.schema(
        [
            pa.field("image_id", pa.int64(), nullable=False),
            pa.field("content_hash", pa.string(), nullable=False),
            pa.field("vector", pa.list_(pa.field("element", pa.float16()), dim), nullable=False),
        ],
        metadata=metadata,
    )


class EmbeddingStore:
    """The embedding files under `home/embeddings`, one folder a model and shard."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def directory(self, model_key: str, shard_key: str) -> Path:
        """The folder of the files of one model and shard."""
        return self.model_directory(model_key) / shard_key

    def model_directory(self, model_key: str) -> Path:
        """The folder of all files of one model."""
        return self._home / "embeddings" / model_key

    def is_whole(self, path: str, size_bytes: int) -> bool:
        """Whether a committed file is there, and as long as when it was written.

        Raises StorageError where it cannot be looked at, or where the folder of all embeddings is gone.
        """
        try:
            return (self._home / path).stat().st_size == size_bytes
        except FileNotFoundError as error:
            if (self._home / "embeddings").is_dir():
                return False
            raise StorageError(
                f"{self._home / 'embeddings'}: no such folder, and the catalog has files in it. Mount its disk; or, "
                "where the embeddings are really lost, create the folder, and they are computed again."
            ) from error
        except OSError as error:
            raise StorageError(
                f"{self._home / path}: a committed embedding file cannot be looked at: {error.strerror or error}. "
                "Make the disk of the home directory readable."
            ) from error

    def write(
        self,
        header: EmbeddingFileHeader,
        name: str,
        image_ids: Sequence[int],
        content_hashes: Sequence[str],
        vectors: NDArray[np.float32],
    ) -> tuple[str, int]:
        """Write one file from unit vectors (n, dim); its path relative to the home directory and its size.

        Raises ValueError for vectors that are not finite or not of unit length.
        """
        lengths = np.linalg.norm(vectors, axis=1)
        if not np.allclose(lengths, 1.0, atol=1e-3):
            worst = int(image_ids[int(np.argmax(np.abs(lengths - 1.0)))])
            raise ValueError(f"{header.model_key}: image {worst} has an embedding that is not of unit length")
        dim = vectors.shape[1]
        schema = embedding_schema(dim, header)
        flat = pa.array(vectors.astype(np.float16).ravel(), pa.float16())
        table = pa.table(
            [
                pa.array(image_ids, pa.int64()),
                pa.array(content_hashes, pa.string()),
                pa.FixedSizeListArray.from_arrays(flat, type=schema.field("vector").type),
            ],
            schema=schema,
        )
        return self._write_table(header, name, table)

    def rewrite(
        self, header: EmbeddingFileHeader, name: str, rows: Sequence[tuple[str, Sequence[int]]]
    ) -> tuple[str, int]:
        """Write one file from rows of committed ones, given by path and positions; its path and size as `write`.

        Raises StorageError for a file that is gone.
        """
        tables = [self.read(path).take(pa.array(positions, pa.int64())) for path, positions in rows]
        return self._write_table(header, name, pa.concat_tables(tables))

    def _write_table(self, header: EmbeddingFileHeader, name: str, table: pa.Table) -> tuple[str, int]:
        path = self.directory(header.model_key, header.shard_key) / f"{name}.parquet"
        size = write_atomically(path, lambda partial: pq.write_table(table, partial, compression="none"))
        return str(path.relative_to(self._home)), size

    def read_identities(self, path: str) -> pa.Table:
        """Image id and content hash of each row of one committed file. Raises StorageError where it is gone."""
        return self._read(path, ["image_id", "content_hash"])

    def read(self, path: str) -> pa.Table:
        """One committed file: image id, content hash, vector. Raises StorageError where it is gone."""
        return self._read(path, ["image_id", "content_hash", "vector"])

    def read_schema(self, path: str) -> pa.Schema:
        """The schema of one committed file, with its metadata. Raises StorageError where it is gone."""
        return self._opened(path).schema_arrow

    def _read(self, path: str, columns: Sequence[str]) -> pa.Table:
        return self._opened(path).read(columns=list(columns))

    def _opened(self, path: str) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._home / path)
        except (OSError, pa.ArrowInvalid) as error:
            shard_key, model_key = Path(path).parent.name, Path(path).parent.parent.name
            raise StorageError(
                f"{self._home / path}: a committed embedding file cannot be read: {error}. Materialize the "
                f"partition {model_key}|{shard_key} of image_embeddings again."
            ) from error
