"""A job's end is recorded whatever it is, and a run that is asked to end is heard."""

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from photolineage.catalog.engine import CatalogUnreachableError, write_transaction
from photolineage.catalog.leases import LeaseHeldError, LeaseLostError, acquire_lease
from photolineage.catalog.orm import MlJob
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from photolineage.steps.jobs import InterruptedAtCheckpointError, StopRequest, running_job
from tests.library import Library


class TerminationError(BaseException):
    """As Dagster's own: no Exception."""


@pytest.fixture
def asked_before() -> Iterator[list[int]]:
    """The signals that reach the handler from before the block."""
    heard: list[int] = []
    former = {
        number: signal.signal(number, lambda it, _: heard.append(it))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    yield heard
    for number, handler in former.items():
        signal.signal(number, handler)


def test_a_job_whose_work_is_done_has_succeeded(library: Library) -> None:
    with running_job(library.context("run"), JobKind.INDEX, "model", input_version="v", total=5):
        assert library.jobs(JobKind.INDEX)[0].state == JobState.RUNNING
    (job,) = library.jobs(JobKind.INDEX)
    assert (job.state, job.run_id, job.input_version, job.total, job.error) == (
        JobState.SUCCEEDED, "run", "v", 5, None,
    )  # fmt: skip
    assert job.finished_at is not None


def test_an_error_is_not_hidden_by_a_catalog_that_cannot_record_it(library: Library) -> None:
    def break_and_raise() -> None:
        with running_job(library.context(), JobKind.INDEX, "model", input_version="v"):
            with library.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE ml_job RENAME TO another_table")
            raise ValueError("what went wrong")

    with pytest.raises(ValueError, match="what went wrong") as raised:
        break_and_raise()
    (note,) = raised.value.__notes__
    assert note.startswith("The result of the job could not be recorded: catalog.url = 'sqlite:///")


def test_what_the_catalog_refuses_is_explained(library: Library) -> None:
    def write_what_is_not_to_be_written() -> None:
        with (
            running_job(library.context(), JobKind.INDEX, "model", input_version="v"),
            library.engine.connect() as connection,
        ):
            connection.exec_driver_sql("PRAGMA query_only = ON")
            connection.exec_driver_sql("DELETE FROM image")

    with pytest.raises(
        CatalogUnreachableError, match=r"catalog\.url = 'sqlite:///.*readonly database.*writable"
    ):
        write_what_is_not_to_be_written()


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (ValueError("no such thing"), JobState.FAILED, "ValueError: no such thing"),
        (ValueError("\udce9t\udce9.jpg"), JobState.FAILED, "ValueError: \\udce9t\\udce9.jpg"),
        (InterruptedAtCheckpointError("stopped"), JobState.INTERRUPTED, "stopped"),
        (KeyboardInterrupt(), JobState.INTERRUPTED, "KeyboardInterrupt"),
        (SystemExit(1), JobState.INTERRUPTED, "1"),
        (TerminationError(), JobState.INTERRUPTED, "TerminationError"),
    ],
)
def test_how_a_job_ended_is_recorded_and_the_error_goes_on(
    library: Library, error: BaseException, state: JobState, message: str
) -> None:
    with (
        pytest.raises(type(error)) as raised,
        running_job(library.context(), JobKind.INDEX, "model", input_version="v"),
    ):
        raise error
    assert raised.value is error
    (job,) = library.jobs(JobKind.INDEX)
    assert (job.state, job.error) == (state, message)


def test_a_run_that_lost_its_lease_leaves_the_job_of_the_other(library: Library) -> None:
    def lose() -> None:
        with running_job(library.context("slow"), JobKind.INDEX, "model", input_version="v") as lease:
            with write_transaction(library.engine) as connection:
                connection.execute(update(MlJob).values(heartbeat_at=datetime.now(UTC) - timedelta(days=1)))
            acquire_lease(
                library.engine, JobKind.INDEX, "model", run_id="other", input_version="v",
                timeout=timedelta(minutes=5),
            )  # fmt: skip
            lease.commit(lambda _connection: None, done=1)

    with pytest.raises(LeaseLostError):
        lose()
    assert [(job.run_id, job.state) for job in library.jobs(JobKind.INDEX)] == [
        ("slow", JobState.INTERRUPTED),
        ("other", JobState.RUNNING),
    ]


def test_long_work_between_two_commits_is_no_silence(library: Library) -> None:
    context = replace(library.context(), lease_timeout=timedelta(seconds=0.4))
    with running_job(context, JobKind.INDEX, "model", input_version="v") as lease:
        before = library.jobs(JobKind.INDEX)[0].heartbeat_at
        threading.Event().wait(1.5)  # one step of LanceDB's, say
        with pytest.raises(LeaseHeldError):
            acquire_lease(
                library.engine, JobKind.INDEX, "model", run_id="other", input_version="v",
                timeout=timedelta(seconds=1.2),
            )  # fmt: skip
        assert library.jobs(JobKind.INDEX)[0].heartbeat_at > before
        lease.commit(lambda _connection: None, done=1)
    assert [thread for thread in threading.enumerate() if "heartbeats" in thread.name] == []
    assert library.jobs(JobKind.INDEX)[0].state == JobState.SUCCEEDED


def test_a_database_that_refuses_a_heartbeat_ends_no_work(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    context = replace(library.context(), lease_timeout=timedelta(seconds=0.4))
    with running_job(context, JobKind.INDEX, "model", input_version="v") as lease:
        with write_transaction(library.engine) as connection:
            connection.exec_driver_sql("ALTER TABLE ml_job RENAME TO ml_job_elsewhere")
        threading.Event().wait(0.5)
        with write_transaction(library.engine) as connection:
            connection.exec_driver_sql("ALTER TABLE ml_job_elsewhere RENAME TO ml_job")
        lease.commit(lambda _connection: None, done=1)
    assert "index model: could not record a heartbeat" in caplog.text
    assert library.jobs(JobKind.INDEX)[0].state == JobState.SUCCEEDED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_is_heard_at_the_next_checkpoint(number: signal.Signals, asked_before: list[int]) -> None:
    with StopRequest() as stop:
        stop.raise_if_asked(4, 10)
        os.kill(os.getpid(), number)
        with pytest.raises(
            InterruptedAtCheckpointError,
            match=r"^stopped at a checkpoint, 8 of 10 images$",
        ):
            stop.raise_if_asked(8, 10)
    assert asked_before == [number]  # the block has swallowed the error, and must not swallow the request


def test_a_request_that_a_checkpoint_has_answered_is_not_passed_on(asked_before: list[int]) -> None:
    def work() -> None:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            stop.raise_if_asked(1, 2)

    with pytest.raises(InterruptedAtCheckpointError):
        work()
    assert asked_before == []


def test_a_request_that_came_too_late_for_a_checkpoint_reaches_the_handler_from_before(
    asked_before: list[int],
) -> None:
    with StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked_before == []
    assert asked_before == [signal.SIGTERM]


def test_the_handlers_from_before_are_put_back(asked_before: list[int]) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with StopRequest():
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] != handlers
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert asked_before == []


def test_a_second_ctrl_c_ends_at_once(asked_before: list[int]) -> None:
    def insist() -> None:
        with StopRequest():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        insist()
    assert asked_before == []


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    within: list[object] = []

    def work() -> None:
        with StopRequest() as stop:
            within.append(signal.getsignal(signal.SIGTERM))
            stop.raise_if_asked(1, 2)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert within == [before]
