"""Rewriting the files of a shard when most of their rows are outdated, or they are small, without disturbing readers.

The current rows go into one new file. The transaction that commits it marks the former files as superseded. They are
kept for `GRACE`, because readers may have looked them up before; a later sweep of the shard removes them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from photolineage.catalog.engine import database_time, reading
from photolineage.catalog.leases import Lease
from photolineage.catalog.orm import Image, ShardFile
from photolineage.catalog.queries import CommittedFile, committed_files
from photolineage.catalog.vocabulary import FileKind

GRACE: Final = timedelta(days=1)
"""Longer than any run reads files that it looked up at its start."""

FEW_FILES: Final = 8
"""So many files are never too many, however small they are."""

SelectedRows = Sequence[tuple[str, Sequence[int]]]
"""Paths of committed files, each with the positions of the selected rows."""


@dataclass(frozen=True, slots=True)
class FileSet:
    """The files of one kind of a shard; for embeddings, those of one model."""

    kind: FileKind
    shard_id: int
    model_id: int | None = None

    def is_theirs(self) -> ColumnElement[bool]:
        """The condition on `ShardFile` that selects the records of these files."""
        return and_(
            ShardFile.kind == self.kind,
            ShardFile.shard_id == self.shard_id,
            ShardFile.model_id.is_not_distinct_from(self.model_id),
        )


def compact(
    lease: Lease,
    files: FileSet,
    read_identities: Callable[[str], pa.Table],
    write: Callable[[SelectedRows], tuple[str, int]],
    *,
    rows_per_file: int,
) -> int:
    """Compact a shard's files if more than half of their rows are outdated, or if they are many and small.

    They are small if they have less than half of `rows_per_file` rows on average: those of a slow model, whose
    checkpoints end by time, or of many runs with a few new photos each. Returns the number of superseded files.

    `read_identities` returns image id and content hash of each row of a file. `write` writes a file of the selected
    rows and returns its path and size. Raises StorageError, and LeaseLostError with nothing changed.
    """
    with reading(lease.engine) as connection:
        committed = committed_files(connection, files.kind, shard_id=files.shard_id, model_id=files.model_id)
        contents = _contents(connection, files.shard_id)
    total = sum(file.row_count for file in committed)
    is_scattered = len(committed) > max(FEW_FILES, 2 * total / rows_per_file)
    if total <= len(contents) and not is_scattered:
        return 0  # at most one row per image, so almost no row is outdated
    held = _rows_that_hold([read_identities(file.path) for file in committed], contents)
    rows = sum(map(len, held))
    if 2 * rows >= total and not is_scattered:
        return 0
    selected = [(file.path, positions) for file, positions in zip(committed, held, strict=True) if positions]
    path, size = write(selected) if selected else ("", 0)

    def record(connection: Connection) -> None:
        now = database_time(connection)
        if selected:
            connection.execute(
                insert(ShardFile).values(
                    kind=files.kind,
                    shard_id=files.shard_id,
                    model_id=files.model_id,
                    job_id=lease.job_id,
                    path=path,
                    row_count=rows,
                    size_bytes=size,
                    committed_at=now,
                )
            )
        _supersede(connection, committed, now)

    lease.commit(record, done=0)
    return len(committed)


def _contents(connection: Connection, shard_id: int) -> Mapping[int, str | None]:
    rows = connection.execute(select(Image.id, Image.content_hash).where(Image.shard_id == shard_id))
    return {image_id: content for image_id, content in rows}  # noqa: C416 (rows are not tuples to the type checker)


def _rows_that_hold(
    identities: Sequence[pa.Table], contents: Mapping[int, str | None]
) -> Sequence[Sequence[int]]:
    """The positions of the rows to keep, by file: for each image the newest row of its current content.

    Rows of missing images are kept, because the images may come back. The newest row of an image that has changed but
    was not read again is kept too, because its content may be the same. No image keeps two rows.
    """
    seen: set[int] = set()
    held: list[list[int]] = []
    for table in reversed(identities):
        positions = []
        keys = zip(table["image_id"].to_pylist(), table["content_hash"].to_pylist(), strict=True)
        for position, key in enumerate(keys):
            image_id, content = key
            if image_id not in seen and contents.get(image_id, "gone") in {None, content}:
                positions.append(position)
                seen.add(image_id)
        held.append(positions)
    return held[::-1]


def _supersede(connection: Connection, files: Sequence[CommittedFile], now: datetime) -> None:
    ids = [file.id for file in files]
    connection.execute(update(ShardFile).where(ShardFile.id.in_(ids)).values(superseded_at=now))
