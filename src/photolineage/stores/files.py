"""Immutable files under the home directory: whole under their final name, or not there at all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from photolineage.errors import PhotolineageError

PARTIAL_PREFIX = ".partial-"


class StorageError(PhotolineageError):
    """A file under the home directory cannot be written or read; the message says which and why."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> int:
    """Let `write` fill a temporary file beside `path`, then rename it; its size in bytes is returned.

    The content is on the disk before the name is. Raises StorageError where the disk is full or read-only.
    """
    partial = path.with_name(f"{PARTIAL_PREFIX}{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        _flush_to_disk(partial)
        size = partial.stat().st_size
        partial.rename(path)
        _flush_to_disk(path.parent)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed
            partial.unlink()
        raise _unwritable(path, error) from error
    return size


def make_folder_atomically(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write files into a temporary folder beside `folder`, then rename it.

    Their content is on the disk before the name is. Of several processes that make the same at once, the first one's
    stays. Raises StorageError where the disk is full or read-only.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f"{PARTIAL_PREFIX}{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
        ) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            fill(made)
            for path in (*made.iterdir(), made):
                _flush_to_disk(path)
            _move_unless_there(made, folder)
        _flush_to_disk(folder.parent)
    except OSError as error:
        raise _unwritable(folder, error) from error


def remove_folder(folder: Path) -> None:
    """Remove a folder, where it is there. Raises StorageError where the disk is read-only."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(folder, error) from error


def _move_unless_there(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be written: {error.strerror or error}. Free space on the disk of the home "
        "directory, or make it writable, and run again: what is committed stays."
    )


def is_whole(home: Path, path: str, size_bytes: int) -> bool:
    """Whether a committed file, given by its path below `home`, is there and as long as when it was written.

    Raises StorageError where it cannot be looked at, or where the folder of all files of its kind is gone.
    """
    folder = home / Path(path).parts[0]
    try:
        return (home / path).stat().st_size == size_bytes
    except FileNotFoundError as error:
        if folder.is_dir():
            return False
        raise StorageError(
            f"{folder}: no such folder, and the catalog has files in it. Mount its disk; or, where they are really "
            "lost, create the folder, and they are made again."
        ) from error
    except OSError as error:
        raise StorageError(
            f"{home / path}: a committed file cannot be looked at: {error.strerror or error}. "
            "Make the disk of the home directory readable."
        ) from error


def raise_unless_damaged(error: StorageError) -> None:
    """Raises the error where the system refused the file (a right, a disk): its content is not to blame then."""
    if isinstance(error.__cause__, OSError) and error.__cause__.errno:
        raise error


def sweep_uncommitted(directory: Path, find_committed: Callable[[], Collection[str]]) -> list[Path]:
    """Remove the files of `directory` without a committed name; what was removed is returned.

    What is written from then on, when the names are asked for, is left alone: by a run that was suspended meanwhile,
    too.
    """
    there = sorted(directory.iterdir()) if directory.is_dir() else []
    committed = find_committed()
    garbage = [path for path in there if path.name not in committed]
    for path in garbage:
        path.unlink(missing_ok=True)
    return garbage


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
