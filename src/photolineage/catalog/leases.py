"""Leases: at most one run works on a partition, and a run that lost its lease cannot commit.

A job's row is its lease: a partial unique index allows one running job for each kind and subject. On the host of the
process that holds it, a lease is free when that process has ended, so a retry does not wait, and a suspended process
keeps its lease. Other hosts go by the heartbeats: a lease is free if the last one is older than the timeout. All times
come from the database's clock, because the clocks of the hosts may differ.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import psutil
from sqlalchemy import Connection, Engine, Row, Select, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from photolineage.catalog.engine import DATABASE_TIME, database_time, run_in_transaction
from photolineage.catalog.orm import MlJob, ShardFile
from photolineage.catalog.vocabulary import JobState
from photolineage.errors import PhotolineageError
from photolineage.lineage import JobKind
from photolineage.plain_text import encodable

Result = TypeVar("Result")

POSTGRESQL_UNIQUE_VIOLATION = "23505"

JOBS_KEPT = 20

_START_SLACK_SECONDS = 0.05
"""A process counts as the lease's holder if its start time differs by at most this. Clock ticks are 0.01 s."""


class LeaseHeldError(PhotolineageError):
    """Another run works on this partition; the message names the run, its host and its start."""


class LeaseLostError(PhotolineageError):
    """Another run took the lease over, because this run seemed dead. This run must not write any more."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A held lease. Every commit of the run goes through `commit`, which verifies the lease."""

    engine: Engine
    job_id: int
    kind: JobKind
    subject: str

    def commit(self, work: Callable[[Connection], Result], *, done: int, failed: int = 0) -> Result:
        """Do `work` and update the job's progress, in one transaction.

        Raises LeaseLostError, and commits nothing, if the lease no longer belongs to this run.
        """

        def verified(connection: Connection) -> Result:
            self._beat(connection, done=MlJob.done + done, failed=MlJob.failed + failed)
            return work(connection)

        return run_in_transaction(self.engine, verified)

    def begin(self, *, total: int, resumed: int = 0, failed: int = 0) -> None:
        """Record the total number of images, how many of them earlier runs have done, and how many of those failed.

        Raises LeaseLostError if the lease no longer belongs to this run.
        """
        values = {"total": total, "done": resumed, "resumed": resumed, "failed": failed}
        run_in_transaction(self.engine, lambda connection: self._beat(connection, **values))

    def settle_total(self, total: int) -> None:
        """Record the total number of images, if it is known only at the end of the work."""
        run_in_transaction(self.engine, lambda connection: self._beat(connection, total=total))

    def heartbeat(self) -> None:
        """Record that this run is alive. Raises LeaseLostError if the lease no longer belongs to this run."""
        run_in_transaction(self.engine, self._beat)

    def finish(self, state: JobState, error: str | None = None) -> None:
        """End the job. If the lease was lost meanwhile, its new holder keeps it."""
        run_in_transaction(
            self.engine,
            lambda connection: connection.execute(
                update(MlJob)
                .where(MlJob.id == self.job_id, MlJob.state == JobState.RUNNING)
                .values(state=state, error=error and encodable(error), finished_at=DATABASE_TIME)
            ),
        )

    def _beat(self, connection: Connection, **values: object) -> None:
        beaten = connection.execute(
            update(MlJob)
            .where(MlJob.id == self.job_id, MlJob.state == JobState.RUNNING)
            .values(heartbeat_at=DATABASE_TIME, **values)
        )
        if beaten.rowcount != 1:
            raise LeaseLostError(
                f"{self.kind} {self.subject}: another run took over the lease of job {self.job_id}, because this run "
                "sent no heartbeat for too long. This run wrote nothing after that."
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
    """Take the lease of a partition. Raises LeaseHeldError if a live run holds it.

    Of the partition's former jobs, the catalog keeps the newest `JOBS_KEPT`, and those that others read: see
    `_forget_old_jobs`.
    """

    def take(connection: Connection) -> int:
        _end_dead_holder(connection, kind, subject, timeout)
        process = psutil.Process()
        now = database_time(connection)
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
                started_at=now,
                heartbeat_at=now,
            )
            .returning(MlJob.id)
        ).scalar_one()
        _forget_old_jobs(connection, kind, subject)
        return job_id

    try:
        return Lease(engine, run_in_transaction(engine, take), kind, subject)
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != POSTGRESQL_UNIQUE_VIOLATION:
            raise
        # Another run took the lease between our query and our insert. This cannot happen on SQLite.
        raise LeaseHeldError(
            f"{kind} {subject}: another run has just taken the lease. Wait until that run has ended."
        ) from error


def find_holder(connection: Connection, kind: JobKind, subject: str, timeout: timedelta) -> str | None:
    """Who holds the lease of a partition, as a sentence for people; None if the lease is free."""
    holder = connection.execute(_running_job(kind, subject)).one_or_none()
    return None if holder is None or _is_free(connection, holder, timeout) else _described(connection, holder)


def find_holders(connection: Connection, timeout: timedelta) -> list[str]:
    """The runs that hold a lease, each as a sentence for people."""
    running = connection.execute(select(MlJob.__table__).where(MlJob.state == JobState.RUNNING)).all()
    return [
        f"{holder.kind} {holder.subject}: {_described(connection, holder)}"
        for holder in running
        if not _is_free(connection, holder, timeout)
    ]


def _running_job(kind: JobKind, subject: str) -> Select[Any]:
    return select(MlJob.__table__).where(
        MlJob.kind == kind, MlJob.subject == subject, MlJob.state == JobState.RUNNING
    )


def _is_free(connection: Connection, holder: Row[Any], timeout: timedelta) -> bool:
    """Whether the run that has the lease is dead.

    A process of this host is dead when it has ended, however long it was silent: it may have been suspended. A process
    of another host, and a former job of this process, are dead when they were silent for longer than the timeout.
    """
    if process_is_gone(holder.host, holder.pid, holder.process_started_at):
        return True
    if holder.host == socket.gethostname() and holder.pid != os.getpid():
        return False
    silent: timedelta = database_time(connection) - holder.heartbeat_at
    return silent > timeout


def _described(connection: Connection, holder: Row[Any]) -> str:
    silent = (database_time(connection) - holder.heartbeat_at).total_seconds()
    suspended = holder.host == socket.gethostname() and _is_suspended(holder.pid)
    return (
        f"run {holder.run_id} (process {holder.pid} on {holder.host}{', suspended' if suspended else ''}) has held the "
        f"lease since {holder.started_at:%Y-%m-%d %H:%M:%S} UTC, with its last heartbeat {silent:.0f} s ago"
    )


def _end_dead_holder(connection: Connection, kind: JobKind, subject: str, timeout: timedelta) -> None:
    # Locked until the transaction ends, so that no heartbeat comes between the decision and the takeover.
    holder = connection.execute(_running_job(kind, subject).with_for_update()).one_or_none()
    if holder is None:
        return
    if not _is_free(connection, holder, timeout):
        raise LeaseHeldError(
            f"{kind} {subject}: {_described(connection, holder)}. Wait for that run, or terminate it. The "
            "lease is free as soon as its process has ended; if that was on another machine, after "
            f"{timeout.total_seconds():.0f} s without a heartbeat."
        )
    gone = process_is_gone(holder.host, holder.pid, holder.process_started_at)
    connection.execute(
        update(MlJob)
        .where(MlJob.id == holder.id, MlJob.state == JobState.RUNNING)
        .values(
            state=JobState.INTERRUPTED,
            finished_at=DATABASE_TIME,
            error=f"{'its process exited without reporting an error' if gone else 'its heartbeats stopped'}; "
            f"last heartbeat {holder.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC",
        )
    )


def _forget_old_jobs(connection: Connection, kind: JobKind, subject: str) -> None:
    """Delete all but the newest jobs of a partition, so that the catalog does not grow by a row with each scan.

    Keeps the newest job that succeeded (its version says what is up to date), the newest of these that counted images,
    the first that failed since, and those that committed files.
    """
    mine = (MlJob.kind == kind, MlJob.subject == subject)
    succeeded = (*mine, MlJob.state == JobState.SUCCEEDED)
    newest_success = select(func.coalesce(func.max(MlJob.id), 0)).where(*succeeded).scalar_subquery()
    newest_with_images = select(func.max(MlJob.id)).where(*succeeded, MlJob.done > 0).scalar_subquery()
    first_failure_since = (
        select(func.min(MlJob.id))
        .where(*mine, MlJob.state == JobState.FAILED, MlJob.id > newest_success)
        .scalar_subquery()
    )
    oldest_of_the_newest = (
        select(MlJob.id).where(*mine).order_by(MlJob.id.desc()).offset(JOBS_KEPT - 1).limit(1)
    ).scalar_subquery()
    connection.execute(
        delete(MlJob).where(
            *mine,
            MlJob.state != JobState.RUNNING,
            MlJob.id < oldest_of_the_newest,
            MlJob.id != newest_success,
            MlJob.id != func.coalesce(newest_with_images, 0),
            MlJob.id != func.coalesce(first_failure_since, 0),
            ~exists().where(ShardFile.job_id == MlJob.id),
        )
    )


def _is_suspended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def started_after_boot(process: psutil.Process) -> float:
    """The start of the process in seconds after boot, which changes of the system clock do not affect."""
    return process.create_time() - psutil.boot_time()


def process_is_gone(host: str, pid: int, started_at: float) -> bool:
    """Whether the process ran on this host and has ended.

    A new process with the same id is recognized by its start (seconds after boot). A zombie counts as ended.
    """
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        is_another = abs(started_after_boot(process) - started_at) > _START_SLACK_SECONDS
        return is_another or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
