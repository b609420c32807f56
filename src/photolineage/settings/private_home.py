"""The home is for its user alone: it holds previews, places and, in the logs, paths of private photos.

Every process of Photolineage creates files that only its user can read, whatever the umask. An album is made to be
shared, so it alone follows the user's umask.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE_UMASK = 0o077
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OWN_NAMES = frozenset(
    {
        "backups",
        "catalog.db",
        "catalog.db-shm",
        "catalog.db-wal",
        "dagster",
        "embeddings",
        "events",
        "index",
        "previews",
        "run.lock",
        "search.jpg",
        "sources.lock",
        "sources.toml",
        "store",
        "text_encoders",
    }
)
"""What Photolineage creates in a home. Anything else there belongs to somebody else."""

_umask_of_user: int | None = None


def create_private_files() -> None:
    """From now on, what this process and its child processes create is closed to other users."""
    global _umask_of_user  # noqa: PLW0603 (the umask is as global as this)
    before = os.umask(PRIVATE_UMASK)
    if _umask_of_user is None:
        _umask_of_user = before


@contextmanager
def umask_of_user() -> Iterator[None]:
    """What is created meanwhile has the modes that the user's umask gives it."""
    if _umask_of_user is None:
        yield
        return
    os.umask(_umask_of_user)
    try:
        yield
    finally:
        os.umask(PRIVATE_UMASK)


def close_home(home: Path) -> str | None:
    """Close an existing home to other users. Returns what to tell the user; None if nothing was open.

    A home that also holds files of somebody else stays open itself; what Photolineage made in it is closed. So is a
    folder on another disk to which a link in the home leads.
    """
    try:
        names = os.listdir(home)
    except OSError:
        return None  # the command that reads the home explains it
    own = [home / name for name in names if name in OWN_NAMES]
    closed = [_close(path) for path in ([home, *own] if len(own) == len(names) else own)]
    return (
        f"{home} was open to other users of this machine. It is now closed to them." if any(closed) else None
    )


def _close(path: Path) -> bool:
    """Whether the path was open to other users, and no longer is."""
    with suppress(OSError):  # for example a file that is gone meanwhile, or a disk without modes
        status = path.stat()
        if status.st_mode & OTHERS and status.st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
            return not path.stat().st_mode & OTHERS
    return False
