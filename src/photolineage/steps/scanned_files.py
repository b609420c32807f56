"""What a scan has found, recorded in the catalog: changed files, and new files in the shards that have room."""

import itertools
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, func, insert, select, update

from photolineage.catalog.duplicates import refresh_duplicates
from photolineage.catalog.engine import database_time
from photolineage.catalog.leases import Lease
from photolineage.catalog.moves import reunite_missing_images
from photolineage.catalog.orm import Image, Shard, Source
from photolineage.catalog.vocabulary import ImageState
from photolineage.lineage import shard_key
from photolineage.steps.found_files import FoundFile
from photolineage.steps.known_files import KnownImage
from photolineage.steps.time_shift import record_new_times


@dataclass(slots=True)
class ScannedFiles:
    """Files of a scan that differ from the catalog, each with its row if it has one. `missing`: rows without a file.

    `retimed`: the same files at other times (`photolineage.steps.time_shift`).
    """

    new: list[FoundFile] = field(default_factory=list)
    changed: list[tuple[KnownImage, FoundFile]] = field(default_factory=list)
    returned: list[tuple[KnownImage, FoundFile]] = field(default_factory=list)
    retimed: list[tuple[KnownImage, FoundFile]] = field(default_factory=list)
    missing: list[KnownImage] = field(default_factory=list)

    def __len__(self) -> int:
        pairs = len(self.changed) + len(self.returned) + len(self.retimed)
        return len(self.new) + pairs + len(self.missing)


def commit_scanned(
    lease: Lease, source_id: int, batch: ScannedFiles, shard_capacity: int, *, files: int
) -> int:
    """Record these files in one transaction. Returns how many of the missing images have moved.

    Shards whose images have changed get a new revision.
    """

    def write(connection: Connection) -> int:
        touched = {known.shard_id for known in batch.missing}
        touched |= {known.shard_id for known, _ in (*batch.changed, *batch.returned)}
        # A registration that reads such a file now does not record it: the time in the row is another.
        touched |= {known.shard_id for known, _ in batch.retimed if known.state == ImageState.DISCOVERED}
        _update_known(connection, batch)
        record_new_times(connection, batch.retimed)
        touched |= _insert_new(connection, source_id, batch.new, shard_capacity)
        connection.execute(update(Shard).where(Shard.id.in_(touched)).values(revision=Shard.revision + 1))
        moved = reunite_missing_images(
            connection, source_id, {known.content_hash for known in batch.missing if known.content_hash}
        )
        left = [known for known, _ in (*batch.changed, *batch.returned)] + batch.missing
        refresh_duplicates(connection, [known.content_hash for known in left if known.content_hash])
        return moved

    return lease.commit(write, done=files)


def _update_known(connection: Connection, batch: ScannedFiles) -> None:
    changes = [
        {
            "image": known.id,
            "state": state,
            "size": size,
            "mtime": mtime,
            "beside": sidecars or None,
            "hash": content_hash,
        }
        for known, state, size, mtime, sidecars, content_hash in itertools.chain(
            (
                # The content is unknown until the file is read again, even if the file goes missing before that.
                (known, ImageState.DISCOVERED, file.size_bytes, file.mtime_ns, file.sidecars, None)
                for known, file in batch.changed
            ),
            (
                # Same size and time as when it was read, so the recorded facts are still correct.
                (
                    known,
                    ImageState.REGISTERED if known.content_hash else ImageState.DISCOVERED,
                    file.size_bytes,
                    file.mtime_ns,
                    file.sidecars,
                    known.content_hash,
                )
                for known, file in batch.returned
            ),
            (
                (
                    known,
                    ImageState.MISSING,
                    known.size_bytes,
                    known.mtime_ns,
                    known.sidecars,
                    known.content_hash,
                )
                for known in batch.missing
            ),
        )
    ]
    if changes:
        connection.execute(
            update(Image)
            .where(Image.id == bindparam("image"))
            .values(
                state=bindparam("state"),
                size_bytes=bindparam("size"),
                mtime_ns=bindparam("mtime"),
                sidecars=bindparam("beside"),
                content_hash=bindparam("hash"),
            ),
            changes,
        )


def _insert_new(
    connection: Connection, source_id: int, files: list[FoundFile], shard_capacity: int
) -> set[int]:
    """Put new files into the source's last shard while it has room, then into new shards."""
    touched: set[int] = set()
    remaining = files
    while remaining:
        shard_id, room = _shard_with_room(connection, source_id, shard_capacity)
        taken, remaining = remaining[:room], remaining[room:]
        now = database_time(connection)
        connection.execute(
            insert(Image),
            [
                {
                    "source_id": source_id,
                    "shard_id": shard_id,
                    "path": file.path,
                    "size_bytes": file.size_bytes,
                    "mtime_ns": file.mtime_ns,
                    "sidecars": file.sidecars or None,
                    "state": ImageState.DISCOVERED,
                    "discovered_at": now,
                    "truncated": False,
                }
                for file in taken
            ],
        )
        connection.execute(
            update(Shard).where(Shard.id == shard_id).values(image_count=Shard.image_count + len(taken))
        )
        touched.add(shard_id)
    return touched


def _shard_with_room(connection: Connection, source_id: int, capacity: int) -> tuple[int, int]:
    last = connection.execute(
        select(Shard.id, Shard.capacity - Shard.image_count)
        .where(Shard.source_id == source_id)
        .order_by(Shard.number.desc())
        .limit(1)
    ).one_or_none()
    if last is not None and last[1] > 0:
        return last[0], last[1]
    number = connection.execute(
        select(func.coalesce(func.max(Shard.number) + 1, 0)).where(Shard.source_id == source_id)
    ).scalar_one()
    source_key = connection.execute(select(Source.key).where(Source.id == source_id)).scalar_one()
    shard_id: int = connection.execute(
        insert(Shard)
        .values(
            source_id=source_id,
            number=number,
            key=shard_key(source_key, number),
            capacity=capacity,
            image_count=0,
            revision=0,
        )
        .returning(Shard.id)
    ).scalar_one()
    return shard_id, capacity
