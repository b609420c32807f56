"""One budget of memory for everything that a process decodes at the same time."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

_SHARE_OF_MACHINE: Final = 4
"""By default the budget is a quarter of the memory: two runs at once, each with one image above it, still fit."""
_CGROUPS: Final = Path("/sys/fs/cgroup")
_LIMIT_FILES: Final = ("memory.max", "memory.high", "memory.limit_in_bytes")


class MemoryBudget:
    """A semaphore that counts bytes. Requests are served in their order, so that a large one is not starved.

    A request for more than the whole budget waits until nothing else is decoded.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._used = 0
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @property
    def total(self) -> int:
        """The bytes that may be used at the same time."""
        return self._total

    def resize(self, total: int) -> None:
        """Change the budget. What is being decoded goes on."""
        with self._changed:
            self._total = total
            self._changed.notify_all()

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes are free, and hold them during the block."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._fits(size))
                self._used += size
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self._total


def default_budget() -> int:
    """A quarter of the machine's memory, or of the limit of the container or service in which this process runs."""
    return min(psutil.virtual_memory().total, *_cgroup_limits(_CGROUPS, Path("/proc/self/cgroup"))) // (
        _SHARE_OF_MACHINE
    )


def _cgroup_limits(root: Path, memberships: Path) -> list[int]:
    """The limits of the control groups of this process and of all groups above them. At least one number."""
    limits = [2**63]
    try:
        lines = memberships.read_text().splitlines()
    except OSError:
        return limits
    for line in lines:
        _number, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        base = root / controllers
        folder = base / group.lstrip("/")
        # In a container, the path may be the host's: then only the root of its own hierarchy exists.
        for level in (folder, *folder.parents):
            if level == base or base in level.parents:
                limits.extend(_limits_in(level))
    return limits


def _limits_in(group: Path) -> Iterator[int]:
    for name in _LIMIT_FILES:
        try:
            text = (group / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) > 0:
            yield int(text)
