"""The jobs of a source: its scans, and those of its shards. None may run while the source is renamed or forgotten."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, select

from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.orm import JobState, MlJob, Shard, Source
from photolineage.errors import PhotolineageError
from photolineage.lineage import JOB_STEPS, JobKind
from photolineage.steps.freshness import RETIRED
from photolineage.steps.jobs import JobContext


class SourceInUseError(PhotolineageError):
    """A source cannot be renamed, moved or forgotten; the message says why and what to do. Nothing was changed."""


class UnknownSourceError(PhotolineageError):
    """The catalog has no source with this key; the message lists those that it has."""


JobRow = Row[int, JobKind, str, JobState]
"""Id, kind, subject and state of a job."""


def find_source(connection: Connection, key: str) -> Row[Any]:
    """The row of a source. Raises UnknownSourceError."""
    sources = {row.key: row for row in connection.execute(select(Source.__table__))}
    if key not in sources:
        raise UnknownSourceError(
            f"source {key!r} is not in the catalog. It has: {', '.join(sorted(sources)) or 'no source'}."
        )
    return sources[key]


def shards_of(connection: Connection, source_id: int) -> list[str]:
    """The keys of a source's shards, in order."""
    shards = select(Shard.key).where(Shard.source_id == source_id).order_by(Shard.key)
    return list(connection.execute(shards).scalars())


def jobs_of(connection: Connection, source_key: str, shards: Collection[str]) -> list[JobRow]:
    """The jobs of a source: its scans, and those of its shards with any model."""
    mine = {source_key, *shards}
    jobs = connection.execute(
        select(MlJob.id, MlJob.kind, MlJob.subject, MlJob.state)
        .where(MlJob.kind.in_((JobKind.SCAN, JobKind.REGISTER, JobKind.EMBED, JobKind.VERIFY)))
        .order_by(MlJob.id)
    )
    return [job for job in jobs if _concerns(job, mine)]


def _concerns(job: JobRow, mine: Collection[str]) -> bool:
    subject = JOB_STEPS[job.kind].subject(job.subject)
    return (subject.source if job.kind == JobKind.SCAN else subject.shard) in mine


def end_dead_jobs(context: JobContext, source_key: str) -> None:
    """Mark the dead jobs of a source as interrupted. Raises LeaseHeldError if one is still running."""
    with context.engine.connect() as connection:
        source = find_source(connection, source_key)
        jobs = jobs_of(connection, source_key, shards_of(connection, source.id))
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
            lease.finish(JobState.INTERRUPTED, "its source was renamed or forgotten")


def refuse_running_jobs(jobs: Collection[JobRow]) -> None:
    """Raise SourceInUseError if a run has begun to work on one of these partitions."""
    running = [job.subject for job in jobs if job.state == JobState.RUNNING]
    if running:
        raise SourceInUseError(
            f"a run has just started to work on {running[0]}. Nothing was changed. Wait until it has ended, or stop it."
        )
