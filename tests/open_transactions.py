"""Finds accesses to files while a transaction of the catalog is open in the same thread.

A transaction that waits for a disk keeps SQLite's write-ahead log growing, and PostgreSQL ends it after
`idle_in_transaction_session_timeout`. What Python opens, lists, renames and removes is seen by an audit hook. What native
code does is not, so the classes that use it (`WATCHED_CLASSES`) are wrapped. SQLite's own accesses count as neither.
"""

import functools
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final
from unittest.mock import patch

from sqlalchemy import Connection, Engine, event

from photolineage.stores.files import LocalFiles
from photolineage.stores.vector_index import VectorIndex, VectorIndexes

ROOT: Final = Path(__file__).parents[1]
OURS: Final = ("src/photolineage", "assets", "resources", "schema_checks")
WATCHED_CLASSES: Final = (LocalFiles, VectorIndexes, VectorIndex)
ACCESSES: Final = frozenset(
    {"open", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink"}
    | {"os.truncate", "os.utime", "os.chmod", "subprocess.Popen", "socket.connect"}
)
NO_DISK: Final = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", *sysconfig.get_paths().values(), sys.base_prefix)
"""What is read once per process or is no disk: system files, the time zones, and Python's own modules."""


class _Watch(threading.local):
    """The open transactions of the catalog in this thread."""

    def __init__(self) -> None:
        self.open: set[int] = set()


_watch = _Watch()
_found: set[str] | None = None


@contextmanager
def accesses_in_transactions() -> Iterator[set[str]]:
    """The accesses in the block, each as the functions of ours that led to it, the innermost last."""
    global _found  # noqa: PLW0603 (an audit hook cannot be removed)
    found: set[str] = set()
    wrapped = [
        patch.object(cls, name, _noted(cls, name, method))
        for cls in WATCHED_CLASSES
        for name, method in vars(cls).items()
        if callable(method) and not name.startswith("_")
    ]
    for one in wrapped:
        one.start()
    _found = found
    try:
        yield found
    finally:
        _found = None
        for one in wrapped:
            one.stop()


def _noted(cls: type, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def noted(*arguments: Any, **named: Any) -> Any:
        _note(f"{cls.__name__}.{name}")
        return method(*arguments, **named)

    return noted


def _note(what: str) -> None:
    if _found is None or not _watch.open:
        return
    frames = [frame for frame in _frames(sys._getframe(1)) if frame is not None]
    if any("importlib" in frame.f_code.co_filename for frame in frames):
        return
    ours = [_name(frame) for frame in frames if _is_ours(frame)]
    _found.add(f"{' > '.join(ours[-6:])}: {what}")


def _frames(frame: FrameType | None) -> list[FrameType]:
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(tuple(f"{ROOT / folder}/" for folder in OURS))


def _name(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"


def _hear(name: str, arguments: tuple[Any, ...]) -> None:
    if _found is None or name not in ACCESSES or not _watch.open:
        return
    path = arguments[0] if arguments else ""
    if isinstance(path, int):
        return  # a descriptor that was opened before
    text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
    if not text.startswith(NO_DISK) and not text.endswith((".py", ".pyc")):
        _note(f"{name} {Path(text).name}")


def _is_catalog(connection: Connection) -> bool:
    """Whether it is the catalog: Dagster has databases of its own."""
    url = connection.engine.url
    return url.get_backend_name() == "postgresql" or str(url.database).endswith("/catalog.db")


def _begin(connection: Connection) -> None:
    if _is_catalog(connection):
        _watch.open.add(id(connection))


def _end(connection: Connection) -> None:
    _watch.open.discard(id(connection))


event.listen(Engine, "begin", _begin)
event.listen(Engine, "commit", _end)
event.listen(Engine, "rollback", _end)
sys.addaudithook(_hear)
