"""The lease: at most one run works on a partition, and a run that lost it cannot commit.

A job's row is its lease: a partial unique index allows one running job for each kind and subject. A lease
is free when its heartbeat is older than the timeout, or when the process that holds it is gone from the same
host (so that a retry need not wait for the timeout).
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import psutil
from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from photolineage.catalog.engine import run_in_transaction
from photolineage.catalog.orm import JobState, MlJob
from photolineage.errors import PhotolineageError
from photolineage.lineage import JobKind
from photolineage.plain_text import encodable

Result = TypeVar("Result")

POSTGRESQL_UNIQUE_VIOLATION = "23505"

_START_SLACK_SECONDS = 0.05
"""A process is the one that took the lease when its start differs by no more than this; clock ticks are of 0.01 s."""


class LeaseHeldError(PhotolineageError):
    """Another run works on this partition; the message says which, where and since when."""


class LeaseLostError(PhotolineageError):
    """Another run took the lease over: this one was thought dead. Nothing more may be written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A held lease. Every commit of the run goes through `commit`, which verifies it."""

    engine: Engine
    job_id: int
    kind: JobKind
    subject: str

    def commit(self, work: Callable[[Connection], Result], *, done: int, failed: int = 0) -> Result:
        """Do `work` and add to the job's progress, in one transaction.

        Raises LeaseLostError, and commits nothing, where the lease is no longer this run's.
        """

        def verified(connection: Connection) -> Result:
            self._beat(connection, done=MlJob.done + done, failed=MlJob.failed + failed)
            return work(connection)

        return run_in_transaction(self.engine, verified)

    def begin(self, *, total: int, resumed: int = 0, failed: int = 0) -> None:
        """Record how much there is to do, and how much of it earlier runs have done (`failed` of that in vain).

        Raises LeaseLostError where the lease is no longer this run's.
        """
        values = {"total": total, "done": resumed, "resumed": resumed, "failed": failed}
        run_in_transaction(self.engine, lambda connection: self._beat(connection, **values))

    def settle_total(self, total: int) -> None:
        """Record how much there was to do, where only the end of the work tells."""
        run_in_transaction(self.engine, lambda connection: self._beat(connection, total=total))

    def heartbeat(self) -> None:
        """Say that this run is alive. Raises LeaseLostError where the lease is no longer this run's."""
        run_in_transaction(self.engine, self._beat)

    def finish(self, state: JobState, error: str | None = None) -> None:
        """End the job. A lease that was lost meanwhile is left to its new holder."""
        run_in_transaction(
            self.engine,
            lambda connection: connection.execute(
                update(MlJob)
                .where(MlJob.id == self.job_id, MlJob.state == JobState.RUNNING)
                .values(state=state, error=error and encodable(error), finished_at=datetime.now(UTC))
            ),
        )

    def _beat(self, connection: Connection, **values: object) -> None:
        beaten = connection.execute(
            update(MlJob)
            .where(MlJob.id == self.job_id, MlJob.state == JobState.RUNNING)
            .values(heartbeat_at=datetime.now(UTC), **values)
        )
        if beaten.rowcount != 1:
            raise LeaseLostError(
                f"{self.kind} {self.subject}: the lease of job {self.job_id} was taken over by another run "
                "(this one sent no heartbeat for too long). Nothing more was written."
            )


def acquire_lease(
    engine: Engine,
    kind: JobKind,
    subject: str,
    *,
    run_id: str,
    input_version: str,
    timeout: timedelta,
    total: int = 0,
) -> Lease:
    """Take the lease of a partition. Raises LeaseHeldError where a live run holds it."""

    def take(connection: Connection) -> int:
        _end_dead_holder(connection, kind, subject, timeout)
        process = psutil.Process()
        now = datetime.now(UTC)
        job_id: int = connection.execute(
            insert(MlJob)
            .values(
                kind=kind,
                subject=subject,
                run_id=run_id,
                host=socket.gethostname(),
                pid=process.pid,
                process_started_at=started_after_boot(process),
                state=JobState.RUNNING,
                input_version=input_version,
                total=total,
                done=0,
                resumed=0,
                failed=0,
                started_at=now,
                heartbeat_at=now,
            )
            .returning(MlJob.id)
        ).scalar_one()
        return job_id

    try:
        return Lease(engine, run_in_transaction(engine, take), kind, subject)
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != POSTGRESQL_UNIQUE_VIOLATION:
            raise
        # Another run took it between our look and our insert; on SQLite none can.
        raise LeaseHeldError(
            f"{kind} {subject}: another run has just taken the lease. Wait for it."
        ) from error


def _end_dead_holder(connection: Connection, kind: JobKind, subject: str, timeout: timedelta) -> None:
    holder = connection.execute(
        select(MlJob).where(MlJob.kind == kind, MlJob.subject == subject, MlJob.state == JobState.RUNNING)
    ).one_or_none()
    if holder is None:
        return
    now = datetime.now(UTC)
    silent = now - holder.heartbeat_at
    if silent <= timeout and not process_is_gone(holder.host, holder.pid, holder.process_started_at):
        raise LeaseHeldError(
            f"{kind} {subject}: run {holder.run_id} (process {holder.pid} on {holder.host}) has held the lease "
            f"since {holder.started_at:%Y-%m-%d %H:%M:%S} UTC, with its last heartbeat {silent.seconds} s ago. "
            "Wait for it, or terminate it; the lease is free as soon as its process has ended, and on another machine "
            f"after {timeout.seconds} s of silence."
        )
    connection.execute(
        update(MlJob)
        .where(MlJob.id == holder.id, MlJob.state == JobState.RUNNING)
        .values(
            state=JobState.INTERRUPTED,
            finished_at=now,
            error=f"its process ended without a word; last heartbeat {holder.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC",
        )
    )


def started_after_boot(process: psutil.Process) -> float:
    """When the process started, in seconds since the machine did: no change of the system's clock touches it."""
    return process.create_time() - psutil.boot_time()


def process_is_gone(host: str, pid: int, started_at: float) -> bool:
    """Whether it is of this host, and ended.

    Another process with the same id is told by its start (seconds after boot); a dead one may stay as a zombie.
    """
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        is_another = abs(started_after_boot(process) - started_at) > _START_SLACK_SECONDS
        return is_another or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
