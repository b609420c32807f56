"""A job: work under a lease, whose end is recorded whatever it is."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

from sqlalchemy import Engine

from catalog.leases import Lease, LeaseLostError, acquire_lease
from catalog.models import JobKind, JobState


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
    except (KeyboardInterrupt, SystemExit, GeneratorExit, InterruptedAtCheckpointError) as interruption:
        lease.finish(JobState.INTERRUPTED, str(interruption) or type(interruption).__name__)
        raise
    except BaseException as error:
        lease.finish(JobState.FAILED, f"{type(error).__name__}: {error}")
        raise
    else:
        lease.finish(JobState.SUCCEEDED)


class StopRequest:
    """Whether the process was asked to end (SIGTERM, or Ctrl-C); steps look at each checkpoint.

    Within the block, the first signal asks; a second Ctrl-C ends at once. Signals are left alone outside the
    main thread.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self._asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked.set()

    def raise_if_asked(self, done: int, total: int) -> None:
        """Raises InterruptedAtCheckpointError where the process was asked to end."""
        if self._asked.is_set():
            raise InterruptedAtCheckpointError(
                f"ended on request after {done} of {total} images; run it again to continue from there"
            )
