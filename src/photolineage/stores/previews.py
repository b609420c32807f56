"""Previews: upright JPEGs of a shard's images, read in sequence instead of the originals.

One Arrow file a checkpoint, mapped into memory, so that one preview can be read without the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import ipc

from photolineage.stores.files import StorageError, is_whole, raise_unless_damaged, write_atomically

PREVIEW_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.int64(), nullable=False),
        pa.field("content_hash", pa.string(), nullable=False),
        pa.field("jpeg", pa.large_binary(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview of one content of one image."""

    image_id: int
    content_hash: str
    jpeg: bytes


class PreviewStore:
    """The preview files under `home/previews`, one folder a shard."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def directory(self, shard_key: str) -> Path:
        """The folder of a shard's preview files."""
        return self._home / "previews" / shard_key

    def is_whole(self, path: str, size_bytes: int) -> bool:
        """Whether a committed file is there, and as long as when it was written.

        Raises StorageError where it cannot be looked at, or where the folder of all previews is gone.
        """
        return is_whole(self._home, path, size_bytes)

    def is_sound(self, path: str, size_bytes: int) -> bool:
        """Whether a committed file is whole and opens; its previews are not decoded. Raises as `is_whole`."""
        if not self.is_whole(path, size_bytes):
            return False
        try:
            _map_file(self._home / path)
        except StorageError as error:
            raise_unless_damaged(error)
            return False
        return True

    def write(self, shard_key: str, name: str, previews: Sequence[Preview]) -> tuple[str, int]:
        """Write one file; its path relative to the home directory and its size in bytes are returned."""
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
        """Write one file from rows of committed ones, given by path and positions; its path and size as `write`.

        No more than one of the files is held in memory. Raises StorageError for a file that is gone.
        """
        tables = (
            _map_file(self._home / path).take(pa.array(positions, pa.int64())) for path, positions in rows
        )
        return self._write_tables(shard_key, name, tables)

    def read_identities(self, path: str) -> pa.Table:
        """Image id and content hash of each row of one committed file. Raises StorageError where it is gone."""
        return _map_file(self._home / path).select(["image_id", "content_hash"])

    def _write_tables(self, shard_key: str, name: str, tables: Iterable[pa.Table]) -> tuple[str, int]:
        path = self.directory(shard_key) / f"{name}.arrow"

        def write(partial: Path) -> None:
            with ipc.new_file(partial, PREVIEW_SCHEMA) as writer:
                for table in tables:
                    writer.write_table(table)

        size = write_atomically(path, write)
        return str(path.relative_to(self._home)), size

    def open(self, paths: Iterable[str]) -> "PreviewReader":
        """A reader over committed files, given by their paths relative to the home directory.

        Where several hold the same content of an image, the last one is read. Raises StorageError for a file
        that is gone.
        """
        return PreviewReader(self._home, paths)


class PreviewReader:
    """Random access to the previews of committed files; nothing is read before it is asked for."""

    def __init__(self, home: Path, paths: Iterable[str]) -> None:
        self._tables: list[pa.Table] = []
        self._row_of: dict[tuple[int, str], tuple[int, int]] = {}
        for number, path in enumerate(paths):
            table = _map_file(home / path)
            self._tables.append(table)
            keys = zip(table["image_id"].to_pylist(), table["content_hash"].to_pylist(), strict=True)
            self._row_of |= {key: (number, row) for row, key in enumerate(keys)}

    def contents(self) -> Mapping[tuple[int, str], tuple[int, int]]:
        """The (image id, content hash) pairs that have a preview; ordered values are in reading order."""
        return self._row_of

    def jpeg(self, image_id: int, content_hash: str) -> bytes | None:
        """The preview of this content of this image, or None where there is none."""
        place = self._row_of.get((image_id, content_hash))
        if place is None:
            return None
        table, row = place
        value: bytes = self._tables[table]["jpeg"][row].as_py()
        return value


def _map_file(path: Path) -> pa.Table:
    try:
        return ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowException) as error:
        raise StorageError(
            f"{path}: a committed preview file cannot be read: {error}. Materialize its partition of "
            f"registered_images again ({path.parent.name})."
        ) from error
