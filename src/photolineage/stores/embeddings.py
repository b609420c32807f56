"""Embeddings: one Parquet file per checkpoint, with float16 vectors of unit length.

The file's metadata names the model and the digest of its weights. So a file can be compared with the catalog without
trusting its path. The ids of its images say to which shard it belongs; the shard's key may change.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3
from numpy.typing import NDArray

from photolineage.catalog.queries import CommittedFile
from photolineage.lineage import partition_subject
from photolineage.stores.files import Files, LostFileError, unique_name, unreadable_file

EMBEDDINGS = "embeddings"
IDENTITY = ("image_id", "content_hash")
"""The columns that say of which image, and of which content, an embedding is."""

UNIT_LENGTH_TOLERANCE = 2e-3
"""float16 has 11 significant bits: the length of a unit vector in float16 differs from 1 by less than this."""


@dataclass(frozen=True, slots=True)
class EmbeddingFileHeader:
    """The model and the weights that made the embeddings of a file, and the shard whose folder the file is in."""

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


def are_unit(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the vectors (n, dim) are finite and of unit length."""
    sound: NDArray[np.bool_] = np.abs(np.linalg.norm(vectors, axis=1) - 1) <= UNIT_LENGTH_TOLERANCE
    return sound


def wrong_row_count(found: int, recorded: int) -> str:
    """What a person reads about a file with another number of rows than its commit record states."""
    return f"the file has {found} rows, but its commit record says {recorded}"


def content_problems(table: pa.Table, row_count: int, members: Collection[int]) -> list[str]:
    """The problems in the rows of an embedding file, each as a clause.

    Expected are `row_count` rows, one for each image, and only images among the `members` of the shard.
    """
    import pyarrow.compute as pc

    problems = []
    if len(table) != row_count:
        problems.append(wrong_row_count(len(table), row_count))
    ids = table["image_id"]
    if len(pc.unique(ids)) != len(ids):
        problems.append("the file has the same image twice")
    foreign = set(ids.to_pylist()).difference(members)
    if foreign:
        problems.append(f"the file has images of another shard: {sorted(foreign)[:5]}")
    flat = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    wrong = int(np.sum(~are_unit(flat.reshape(len(table), -1))))
    if wrong:
        problems.append(f"{wrong} vectors are not finite or not of unit length")
    return problems


def embeddings_folder(model_key: str) -> str:
    """The folder of one model's embedding files."""
    return f"{EMBEDDINGS}/{model_key}"


def embedding_file(path: str) -> int:
    """The number by which the index knows an embedding file: a digest of its name, which no other file ever has.

    A number from the catalog would not do: a catalog that was restored from a backup gives the same numbers again. The
    folder does not count: it gets another name when a source is renamed.
    """
    return int.from_bytes(blake3(PurePosixPath(path).name.encode()).digest(length=8), signed=True)


def _write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="none", write_page_checksum=True)


class EmbeddingStore:
    """The embedding files, with one folder for each model and shard."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def folder(self, model_key: str, shard_key: str) -> str:
        """The folder for the files of one model and shard."""
        return f"{embeddings_folder(model_key)}/{shard_key}"

    def is_sound(
        self, file: CommittedFile, header: EmbeddingFileHeader, dim: int, members: Collection[int]
    ) -> bool:
        """Whether a committed file can be read and matches its commit record and its header.

        Raises StorageError if the system refuses to read the file, or if the folder of all embeddings is missing.
        """
        try:
            schema = self._opened(file.path, file.size_bytes).schema_arrow
            if not schema.equals(embedding_schema(dim, header), check_metadata=True):
                return False
            return not content_problems(self.read(file.path), file.row_count, members)
        except LostFileError:
            return False

    def write(
        self,
        header: EmbeddingFileHeader,
        name: str,
        image_ids: Sequence[int],
        content_hashes: Sequence[str],
        vectors: NDArray[np.float32],
    ) -> tuple[str, int]:
        """Write one file from unit vectors (n, dim). Returns its path and its size in bytes.

        Raises ValueError if a vector is not finite or not of unit length.
        """
        sound = are_unit(vectors)
        if not sound.all():
            wrong = image_ids[int(np.argmin(sound))]
            raise ValueError(
                f"{header.model_key}: the embedding of image {wrong} is not finite or not of unit length"
            )
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
        """Write one file from rows of committed files, given by path and row positions. Returns the same as `write`.

        Raises StorageError if one of the files is missing.
        """
        tables = [self.read(path).take(pa.array(positions, pa.int64())) for path, positions in rows]
        return self._write_table(header, name, pa.concat_tables(tables))

    def _write_table(self, header: EmbeddingFileHeader, name: str, table: pa.Table) -> tuple[str, int]:
        path = f"{self.folder(header.model_key, header.shard_key)}/{unique_name(name)}.parquet"
        return path, self.files.write(path, lambda partial: _write_parquet(table, partial))

    def read_identities(self, path: str, row_count: int | None = None) -> pa.Table:
        """Image id and content hash of each row of one committed file.

        Raises StorageError if the file is missing or damaged. LostFileError if it does not have the `row_count` rows
        of its commit record.
        """
        return self._read(path, IDENTITY, row_count)

    def read(self, path: str, dim: int | None = None) -> pa.Table:
        """One committed file: image id, content hash, vector.

        Raises StorageError if the file is missing or damaged. LostFileError if its vectors do not have the length
        `dim`.
        """
        return self._read(path, [*IDENTITY, "vector"], dim=dim)

    def read_schema(self, path: str) -> pa.Schema:
        """The schema of one committed file, with its metadata. Raises StorageError if it is missing."""
        return self._opened(path).schema_arrow

    def _read(
        self, path: str, columns: Sequence[str], row_count: int | None = None, dim: int | None = None
    ) -> pa.Table:
        file = self._opened(path)
        with self._explained(path):
            if row_count is not None and file.metadata.num_rows != row_count:
                raise LostFileError(wrong_row_count(file.metadata.num_rows, row_count))
            if dim is not None and not file.schema_arrow.equals(embedding_schema(dim)):
                raise LostFileError(f"the file does not have the columns of embeddings of dimension {dim}")
            return file.read(columns=list(columns))

    def _opened(self, path: str, size_bytes: int | None = None) -> pq.ParquetFile:
        with self._explained(path):
            return pq.ParquetFile(self.files.local(path, size_bytes), page_checksum_verification=True)

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except (LostFileError, OSError, pa.ArrowException) as error:
            folder = PurePosixPath(path).parent
            subject = partition_subject(folder.parent.name, folder.name)
            remedy = f"Materialize the partition {subject} of image_embeddings again."
            raise unreadable_file(self.files, path, "embedding", error, remedy) from error
