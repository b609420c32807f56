"""Immutable files under the home directory: whole under their final name, or not there at all."""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

PARTIAL_PREFIX = ".partial-"


class StorageError(Exception):
    """A file under the home directory cannot be written or read; the message says which and why."""


def write_atomically(path: Path, write: Callable[[Path], None]) -> int:
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
        raise StorageError(
            f"{path}: cannot be written: {error.strerror or error}. Free space on the disk of the home "
            "directory, or make it writable, and run again: what is committed stays."
        ) from error
    return size


def sweep_uncommitted(directory: Path, committed: Collection[str]) -> list[Path]:
    """Remove the files of `directory` whose names are not in `committed`; what was removed is returned."""
    if not directory.is_dir():
        return []
    garbage = [path for path in sorted(directory.iterdir()) if path.name not in committed]
    for path in garbage:
        path.unlink()
    return garbage


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
