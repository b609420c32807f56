"""At most one run works on a partition, and one that has lost its lease cannot commit."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import URL, Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from photolineage.catalog.engine import create_catalog_engine, write_transaction
from photolineage.catalog.leases import JOBS_KEPT, Lease, LeaseHeldError, LeaseLostError, acquire_lease
from photolineage.catalog.orm import MlJob, Shard, ShardFile, Source
from photolineage.catalog.vocabulary import FileKind, JobState
from photolineage.lineage import JobKind
from tests.catalog.conftest import NOW

ROOT = Path(__file__).parents[2]
TIMEOUT = timedelta(minutes=5)
SUBJECT = "model|shard"


def take(engine: Engine, run_id: str = "first", subject: str = SUBJECT, **options: Any) -> Lease:
    return acquire_lease(
        engine, JobKind.EMBED, subject, run_id=run_id, input_version="1", timeout=TIMEOUT, **options
    )


def jobs(engine: Engine) -> list[Row[Any]]:
    with engine.connect() as connection:
        return list(connection.execute(select(MlJob.__table__).order_by(MlJob.id)))


def alter_job(engine: Engine, **values: object) -> None:
    with write_transaction(engine) as connection:
        connection.execute(update(MlJob).values(**values))


def add_source(connection: Connection) -> None:
    connection.execute(insert(Source).values(key="photos", root="/photos", created_at=NOW))


def add_file(connection: Connection, job_id: int) -> None:
    add_source(connection)
    source_id = connection.execute(select(Source.id)).scalar_one()
    shard = {"source_id": source_id, "number": 0, "capacity": 1, "image_count": 0, "revision": 1}
    shard_id = connection.execute(insert(Shard).values(key="photos-00000", **shard).returning(Shard.id))
    file = {
        "kind": FileKind.PREVIEW,
        "path": "previews/photos-00000/a.arrow",
        "row_count": 1,
        "size_bytes": 1,
    }
    connection.execute(
        insert(ShardFile).values(shard_id=shard_id.scalar_one(), job_id=job_id, committed_at=NOW, **file)
    )


def source_count(engine: Engine) -> int:
    with engine.connect() as connection:
        return len(connection.execute(select(Source.id)).all())


@contextmanager
def racer(engine: Engine, mode: str, *, clock: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process of `tests.catalog.lease_racer`; `clock`: how many seconds its host's clock is ahead or behind."""
    url = engine.url.render_as_string(hide_password=False)
    environment = os.environ | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    faked = [] if clock is None else ["faketime", "-f", clock]
    with subprocess.Popen(
        [*faked, sys.executable, "-m", "tests.catalog.lease_racer", url, mode],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert said(process) == "ready"
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_a_lease_is_a_row_that_says_who_works_since_when(catalog_engine: Engine) -> None:
    before = datetime.now(UTC)
    lease = take(catalog_engine, total=7)
    (job,) = jobs(catalog_engine)
    assert job.id == lease.job_id
    assert (job.kind, job.subject, job.state) == (JobKind.EMBED, SUBJECT, JobState.RUNNING)
    assert (job.run_id, job.host, job.pid) == ("first", socket.gethostname(), os.getpid())
    assert (job.total, job.done, job.resumed, job.failed, job.input_version) == (7, 0, 0, 0, "1")
    assert before <= job.started_at == job.heartbeat_at <= datetime.now(UTC)
    assert (job.finished_at, job.error) == (None, None)


def test_a_held_lease_names_its_holder(catalog_engine: Engine) -> None:
    take(catalog_engine)
    with pytest.raises(LeaseHeldError) as refusal:
        take(catalog_engine, "second")
    assert re.fullmatch(
        rf"embed model\|shard: run first \(process {os.getpid()} on {re.escape(socket.gethostname())}\) has held "
        r"the lease since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, with its last heartbeat \d+ s ago\. "
        r"Wait for that run, or terminate it\. The lease is free as soon as its process has ended; if that was on "
        r"another machine, "
        r"after 300 s without a heartbeat\.",
        str(refusal.value),
    )
    assert [job.run_id for job in jobs(catalog_engine)] == ["first"]


def test_leases_of_other_subjects_and_kinds_are_independent(catalog_engine: Engine) -> None:
    take(catalog_engine)
    take(catalog_engine, "second", subject="model|other-shard")
    acquire_lease(catalog_engine, JobKind.INDEX, SUBJECT, run_id="third", input_version="1", timeout=TIMEOUT)
    assert [job.state for job in jobs(catalog_engine)] == [JobState.RUNNING] * 3


@pytest.mark.parametrize("end", [JobState.SUCCEEDED, JobState.FAILED, JobState.INTERRUPTED])
def test_a_finished_job_frees_its_lease(catalog_engine: Engine, end: JobState) -> None:
    take(catalog_engine).finish(end, "for a reason")
    take(catalog_engine, "second")
    first, second = jobs(catalog_engine)
    assert (first.state, first.error, first.finished_at is None) == (end, "for a reason", False)
    assert second.state == JobState.RUNNING


def test_a_partition_keeps_its_newest_jobs_and_those_that_are_still_read(catalog_engine: Engine) -> None:
    def attempt(end: JobState, *, done: int = 0) -> int:
        lease = take(catalog_engine)
        if done:
            lease.commit(lambda _connection: None, done=done)
        lease.finish(end)
        return lease.job_id

    other = take(catalog_engine, subject="model|other").job_id
    attempt(JobState.SUCCEEDED)
    with_file = attempt(JobState.INTERRUPTED)
    with write_transaction(catalog_engine) as connection:
        add_file(connection, with_file)
    with_images = attempt(JobState.SUCCEEDED, done=7)
    newest_success = attempt(JobState.SUCCEEDED)
    attempt(JobState.INTERRUPTED)
    first_failure = attempt(JobState.FAILED)
    newest = [attempt(JobState.FAILED) for _ in range(JOBS_KEPT + 3)][-JOBS_KEPT:]

    running = take(catalog_engine).job_id

    kept = [with_file, with_images, newest_success, first_failure, *newest[1:], running]
    assert [job.id for job in jobs(catalog_engine)] == [other, *kept]


def test_each_commit_adds_to_the_progress_and_is_a_heartbeat(catalog_engine: Engine) -> None:
    lease = take(catalog_engine, total=10)
    lease.begin(total=12, resumed=2, failed=1)
    alter_job(catalog_engine, heartbeat_at=NOW)
    lease.commit(add_source, done=4, failed=1)
    lease.commit(lambda _connection: None, done=3)
    (job,) = jobs(catalog_engine)
    assert (job.done, job.resumed, job.failed, job.total) == (9, 2, 2, 12)
    assert datetime.now(UTC) - job.heartbeat_at < timedelta(minutes=1)
    assert source_count(catalog_engine) == 1


def test_what_earlier_runs_have_done_is_told_apart(catalog_engine: Engine) -> None:
    lease = take(catalog_engine)
    lease.begin(total=12, resumed=5, failed=2)
    lease.commit(lambda _connection: None, done=4, failed=1)
    (job,) = jobs(catalog_engine)
    assert (job.done, job.resumed, job.failed, job.total) == (9, 5, 3, 12)


def test_work_that_fails_commits_neither_rows_nor_progress(catalog_engine: Engine) -> None:
    lease = take(catalog_engine)

    def fail(connection: Connection) -> None:
        add_source(connection)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        lease.commit(fail, done=4)
    assert source_count(catalog_engine) == 0
    assert jobs(catalog_engine)[0].done == 0


def test_a_silent_run_loses_its_lease_and_can_write_no_more(catalog_engine: Engine) -> None:
    silent = take(catalog_engine)
    silence = datetime.now(UTC) - TIMEOUT - timedelta(seconds=1)
    alter_job(catalog_engine, heartbeat_at=silence)
    taken_over = take(catalog_engine, "second")
    attempts: tuple[Callable[[], None], ...] = (
        lambda: silent.commit(add_source, done=4),
        lambda: silent.begin(total=9, resumed=4),
        silent.heartbeat,
    )
    for attempt in attempts:
        with pytest.raises(LeaseLostError, match=rf"took over the lease of job {silent.job_id}"):
            attempt()
    silent.finish(JobState.SUCCEEDED)
    first, second = jobs(catalog_engine)
    assert source_count(catalog_engine) == 0
    assert (first.state, first.done) == (JobState.INTERRUPTED, 0)
    assert first.error == f"its heartbeats stopped; last heartbeat {silence:%Y-%m-%d %H:%M:%S} UTC"
    assert (second.id, second.state) == (taken_over.job_id, JobState.RUNNING)


def test_a_run_that_is_silent_for_less_than_the_timeout_keeps_its_lease(catalog_engine: Engine) -> None:
    lease = take(catalog_engine)
    alter_job(catalog_engine, heartbeat_at=datetime.now(UTC) - TIMEOUT + timedelta(seconds=30))
    with pytest.raises(LeaseHeldError):
        take(catalog_engine, "second")
    lease.heartbeat()
    assert datetime.now(UTC) - jobs(catalog_engine)[0].heartbeat_at < timedelta(seconds=30)


def test_a_run_on_another_host_is_only_judged_by_its_silence(catalog_engine: Engine) -> None:
    take(catalog_engine)
    alter_job(catalog_engine, host="elsewhere", pid=2**22 + 1)
    with pytest.raises(LeaseHeldError, match=r"process 4194305 on elsewhere"):
        take(catalog_engine, "second")


def test_the_lease_of_a_killed_process_is_taken_over_at_once(catalog_engine: Engine) -> None:
    with racer(catalog_engine, "race") as process:
        go(process)
        assert said(process) == "held"
        with pytest.raises(LeaseHeldError, match=rf"process {process.pid} on"):
            take(catalog_engine)
        process.kill()
        process.wait()
        take(catalog_engine)
    assert [job.state for job in jobs(catalog_engine)] == [JobState.INTERRUPTED, JobState.RUNNING]


def test_a_process_that_is_dead_and_not_yet_buried_holds_nothing(catalog_engine: Engine) -> None:
    with racer(catalog_engine, "zombie") as process:
        assert said(process) == "held"
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
        take(catalog_engine)
    assert [job.state for job in jobs(catalog_engine)] == [JobState.INTERRUPTED, JobState.RUNNING]


@pytest.mark.parametrize("silence", [timedelta(0), 2 * TIMEOUT])
def test_a_suspended_process_keeps_its_lease_on_its_own_host(
    catalog_engine: Engine, silence: timedelta
) -> None:
    with racer(catalog_engine, "work") as process:
        assert said(process) == "held"
        suspend(process)
        alter_job(catalog_engine, heartbeat_at=datetime.now(UTC) - silence)
        with pytest.raises(
            LeaseHeldError, match=rf"process {process.pid} on .*, suspended\) has held the lease"
        ):
            take(catalog_engine)
        process.send_signal(signal.SIGCONT)
        go(process)
        assert said(process) == "committed"
    assert source_count(catalog_engine) == 1


def test_a_process_that_wakes_up_after_another_host_took_over_cannot_write(catalog_engine: Engine) -> None:
    with racer(catalog_engine, "work") as process:
        assert said(process) == "held"
        suspend(process)
        alter_job(catalog_engine, host="elsewhere", heartbeat_at=datetime.now(UTC) - 2 * TIMEOUT)
        take(catalog_engine)
        process.send_signal(signal.SIGCONT)
        go(process)
        assert said(process) == "lost"
    assert source_count(catalog_engine) == 0
    assert [job.state for job in jobs(catalog_engine)] == [JobState.INTERRUPTED, JobState.RUNNING]


def suspend(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGSTOP)
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)


on_a_host_whose_clock_is_off = pytest.mark.parametrize(
    "clock",
    [
        pytest.param(
            clock, marks=pytest.mark.skipif(shutil.which("faketime") is None, reason="no faketime (apt)")
        )
        for clock in ("+400s", "-400s")
    ],
)


@pytest.fixture
def postgresql_engine(migrated_postgresql_database: URL) -> Iterator[Engine]:
    """Only a server has a clock of its own. SQLite's is the clock of the host."""
    engine = create_catalog_engine(migrated_postgresql_database.render_as_string(hide_password=False))
    yield engine
    engine.dispose()


@on_a_host_whose_clock_is_off
def test_a_host_whose_clock_is_off_takes_over_no_live_run(postgresql_engine: Engine, clock: str) -> None:
    take(postgresql_engine)
    alter_job(postgresql_engine, host="elsewhere")
    with racer(postgresql_engine, "race", clock=clock) as process:
        go(process)
        assert said(process) == "refused"


@on_a_host_whose_clock_is_off
def test_a_host_whose_clock_is_off_takes_over_a_dead_run(postgresql_engine: Engine, clock: str) -> None:
    take(postgresql_engine)
    alter_job(
        postgresql_engine, host="elsewhere", heartbeat_at=datetime.now(UTC) - TIMEOUT - timedelta(seconds=5)
    )
    with racer(postgresql_engine, "race", clock=clock) as process:
        go(process)
        assert said(process) == "held"


@on_a_host_whose_clock_is_off
def test_a_run_on_a_host_whose_clock_is_off_keeps_its_lease_while_it_lives_and_no_longer(
    postgresql_engine: Engine, clock: str
) -> None:
    with racer(postgresql_engine, "work", clock=clock) as process:
        assert said(process) == "held"
        (held,) = jobs(postgresql_engine)
        go(process)
        assert said(process) == "committed"
        (job,) = jobs(postgresql_engine)
        assert held.heartbeat_at < job.heartbeat_at
        assert abs(datetime.now(UTC) - job.heartbeat_at) < timedelta(minutes=1)
        alter_job(postgresql_engine, host="elsewhere")
        with pytest.raises(LeaseHeldError):
            take(postgresql_engine)


def test_a_process_with_the_id_of_a_dead_one_is_not_mistaken_for_it(catalog_engine: Engine) -> None:
    """In a container that is started again, the new process often has the id of the old one: here it is us."""
    take(catalog_engine)
    (job,) = jobs(catalog_engine)
    alter_job(catalog_engine, process_started_at=job.process_started_at - 3600)
    take(catalog_engine, "second")
    assert [job.state for job in jobs(catalog_engine)] == [JobState.INTERRUPTED, JobState.RUNNING]


def test_the_holder_is_known_by_its_start_when_the_clock_is_set(
    catalog_engine: Engine, set_clock: Callable[[float], None]
) -> None:
    take(catalog_engine)
    set_clock(-3600.0)
    with pytest.raises(LeaseHeldError):
        take(catalog_engine, "second")


def test_a_job_that_the_catalog_refuses_is_no_held_lease(catalog_engine: Engine) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)not.null constraint.*"):
        take(catalog_engine, run_id=None)  # type: ignore[arg-type]
    assert jobs(catalog_engine) == []


def test_of_many_processes_exactly_one_wins(catalog_engine: Engine) -> None:
    _race(catalog_engine, expected_jobs=1)


def test_of_many_processes_exactly_one_takes_a_dead_run_over(catalog_engine: Engine) -> None:
    take(catalog_engine)
    alter_job(catalog_engine, host="elsewhere", heartbeat_at=NOW)
    _race(catalog_engine, expected_jobs=2)


def _race(engine: Engine, *, expected_jobs: int, racers: int = 4) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(racer(engine, "race")) for _ in range(racers)]
        for process in processes:
            go(process)
        outcomes = sorted(said(process) for process in processes)
    assert outcomes == ["held"] + ["refused"] * (racers - 1)
    assert len(jobs(engine)) == expected_jobs
    assert [job.state for job in jobs(engine)].count(JobState.RUNNING) == 1
