"""A job: work under a lease, whose end is recorded whatever it is."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

from sqlalchemy import Engine

from catalog.leases import Lease, LeaseLostError, acquire_lease
from catalog.models import JobKind, JobState
from pipeline.progress import OnProgress, Progress


class InterruptedAtCheckpointError(Exception):
    """The run was asked to end, and ended after a checkpoint; what is committed stays."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """Who works, and how long it may be silent."""

    engine: Engine
    run_id: str
    lease_timeout: timedelta


@contextmanager
def running_job(
    context: JobContext, kind: JobKind, subject: str, *, input_version: str, total: int = 0
) -> Iterator[Lease]:
    """Hold the lease of a subject. The job succeeds when the block ends, and fails or is interrupted with it.

    Raises LeaseHeldError where another run holds the lease.
    """
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
        yield lease
    except LeaseLostError:
        raise
    except InterruptedAtCheckpointError as interruption:
        lease.finish(JobState.INTERRUPTED, str(interruption))
        raise
    except Exception as error:
        lease.finish(JobState.FAILED, f"{type(error).__name__}: {error}")
        raise
    except BaseException as interruption:  # Ctrl-C, the end of the process, Dagster's termination
        lease.finish(JobState.INTERRUPTED, str(interruption) or type(interruption).__name__)
        raise
    else:
        lease.finish(JobState.SUCCEEDED)


def with_heartbeats(lease: Lease, timeout: timedelta, on_progress: OnProgress) -> OnProgress:
    """`on_progress`, with a heartbeat whenever a quarter of the lease's timeout has passed since the last one.

    A checkpoint of a large model may take longer than the timeout, and its run is alive all the while.
    """
    beaten = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal beaten
        if time.monotonic() - beaten >= timeout.total_seconds() / 4:
            lease.heartbeat()
            beaten = time.monotonic()
        on_progress(progress)

    return report


class StopRequest:
    """Whether the process was asked to end (SIGTERM, or Ctrl-C); steps look at each checkpoint.

    Within the block, the first signal asks; a second Ctrl-C ends at once. A signal that no checkpoint has
    answered when the block ends is passed on to whoever handled it before. Signals are left alone outside
    the main thread.
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
        """Raises InterruptedAtCheckpointError where the process was asked to end."""
        if self._asked is not None:
            raise InterruptedAtCheckpointError(
                f"ended on request after {done} of {total} images; run it again to continue from there"
            )
