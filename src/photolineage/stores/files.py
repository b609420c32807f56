"""Immutable files: a file with its final name is always complete.

Previews, embeddings, segments of events and text encoders are written and read through `Files`. Its paths are those
in the catalog's `shard_file.path`, such as `previews/photos-00000/00000001-0000-3f9a0c11d2e4.arrow`.
"""

import os
import secrets
import shutil
import socket
import stat
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from photolineage.plain_text import printable
from photolineage.settings import Settings
from photolineage.stores.root_folder import PARTIAL_PREFIX, RootFolder, StorageError, flush_to_disk


class LostFileError(StorageError):
    """A stored file is missing, truncated or damaged: its content must be made again."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in a listing; `modified_at` in seconds since 1970."""

    path: str
    size_bytes: int
    modified_at: float

    @property
    def is_partial(self) -> bool:
        """Whether the file comes from a write that was killed or is not finished yet."""
        return any(part.startswith(PARTIAL_PREFIX) for part in self.path.split("/"))


class Files(ABC):
    """Where files are stored. Paths are relative, with `/` between the parts.

    Every method raises StorageError if a path is absolute or leads out of the store, or if the storage refuses the
    request.
    """

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the store is, for people to read. Two stores in use at the same time are at different places."""

    @abstractmethod
    def write(self, path: str, fill: Callable[[Path], object]) -> int:
        """Let `fill` write a temporary file, then store it as `path`, replacing an earlier file.

        Returns its size in bytes. Readers never see an incomplete file.
        """

    @abstractmethod
    def write_folder(self, path: str, fill: Callable[[Path], None], *, last: str) -> None:
        """Let `fill` write files into a temporary folder, then store them as the folder `path`.

        If the storage cannot make them appear all at once, the file named `last` appears after all others. If several
        processes write the same folder, the files of one process are kept.
        """

    @abstractmethod
    def local(self, path: str, size_bytes: int | None = None) -> Path:
        """The path of a local copy, for reading only. Files of one folder have local copies in one folder.

        Raises LostFileError if the file is missing, or if its size is not `size_bytes`.
        """

    @abstractmethod
    def list_files(self, folder: str) -> list[StoredFile]:
        """All files in a folder and its subfolders, sorted by path; an empty list if the folder is missing.

        The list includes files from killed writes.
        """

    @abstractmethod
    def remove(self, paths: Iterable[str]) -> None:
        """Remove files, and the folders that become empty. Ignores files that are already missing."""

    @abstractmethod
    def copy(self, path: str, to: str) -> None:
        """Store a file under a second path too, replacing an earlier file there. Raises LostFileError.

        The new file is as young as one that was just written: `steps/sweep.py` does not take it for garbage.
        """

    @abstractmethod
    def make_folder(self, path: str) -> None:
        """Create a folder, unless it is there. `require_folder` then takes its files for lost."""

    @abstractmethod
    def require_folder(self, path: str) -> None:
        """Raise StorageError if the top folder of a path (`previews`) is missing: its disk may not be mounted."""

    @abstractmethod
    def location(self, path: str) -> str:
        """The location of a file or folder, for people to read."""


class LocalFiles(Files):
    """The files under the home directory."""

    def __init__(self, home: Path) -> None:
        self._root = RootFolder(home)

    @property
    def place(self) -> str:
        """The host and the path of the home."""
        return f"{socket.gethostname()}:{printable(self._root.path)}"

    def write(self, path: str, fill: Callable[[Path], object]) -> int:
        """Flushes the content to the disk before renaming the file."""
        try:
            return self._root.write(path, fill)
        except OSError as error:
            raise _unwritable(self._root.path / path, error) from error

    def write_folder(self, path: str, fill: Callable[[Path], None], *, last: str) -> None:
        """Flushes the content of all files to the disk before renaming the folder."""
        del last  # the files appear all at once
        folder = self._root.inner(path)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(
                prefix=f"{PARTIAL_PREFIX}{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
            ) as temporary:
                made = Path(temporary) / "made"
                made.mkdir()
                fill(made)
                for file in (*made.iterdir(), made):
                    flush_to_disk(file)
                _move_unless_there(made, folder)
            flush_to_disk(folder.parent)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def local(self, path: str, size_bytes: int | None = None) -> Path:
        """The file itself."""
        file = self._root.inner(path)
        try:
            found = file.lstat().st_size
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LostFileError(f"{file}: no such file") from error
        except OSError as error:
            raise _unreadable(file, error) from error
        if size_bytes not in {None, found}:
            raise LostFileError(
                f"{file}: the file has {found} bytes, but had {size_bytes} when it was written"
            )
        return file

    def list_files(self, folder: str) -> list[StoredFile]:
        """Leaves out links, and files that are removed during the listing."""

        def raise_unless_gone(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        top, found = self._root.inner(folder), list[StoredFile]()
        try:
            for directory, _, names in os.walk(top, onerror=raise_unless_gone):
                for name in names:
                    file = Path(directory, name)
                    with suppress(FileNotFoundError):
                        status = file.lstat()
                        if stat.S_ISREG(status.st_mode):
                            path = file.relative_to(self._root.path).as_posix()
                            found.append(StoredFile(path, status.st_size, status.st_mtime))
        except OSError as error:
            raise _unreadable(top, error) from error
        return sorted(found, key=lambda file: file.path)

    def remove(self, paths: Iterable[str]) -> None:
        """Keeps top folders even if they are empty: a missing top folder counts as a disk that is not mounted."""
        folders: set[PurePosixPath] = set()
        for path in paths:
            try:
                self._root.remove(path)
            except OSError as error:
                raise _unwritable(self._root.path / path, error) from error
            folders.update(PurePosixPath(path).parents[:-2])
        for folder in sorted(folders, reverse=True):  # inner folders first
            self._root.remove_empty_folder(str(folder))

    def copy(self, path: str, to: str) -> None:
        """Links the file, which takes no space. Copies its content if the file system has no links."""
        file = self.local(path)
        try:
            self._root.link(path, to)
        except OSError:
            self.write(to, lambda partial: shutil.copyfile(file, partial))

    def make_folder(self, path: str) -> None:
        """Like every folder of the home, it is closed to other users."""
        try:
            with self._root.folder(path, create=True):
                pass
        except OSError as error:
            raise _unwritable(self._root.path / path, error) from error

    def require_folder(self, path: str) -> None:
        """If a disk is not mounted, its folder is missing."""
        self._root.inner(path)
        folder = self._root.path / PurePosixPath(path).parts[0]
        if not folder.is_dir():
            raise StorageError(
                f"{folder}: this folder is missing, but the catalog lists files in it. Mount its disk. If the files "
                "are really lost, create the folder: Photolineage makes the files again."
            )

    def location(self, path: str) -> str:
        """The path on the disk."""
        return str(self._root.inner(path))


def unique_name(name: str) -> str:
    """The name with a random ending. Two files never have the same path, even if a catalog restored from a backup
    numbers its jobs again from an earlier number.
    """
    return f"{name}-{secrets.token_hex(6)}"


def open_files(settings: Settings) -> Files:
    """The file storage of a library."""
    return LocalFiles(settings.home)


def write_atomically(path: Path, fill: Callable[[Path], object]) -> int:
    """Let `fill` write a temporary file beside `path`, flush it to the disk, then rename it.

    Returns its size in bytes. Raises StorageError if the disk is full or read-only.
    """
    try:
        return RootFolder(path.parent).write(path.name, fill)
    except OSError as error:
        raise _unwritable(path, error) from error


def unreadable_file(files: Files, path: str, kind: str, error: Exception, remedy: str) -> StorageError:
    """The error to raise for a committed file that cannot be read.

    LostFileError if the file is missing or damaged. StorageError if the system refused to read it (permissions, disk):
    the content may still be good. Raises StorageError if the top folder is missing.
    """
    if isinstance(error, LostFileError):
        files.require_folder(path)
    is_refused = isinstance(error, OSError) and error.errno
    return (StorageError if is_refused else LostFileError)(
        f"{files.location(path)}: a committed {kind} file cannot be read: {error}. {remedy}"
    )


def sweep_uncommitted(files: Files, folder: str, find_committed: Callable[[], Collection[str]]) -> list[str]:
    """Remove the files in a folder that are not committed. Returns the removed paths.

    The folder is listed before `find_committed` is called. So a run that was suspended in between cannot remove files
    that another run has written meanwhile.
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
        "directory, or make it writable, and run again. Committed work is kept."
    )


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be read: {error.strerror or error}. Make the disk of the home directory readable."
    )
