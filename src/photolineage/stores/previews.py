"""Previews: upright JPEGs of a shard's images, read in sequence instead of the originals.

Each checkpoint writes one Arrow file. Files are mapped into memory, so one preview can be read without the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import ipc

from photolineage.stores.files import Files, LostFileError, unique_name, unreadable_file

PREVIEWS = "previews"

PREVIEW_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.int64(), nullable=False),
        pa.field("content_hash", pa.string(), nullable=False),
        pa.field("jpeg", pa.large_binary(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview of an image as it was with this content."""

    image_id: int
    content_hash: str
    jpeg: bytes


class PreviewStore:
    """The preview files, one folder per shard."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def folder(self, shard_key: str) -> str:
        """The folder of a shard's preview files."""
        return f"{PREVIEWS}/{shard_key}"

    def is_sound(self, path: str, size_bytes: int) -> bool:
        """Whether a committed file exists, has the recorded size, and opens. Its previews are not decoded.

        Raises StorageError if the system refuses to read the file, or if the folder of all previews is missing.
        """
        try:
            self._map_file(path, size_bytes)
        except LostFileError:
            return False
        return True

    def write(self, shard_key: str, name: str, previews: Sequence[Preview]) -> tuple[str, int]:
        """Write one file. Returns its path and its size in bytes."""
        table = pa.table(
            {
                "image_id": [preview.image_id for preview in previews],
                "content_hash": [preview.content_hash for preview in previews],
                "jpeg": [preview.jpeg for preview in previews],
            },
            schema=PREVIEW_SCHEMA,
        )
        return self._write_tables(shard_key, name, [table])

    def rewrite(
        self, shard_key: str, name: str, rows: Sequence[tuple[str, Sequence[int]]]
    ) -> tuple[str, int]:
        """Write one file from rows of committed files, given by path and row positions. Returns the same as `write`.

        Holds at most one of the files in memory. Raises StorageError if one of them is missing.
        """
        tables = (self._map_file(path).take(pa.array(positions, pa.int64())) for path, positions in rows)
        return self._write_tables(shard_key, name, tables)

    def read_identities(self, path: str) -> pa.Table:
        """Image id and content hash of each row of one committed file. Raises StorageError if it is missing."""
        return self._map_file(path).select(["image_id", "content_hash"])

    def _write_tables(self, shard_key: str, name: str, tables: Iterable[pa.Table]) -> tuple[str, int]:
        path = f"{self.folder(shard_key)}/{unique_name(name)}.arrow"

        def write(partial: Path) -> None:
            with ipc.new_file(partial, PREVIEW_SCHEMA) as writer:
                for table in tables:
                    writer.write_table(table)

        return path, self.files.write(path, write)

    def open(self, paths: Iterable[str]) -> "PreviewReader":
        """A reader over committed files.

        If several files hold the same content of an image, the last one is used. Raises StorageError if a file is
        missing.
        """
        return PreviewReader(map(self._map_file, paths))

    def _map_file(self, path: str, size_bytes: int | None = None) -> pa.Table:
        try:
            return ipc.open_file(pa.memory_map(str(self.files.local(path, size_bytes)))).read_all()
        except (LostFileError, OSError, pa.ArrowException) as error:
            shard_key = PurePosixPath(path).parent.name
            remedy = f"Materialize the partition {shard_key} of registered_images again."
            raise unreadable_file(self.files, path, "preview", error, remedy) from error


class PreviewReader:
    """Random access to the previews of committed files. Previews are read on demand."""

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        self._tables: list[pa.Table] = []
        self._row_of: dict[tuple[int, str], tuple[int, int]] = {}
        for number, table in enumerate(tables):
            self._tables.append(table)
            keys = zip(table["image_id"].to_pylist(), table["content_hash"].to_pylist(), strict=True)
            self._row_of |= {key: (number, row) for row, key in enumerate(keys)}

    def contents(self) -> Mapping[tuple[int, str], tuple[int, int]]:
        """The (image id, content hash) pairs that have a preview, each with its place. Places sort in reading order."""
        return self._row_of

    def jpeg(self, image_id: int, content_hash: str) -> bytes | None:
        """The preview of this content of this image, or None if it has none."""
        place = self._row_of.get((image_id, content_hash))
        if place is None:
            return None
        table, row = place
        value: bytes = self._tables[table]["jpeg"][row].as_py()
        return value
