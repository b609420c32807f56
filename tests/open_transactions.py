"""Finds accesses to files while a transaction of the catalog is open in the same thread.

A transaction that waits for a disk keeps SQLite's write-ahead log growing, and PostgreSQL ends it after
`idle_in_transaction_session_timeout`. An audit hook hears what Python opens, lists, renames and removes. It does not
hear native code, so the classes that use such code (`WATCHED_CLASSES`) are wrapped. It does not hear SQLite itself. On
SQLite, a query whose rows are not all fetched yet is an open transaction too.
"""

import functools
import os
import sqlite3
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
    {
        "open",
        "os.listdir",
        "os.scandir",
        "os.mkdir",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.link",
        "os.symlink",
    }
    | {"os.truncate", "os.utime", "os.chmod", "subprocess.Popen", "socket.connect"}
)
NO_DISK: Final = (
    "/proc/",
    "/sys/",
    "/dev/",
    "/etc/",
    "/usr/",
    *sysconfig.get_paths().values(),
    sys.base_prefix,
    str(ROOT / "src"),
)
"""What is no disk of the library: system files, time zones, and the program's modules and migrations."""


class _Cursor(sqlite3.Cursor):
    """A cursor that counts as an open transaction between a query and its last row, or its end."""

    def execute(self, *arguments: Any) -> "_Cursor":
        super().execute(*arguments)
        if self.description is not None:
            _watch.open.add(id(self))
        return self

    def fetchall(self) -> list[Any]:
        _watch.open.discard(id(self))
        return super().fetchall()

    def close(self) -> None:
        _watch.open.discard(id(self))
        super().close()

    def __del__(self) -> None:
        _watch.open.discard(id(self))


class _SqliteConnection(sqlite3.Connection):
    def cursor(self, *_arguments: Any) -> _Cursor:  # type: ignore[override]
        return super().cursor(_Cursor)


_connect = sqlite3.dbapi2.connect


def _connect_with_watched_cursors(database: Any, *arguments: Any, **named: Any) -> sqlite3.Connection:
    if str(database).endswith("/catalog.db"):
        named["factory"] = _SqliteConnection
    return _connect(database, *arguments, **named)


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
    wrapped.append(patch.object(sqlite3.dbapi2, "connect", _connect_with_watched_cursors))
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
    _found.add(f"{' > '.join(ours[-6:])}: {what.partition(' ')[0]}")


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


def _is_transaction(connection: Connection) -> bool:
    """Whether the connection begins a transaction of the catalog. Dagster has databases of its own."""
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT" or options.get("sqlite_begin", "BEGIN") is None:
        return False  # `reading`
    url = connection.engine.url
    return url.get_backend_name() == "postgresql" or str(url.database).endswith("/catalog.db")


def _begin(connection: Connection) -> None:
    if _is_transaction(connection):
        _watch.open.add(id(connection))


def _end(connection: Connection) -> None:
    _watch.open.discard(id(connection))


event.listen(Engine, "begin", _begin)
event.listen(Engine, "commit", _end)
event.listen(Engine, "rollback", _end)
sys.addaudithook(_hear)
