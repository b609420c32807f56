"""Immutable files: whole under their final name, or not there at all.

Previews, embeddings, segments of events and text encoders are written and read through `Files`. A path in it is the
one in the catalog's `shard_file.path`, such as `previews/photos-00000/00000001-0000.arrow`.
"""

import os
import stat
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from photolineage.errors import PhotolineageError
from photolineage.settings import Settings

PARTIAL_PREFIX = ".partial-"
"""What a killed write leaves has a folder or a name that begins so; nothing that is committed has."""


class StorageError(PhotolineageError):
    """A stored file cannot be written or read; the message says which and why."""


class LostFileError(StorageError):
    """A stored file is gone, cut short or damaged: what was in it has to be made again."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in a listing; `modified_at` in seconds since 1970."""

    path: str
    size_bytes: int
    modified_at: float

    @property
    def is_partial(self) -> bool:
        """Whether a write that was killed, or that is not finished yet, has made it."""
        return any(part.startswith(PARTIAL_PREFIX) for part in self.path.split("/"))


class Files(ABC):
    """Where files are stored. Paths are relative, with `/` between the parts.

    Every method raises StorageError for a path that is absolute or leads out of the store, and where the storage
    refuses what is asked.
    """

    @abstractmethod
    def write(self, path: str, fill: Callable[[Path], object]) -> int:
        """Let `fill` write a temporary file, then store it under its path, in place of an earlier one.

        Returns its size in bytes. A reader sees the whole file or none.
        """

    @abstractmethod
    def write_folder(self, path: str, fill: Callable[[Path], None], *, last: str) -> None:
        """Let `fill` write files into a temporary folder, then store them as the folder `path`.

        Where they cannot appear at once, the file named `last` appears after all others. If several processes write
        the same folder, the files of one process are kept.
        """

    @abstractmethod
    def local(self, path: str, size_bytes: int | None = None) -> Path:
        """A file on a disk of this machine, to be read only. Files of one folder are side by side there.

        Raises LostFileError for a file that is gone, or that has another size than `size_bytes`.
        """

    @abstractmethod
    def list_files(self, folder: str) -> list[StoredFile]:
        """All files in a folder and the folders in it, in the order of their paths; none where it is not there.

        Also lists what killed writes have left.
        """

    @abstractmethod
    def remove(self, paths: Iterable[str]) -> None:
        """Remove files, and the folders that are empty then; a file that is gone already is no error."""

    @abstractmethod
    def require_folder(self, path: str) -> None:
        """Raise StorageError if the top folder of a path (`previews`) is gone: its disk may not be mounted."""

    @abstractmethod
    def location(self, path: str) -> str:
        """Where a file or folder is, as a person finds it."""


class LocalFiles(Files):
    """The files under the home directory."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def write(self, path: str, fill: Callable[[Path], object]) -> int:
        """The content is on the disk before the name is."""
        return write_atomically(self._path(path), fill)

    def write_folder(self, path: str, fill: Callable[[Path], None], *, last: str) -> None:
        """The folder is renamed when the content of all files is on the disk."""
        del last  # they appear at once
        folder = self._path(path)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(
                prefix=f"{PARTIAL_PREFIX}{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
            ) as temporary:
                made = Path(temporary) / "made"
                made.mkdir()
                fill(made)
                for file in (*made.iterdir(), made):
                    _flush_to_disk(file)
                _move_unless_there(made, folder)
            _flush_to_disk(folder.parent)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def local(self, path: str, size_bytes: int | None = None) -> Path:
        """The file itself."""
        file = self._path(path)
        try:
            found = file.stat().st_size
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LostFileError(f"{file}: no such file") from error
        except OSError as error:
            raise _unreadable(file, error) from error
        if size_bytes not in {None, found}:
            raise LostFileError(f"{file}: it has {found} bytes, and had {size_bytes} when it was written")
        return file

    def list_files(self, folder: str) -> list[StoredFile]:
        """Follows links: a folder may be on another disk. Files that are removed meanwhile are left out."""

        def raise_unless_gone(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        top, found = self._path(folder), list[StoredFile]()
        try:
            for directory, _, names in os.walk(top, onerror=raise_unless_gone, followlinks=True):
                for name in names:
                    file = Path(directory, name)
                    with suppress(FileNotFoundError):
                        status = file.stat()
                        if stat.S_ISREG(status.st_mode):
                            path = file.relative_to(self._home).as_posix()
                            found.append(StoredFile(path, status.st_size, status.st_mtime))
        except OSError as error:
            raise _unreadable(top, error) from error
        return sorted(found, key=lambda file: file.path)

    def remove(self, paths: Iterable[str]) -> None:
        """A top folder stays even if it is empty: without it, its disk would count as not mounted."""
        folders: set[PurePosixPath] = set()
        for path in paths:
            file = self._path(path)
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise _unwritable(file, error) from error
            folders.update(PurePosixPath(path).parents[:-2])
        for folder in sorted(folders, reverse=True):  # the inner ones first
            with suppress(OSError):  # it is not empty
                (self._home / folder).rmdir()

    def require_folder(self, path: str) -> None:
        """An unmounted disk shows as a folder that is not there."""
        self._path(path)
        folder = self._home / PurePosixPath(path).parts[0]
        if not folder.is_dir():
            raise StorageError(
                f"{folder}: no such folder, and the catalog has files in it. Mount its disk; or, if they are really "
                "lost, create the folder, and they are made again."
            )

    def location(self, path: str) -> str:
        """The path on the disk."""
        return str(self._path(path))

    def _path(self, path: str) -> Path:
        require_inner_path(path)
        return self._home / path


def open_files(settings: Settings) -> Files:
    """Where the files of a library are stored."""
    return LocalFiles(settings.home)


def require_inner_path(path: str) -> None:
    """Raise StorageError for a path that could be outside the store: the catalog that names it is not trusted."""
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or str(pure) != path or "\0" in path:
        raise StorageError(
            f"{path!r}: not the path of a stored file. If the catalog names it (shard_file.path), the catalog is "
            "damaged: restore it from a backup."
        )


def write_atomically(path: Path, fill: Callable[[Path], object]) -> int:
    """Let `fill` write a temporary file beside `path`, then rename it; its size in bytes is returned.

    The content is on the disk before the name is. Raises StorageError where the disk is full or read-only.
    """
    partial = path.with_name(f"{PARTIAL_PREFIX}{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fill(partial)
        _flush_to_disk(partial)
        size = partial.stat().st_size
        partial.rename(path)
        _flush_to_disk(path.parent)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed
            partial.unlink()
        raise _unwritable(path, error) from error
    return size


def unreadable_file(files: Files, path: str, kind: str, error: Exception, remedy: str) -> StorageError:
    """The error to raise for a committed file that cannot be read: LostFileError, unless the system refused it.

    A refusal (a right, a disk) says nothing about the content. Raises StorageError where the top folder is gone.
    """
    if isinstance(error, LostFileError):
        files.require_folder(path)
    is_refused = isinstance(error, OSError) and error.errno
    return (StorageError if is_refused else LostFileError)(
        f"{files.location(path)}: a committed {kind} file cannot be read: {error}. {remedy}"
    )


def sweep_uncommitted(files: Files, folder: str, find_committed: Callable[[], Collection[str]]) -> list[str]:
    """Remove the files in a folder that are not committed; the paths that were removed are returned.

    The folder is listed before the committed paths are asked for. So a run that was suspended in between does not
    remove what another run has written meanwhile.
    """
    there = files.list_files(folder)
    committed = find_committed()
    garbage = [file.path for file in there if file.path not in committed]
    files.remove(garbage)
    return garbage


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


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be looked at: {error.strerror or error}. Make the disk of the home directory readable."
    )


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
