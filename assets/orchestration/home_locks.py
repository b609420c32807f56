"""The locks of a home: at most one UI and one `photolineage run` at a time.

A lock belongs to an open file, so the system frees it when the process ends, however it ends. The locks keep two
commands on one machine apart. Leases in the catalog decide between everything else.
"""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from photolineage.errors import AnotherRunError, PhotolineageError

SERVER_LOCK = "server.lock"
RUN_LOCK = "run.lock"


class ServerRunningError(PhotolineageError):
    """Another UI already uses the same home directory; the message names its process."""


def lock_server(dagster_home: Path) -> None:
    """Lock the home for this process, the only UI that may use it. The lock survives `exec`.

    Raises ServerRunningError if another UI holds the lock.
    """
    descriptor = _open(dagster_home / SERVER_LOCK)
    if not _take(descriptor):
        holder = _holder(descriptor)
        os.close(descriptor)
        raise ServerRunningError(
            f"{dagster_home}: a Dagster UI ({holder}) already uses this home. Use it, or stop it first: two UIs would "
            "launch every run twice."
        )
    os.set_inheritable(descriptor, True)


def server_is_running(dagster_home: Path) -> bool:
    """Whether a UI of this home is running."""
    try:
        descriptor = os.open(dagster_home / SERVER_LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def only_run(home: Path, on_wait: Callable[[str], None] | None) -> Iterator[None]:
    """Hold the home's lock for `photolineage run`.

    While another one holds it, waits and tells `on_wait` who it is. Without `on_wait`, raises AnotherRunError.
    """
    descriptor = _open(home / RUN_LOCK)
    try:
        if not _take(descriptor):
            other = f"another `photolineage run` ({_holder(descriptor)}) is working in {home}"
            if on_wait is None:
                raise AnotherRunError(
                    f"{other}. Nothing was changed. Run again when it has ended, or wait for it with --wait"
                )
            on_wait(f"Waiting, because {other}.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    _sign(descriptor)
    return True


def _sign(descriptor: int) -> None:
    """Write into the file who holds the lock."""
    text = f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 1000, 0).decode(errors="replace") or "unknown process"
