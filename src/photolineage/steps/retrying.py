"""Reading unreadable images again on request: their files are unchanged, but the cause may be fixed."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, exists, select, update

from photolineage.catalog.engine import run_in_transaction
from photolineage.catalog.orm import Image, ImageState, MlJob, Shard, Source
from photolineage.catalog.queries import find_shard
from photolineage.lineage import JobKind


def find_shards_with_failures(connection: Connection, source_keys: Sequence[str]) -> list[str]:
    """The keys of the shards of these sources that have unreadable images, in order."""
    failed = exists().where(Image.shard_id == Shard.id, Image.state == ImageState.FAILED)
    return list(
        connection.execute(
            select(Shard.key)
            .join(Source, Source.id == Shard.source_id)
            .where(Source.key.in_(source_keys), failed)
            .order_by(Shard.key)
        ).scalars()
    )


def read_failures_again(engine: Engine, shard_key: str, *, asked_by: str) -> int:
    """Let the next registration of a shard read its unreadable images again. Returns their number.

    If there are any, the shard gets a new revision, so that a kill does not lose the request. Does nothing if a
    registration of the run `asked_by` has already begun, so that one run does not read the images twice.
    """

    def forget(connection: Connection) -> int:
        shard = find_shard(connection, shard_key)
        begun = select(MlJob.id).where(
            MlJob.kind == JobKind.REGISTER, MlJob.subject == shard_key, MlJob.run_id == asked_by
        )
        if connection.execute(begun.limit(1)).first() is not None:
            return 0
        forgotten = connection.execute(
            update(Image)
            .where(Image.shard_id == shard.id, Image.state == ImageState.FAILED)
            .values(state=ImageState.DISCOVERED)
        ).rowcount
        if forgotten:
            connection.execute(update(Shard).where(Shard.id == shard.id).values(revision=Shard.revision + 1))
        return forgotten

    return run_in_transaction(engine, forget)
