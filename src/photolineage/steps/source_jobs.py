"""The jobs that use the photos of a source. None may run while the source is renamed or forgotten."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, select

from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.orm import MlJob, Shard, Source
from photolineage.catalog.vocabulary import JobState
from photolineage.errors import PhotolineageError
from photolineage.lineage import JOB_STEPS, JobKind, source_of_shard
from photolineage.steps.freshness import FORGOTTEN, RETIRED
from photolineage.steps.jobs import JobContext
from photolineage.stores.embeddings import EMBEDDINGS
from photolineage.stores.files import StoredFile
from photolineage.stores.previews import PREVIEWS

OF_SOURCES = (JobKind.SCAN, JobKind.REGISTER, JobKind.EMBED, JobKind.VERIFY)
OF_MODELS = (JobKind.INDEX, JobKind.CLUSTER)
"""Their jobs read the images of all sources."""


class SourceInUseError(PhotolineageError):
    """A source cannot be renamed, moved or forgotten; the message says why and what to do. Nothing was changed."""


class UnknownSourceError(PhotolineageError):
    """The catalog has no source with this key; the message lists those that it has."""


JobRow = Row[int, JobKind, str, JobState, str]
"""Id, kind, subject, state and run of a job."""


def find_source(connection: Connection, key: str) -> Row[Any]:
    """The row of a source. Raises UnknownSourceError."""
    sources = {row.key: row for row in connection.execute(select(Source.__table__))}
    if key not in sources:
        raise UnknownSourceError(
            f"source {key!r} is not in the catalog. It has: {', '.join(sorted(sources)) or 'no source'}."
        )
    return sources[key]


def is_known(connection: Connection, key: str) -> bool:
    """Whether the catalog has a source with this key."""
    return connection.execute(select(Source.id).where(Source.key == key)).first() is not None


def shards_of(connection: Connection, source_id: int) -> list[str]:
    """The keys of a source's shards, in order."""
    shards = select(Shard.key).where(Shard.source_id == source_id).order_by(Shard.key)
    return list(connection.execute(shards).scalars())


def forgotten_sources(connection: Connection) -> set[str]:
    """The forgotten sources. A killed command may have left files of them."""
    jobs = connection.execute(
        select(MlJob.kind, MlJob.subject)
        .where(MlJob.kind.in_(OF_SOURCES), MlJob.input_version.startswith(FORGOTTEN))
        .distinct()
    ).all()
    sources = {str(JOB_STEPS[kind].subject(subject).source) for kind, subject in jobs}
    return sources.difference(connection.execute(select(Source.key)).scalars())


def source_of_file(file: StoredFile) -> str:
    """The key of the source whose shard's folder the file is in; an empty string if it is in no such folder."""
    parts = file.path.split("/")
    depth = {PREVIEWS: 3, EMBEDDINGS: 4}.get(parts[0])
    return source_of_shard(parts[-2]) if len(parts) == depth else ""


def jobs_of(connection: Connection, source_key: str, shards: Collection[str]) -> list[JobRow]:
    """The jobs of a source: its scans, and those of its shards with any model."""
    return [job for job in _jobs(connection, OF_SOURCES) if _concerns(job, source_key, set(shards))]


def _jobs(connection: Connection, kinds: Collection[JobKind]) -> list[JobRow]:
    jobs = select(MlJob.id, MlJob.kind, MlJob.subject, MlJob.state, MlJob.run_id)
    return list(connection.execute(jobs.where(MlJob.kind.in_(kinds)).order_by(MlJob.id)))


def _concerns(job: JobRow, source_key: str, shards: Collection[str]) -> bool:
    # The key of a source may look like the key of another source's shard.
    subject = JOB_STEPS[job.kind].subject(job.subject)
    return subject.source == source_key if job.kind == JobKind.SCAN else subject.shard in shards


def end_dead_jobs(context: JobContext, source_key: str) -> None:
    """Mark the dead jobs of a source and of all models as interrupted. Raises LeaseHeldError if one is running."""
    with context.engine.connect() as connection:
        source = find_source(connection, source_key)
        jobs = jobs_of(connection, source_key, shards_of(connection, source.id))
        jobs += _jobs(connection, OF_MODELS)
    for job in jobs:
        if job.state == JobState.RUNNING:
            lease = acquire_lease(
                context.engine,
                job.kind,
                job.subject,
                run_id=context.run_id,
                input_version=RETIRED,
                timeout=context.lease_timeout,
            )
            lease.finish(JobState.INTERRUPTED, "a source was renamed or forgotten")


def refuse_running_jobs(connection: Connection, jobs: Collection[JobRow]) -> None:
    """Raise SourceInUseError if a run works on one of these partitions, on an index or on events."""
    for job in (*jobs, *_jobs(connection, OF_MODELS)):
        if job.state == JobState.RUNNING:
            raise SourceInUseError(
                f"{job.kind} {job.subject}: run {job.run_id} has just started to work on it. Nothing was changed. "
                "Wait until it has ended, or stop it."
            )
