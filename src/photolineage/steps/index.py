"""A model's vector index: bringing it up to date with the committed embeddings, and maintaining it."""

import time
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, func, or_, select

from photolineage.catalog.engine import reading
from photolineage.catalog.leases import Lease
from photolineage.catalog.orm import MlJob
from photolineage.catalog.queries import find_model, materialized_version, shard_keys
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from photolineage.models.registry import require_model
from photolineage.stacks.stored import find_changed_stacks, store_stacks
from photolineage.steps.freshness import find_stale_shards, index_version
from photolineage.steps.jobs import JobContext, running_job
from photolineage.steps.progress import OnProgress, Progress, ignore_progress
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.live_embeddings import find_live_embeddings
from photolineage.stores.vector_index import (
    AnnIndexReport,
    CompactionReport,
    IndexChange,
    IndexDescription,
    VectorIndex,
    VectorIndexes,
)

STACKS_PER_COMMIT = 5_000


@dataclass(frozen=True, slots=True)
class IndexingReport:
    """What one run did. `missing`: registered images without an embedding of this model.

    `restacked`: images that got another place in a stack, or left theirs.
    """

    change: IndexChange
    ann: AnnIndexReport
    description: IndexDescription
    missing: int
    restacked: int
    seconds: float


def build_index(
    context: JobContext,
    embeddings: EmbeddingStore,
    indexes: VectorIndexes,
    model_key: str,
    *,
    rebuild: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> IndexingReport:
    """Update the index to exactly one row for each embedded image of the model.

    `rebuild`: delete the table first, and compute the stacks in any case.

    The stacks are computed first: the index shows one image of each. They depend only on the registered images, so
    every model gets the same stacks. They change only when a shard is registered again, and then the index is due.
    If none was since the last index was built, for example because only a model is new, they are left as they are.
    Raises ModelNotLoadedError if nothing is embedded, LeaseHeldError and StorageError.
    """
    started = time.monotonic()
    with reading(context.engine) as connection:
        model = require_model(connection, model_key)
        version = index_version(connection, model_key, shard_keys(connection))
    with running_job(context, JobKind.INDEX, model_key, input_version=version) as lease:
        with reading(context.engine) as connection:
            has_stacks = not rebuild and _has_current_stacks(connection)
        restacked = 0 if has_stacks else _refresh_stacks(context, lease)
        with reading(context.engine) as connection:
            live = find_live_embeddings(connection, embeddings, model.id, model.embedding_dim)
        total = len(live.rows)
        lease.begin(total=total)
        index: VectorIndex = indexes.open(model_key, model.embedding_dim)
        if rebuild:
            index.delete()

        def report_rows(done: int, to_write: int) -> None:
            lease.heartbeat()
            on_progress(Progress(total - to_write + done, total, 0, total - to_write))

        change = index.synchronize(live.rows, live.read_vectors, on_progress=report_rows)
        index.compact()
        ann = index.build_ann_if_outgrown()
        index.flush()
        lease.commit(lambda _connection: None, done=total)
        on_progress(Progress(total, total, 0, total))
    return IndexingReport(change, ann, index.describe(), live.missing, restacked, time.monotonic() - started)


def _has_current_stacks(connection: Connection) -> bool:
    """Whether no shard is due or was registered since the last build of any index began, which computed the stacks.

    Maintaining an index computes none. The job of that has no total.
    """
    last = connection.execute(
        select(func.max(MlJob.started_at)).where(
            MlJob.kind == JobKind.INDEX, MlJob.state == JobState.SUCCEEDED, MlJob.total > 0
        )
    ).scalar_one()
    if last is None or find_stale_shards(connection):
        return False
    registered = select(MlJob.id).where(
        MlJob.kind == JobKind.REGISTER,
        or_(MlJob.state == JobState.RUNNING, MlJob.heartbeat_at >= last, MlJob.finished_at >= last),
    )
    return connection.execute(registered.limit(1)).first() is None


def _refresh_stacks(context: JobContext, lease: Lease) -> int:
    """Bring the stacks up to date with the registered images. Returns how many images have changed."""
    with reading(context.engine) as connection:
        changes = find_changed_stacks(connection)
    for start in range(0, len(changes), STACKS_PER_COMMIT):
        portion = changes[start : start + STACKS_PER_COMMIT]
        lease.commit(partial(store_stacks, changes=portion), done=0)
    return len(changes)


@dataclass(frozen=True, slots=True)
class IndexMaintenanceReport:
    """What was done to one model's index."""

    compaction: CompactionReport
    ann: AnnIndexReport


def maintain_index(
    context: JobContext, indexes: VectorIndexes, model_key: str
) -> IndexMaintenanceReport | None:
    """Compact a model's index, and retrain it if it has outgrown its training. Returns None without an index.

    The rows of the index and the version that it was built from do not change. Raises LeaseHeldError.
    """
    with reading(context.engine) as connection:
        version = materialized_version(connection, JobKind.INDEX, model_key)
        model = find_model(connection, model_key)
    if version is None or model is None or not indexes.is_there(model_key):
        return None  # not built yet, retired or lost
    with running_job(context, JobKind.INDEX, model_key, input_version=version):
        index = indexes.open(model_key, model.embedding_dim)
        report = IndexMaintenanceReport(index.compact(), index.build_ann_if_outgrown())
        index.flush()
        return report
