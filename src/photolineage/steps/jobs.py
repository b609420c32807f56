"""Jobs: work under a lease. The result is always recorded."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

from sqlalchemy import Engine

from photolineage.catalog.engine import REFUSALS, CatalogUnreachableError, explained_errors
from photolineage.catalog.leases import Lease, LeaseLostError, acquire_lease
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind

_logger = logging.getLogger(__name__)


class InterruptedAtCheckpointError(Exception):
    """The run was asked to end, and ended after a checkpoint. Committed work is kept."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """The run that works, and how long it may go without a heartbeat."""

    engine: Engine
    run_id: str
    lease_timeout: timedelta


@contextmanager
def running_job(
    context: JobContext, kind: JobKind, subject: str, *, input_version: str, total: int = 0
) -> Iterator[Lease]:
    """Hold the lease of a subject during the block. The job succeeds, fails or is interrupted like the block.

    Raises LeaseHeldError if another run holds the lease, and CatalogUnreachableError if the database cannot be read or
    written.
    """
    with (
        explained_errors(context.engine, REFUSALS),
        _held(context, kind, subject, input_version, total) as lease,
    ):
        yield lease


@contextmanager
def _held(
    context: JobContext, kind: JobKind, subject: str, input_version: str, total: int
) -> Iterator[Lease]:
    lease = acquire_lease(
        context.engine,
        kind,
        subject,
        run_id=context.run_id,
        input_version=input_version,
        timeout=context.lease_timeout,
        total=total,
    )
    try:
        with _heartbeats(lease, context.lease_timeout):
            yield lease
    except LeaseLostError:
        raise
    except InterruptedAtCheckpointError as interruption:
        _end(lease, JobState.INTERRUPTED, str(interruption), interruption)
        raise
    except Exception as error:
        _end(lease, JobState.FAILED, f"{type(error).__name__}: {error}", error)
        raise
    except BaseException as interruption:  # Ctrl-C, the end of the process, Dagster's termination
        _end(lease, JobState.INTERRUPTED, str(interruption) or type(interruption).__name__, interruption)
        raise
    else:
        lease.finish(JobState.SUCCEEDED)


def _end(lease: Lease, state: JobState, message: str, error: BaseException) -> None:
    """Record how the job ended. If the database refuses that too, a note is added to `error`, which is still raised.

    The lease is free anyway as soon as the process has ended.
    """
    if isinstance(error, CatalogUnreachableError):
        return
    try:
        lease.finish(state, message)
    except CatalogUnreachableError as refused:
        error.add_note(f"The result of the job could not be recorded: {refused}")


@contextmanager
def _heartbeats(lease: Lease, timeout: timedelta) -> Iterator[None]:
    """A thread that records a heartbeat four times per timeout, because a step may take long between two commits.

    For example, training an index of millions takes longer than the timeout, and so may a checkpoint of a large model.
    If the lease is lost or the database is unreachable, the next commit of the run reports it.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(timeout.total_seconds() / 4):
            try:
                lease.heartbeat()
            except LeaseLostError:
                return
            except Exception:
                _logger.warning(
                    "%s %s: could not record a heartbeat", lease.kind, lease.subject, exc_info=True
                )

    thread = threading.Thread(target=beat, name=f"heartbeats of job {lease.job_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class StopRequest:
    """Whether the process was asked to end (SIGTERM or Ctrl-C). Steps check this at each checkpoint.

    Within the block, the first signal only records the request; a second Ctrl-C ends the process immediately. If the
    block ends before a checkpoint has handled the signal, the signal is passed on to the former handler. Outside the
    main thread, signals are not handled.
    """

    def __init__(self) -> None:
        self._asked: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._asked is not None and error_type is None:
            signal.raise_signal(self._asked)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self._asked is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = signal.Signals(number)

    def raise_if_asked(self, done: int, total: int) -> None:
        """Raise InterruptedAtCheckpointError if the process was asked to end."""
        if self._asked is not None:
            raise InterruptedAtCheckpointError(f"stopped at a checkpoint, {done:,} of {total:,} images")
