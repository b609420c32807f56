"""A folder that no path leaves: paths are checked, and links below the folder are never followed.

The home directory and an album are such folders. Somebody else may have planted a link in them, or a path in the
catalog: neither leads a write or a removal to another place.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from photolineage.errors import PhotolineageError

PARTIAL_PREFIX: Final = ".partial-"
"""The name of an unfinished file, or of its folder, begins with this. No committed path contains such a name."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe must not make the reader wait


class StorageError(PhotolineageError):
    """A stored file cannot be written or read; the message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class RootFolder:
    """A folder, which may itself be reached through links. Paths below it are relative, with `/` between the parts.

    Every method raises StorageError if a path is absolute or leads out of the folder, or if a link is in the way.
    Other refusals of the system are OSErrors.
    """

    path: Path

    def inner(self, path: str) -> Path:
        """The path of a file or folder that need not exist. Neither it nor a folder above it is a link."""
        require_inner_path(path)
        place = self.path
        for part in PurePosixPath(path).parts:
            place /= part
            if os.path.islink(place):
                raise _link(place)
        return place

    @contextmanager
    def folder(self, path: str = "", *, create: bool = False) -> Iterator[int]:
        """The descriptor of a folder. It stays this folder, even if a link replaces one of its parents."""
        if create:
            self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        place = self.path
        try:
            if path:
                require_inner_path(path)
            for part in PurePosixPath(path).parts:
                place /= part
                above, descriptor = descriptor, _open_folder(place, descriptor, create=create)
                os.close(above)
            yield descriptor
        finally:
            os.close(descriptor)

    def write(self, path: str, fill: Callable[[Path], object]) -> int:
        """Let `fill` write a temporary file beside `path`, flush it to the disk, then rename it.

        Returns its size in bytes. A link named `path` is replaced, and the file that it leads to is kept.
        """
        with self._partial(path) as (folder, partial):
            fill(self.path / PurePosixPath(path).parent / partial)
            return _flush_file(partial, folder)

    def write_bytes(self, path: str, content: bytes, *, flush: bool = True) -> None:
        """Like `write`. Without `flush`, a power cut can leave an empty file."""
        with self._partial(path, flush=flush) as (folder, partial):
            with open(os.open(partial, _NEW_FILE, 0o666, dir_fd=folder), "wb") as file:
                file.write(content)
            if flush:
                _flush_file(partial, folder)

    def append(self, path: str, content: bytes) -> None:
        """Append to a file, which is created if it is missing."""
        above, name = _split(path)
        with self.folder(above, create=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
            with open(self._opened(path, name, flags, folder), "ab") as file:
                file.write(content)

    def read_bytes(self, path: str) -> bytes | None:
        """The content of a regular file; None if there is something else, or nothing."""
        above, name = _split(path)
        try:
            with self.folder(above) as folder:
                if not stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
                    return None
                with open(self._opened(path, name, _READ, folder), "rb") as file:
                    return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def size(self, path: str) -> int | None:
        """The size of a regular file in bytes; None if there is something else, or nothing."""
        above, name = _split(path)
        try:
            with self.folder(above) as folder:
                status = os.lstat(name, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def sizes(self, path: str) -> dict[str, int]:
        """The sizes of the regular files in a folder, by name; empty if the folder is missing."""
        try:
            with self.folder(path) as folder, os.scandir(folder) as entries:
                return {
                    entry.name: entry.stat(follow_symlinks=False).st_size
                    for entry in entries
                    if entry.is_file(follow_symlinks=False)
                }
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def link(self, path: str, to: str) -> None:
        """Give a file a second name, which replaces an earlier file of this name, and flush it to the disk.

        Both names get the current time first, so that nobody takes the new one for an old leftover.
        """
        (above, name), (above_other, other_name) = _split(path), _split(to)
        with self.folder(above) as folder, self.folder(above_other, create=True) as other:
            with suppress(FileNotFoundError):
                os.unlink(other_name, dir_fd=other)
            os.utime(name, dir_fd=folder, follow_symlinks=False)
            os.link(name, other_name, src_dir_fd=folder, dst_dir_fd=other, follow_symlinks=False)
            os.fsync(other)

    def remove(self, path: str) -> bool:
        """Remove a file, or a link itself. Returns whether there was one."""
        above, name = _split(path)
        try:
            with self.folder(above) as folder:
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return False
        return True

    def remove_empty_folder(self, path: str) -> None:
        """Remove a folder, unless it has contents or is missing."""
        above, name = _split(path)
        with suppress(OSError), self.folder(above) as folder:
            os.rmdir(name, dir_fd=folder)

    def require_no_links(self, path: str, *, depth: int | None = None) -> None:
        """Raise StorageError for a link in a folder, or `depth` folders below it: for code that follows links."""
        top = self.inner(path)
        for directory, folders, files in os.walk(top):
            for name in (*folders, *files):
                place = Path(directory, name)
                if os.path.islink(place):
                    raise _link(place)
            if depth is not None and len(Path(directory).relative_to(top).parts) >= depth:
                folders.clear()

    @contextmanager
    def _partial(self, path: str, *, flush: bool = True) -> Iterator[tuple[int, str]]:
        """The folder of a file, and the name under which its content is written before it gets its final name."""
        above, name = _split(path)
        partial = f"{PARTIAL_PREFIX}{name}"
        with self.folder(above, create=True) as folder:
            try:
                with suppress(FileNotFoundError):  # left by a killed write, or planted
                    os.unlink(partial, dir_fd=folder)
                yield folder, partial
                os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
                if flush:
                    os.fsync(folder)
            except OSError:
                with suppress(OSError):  # a disk that refuses writes may refuse this too
                    os.unlink(partial, dir_fd=folder)
                raise

    def _opened(self, path: str, name: str, flags: int, folder: int) -> int:
        try:
            return os.open(name, flags, 0o666, dir_fd=folder)
        except OSError as error:
            _raise_if_link(self.path / path, name, folder, error)
            raise


def require_inner_path(path: str) -> None:
    """Raise StorageError if a path could lead out of its root. Paths from the catalog are not trusted."""
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or str(pure) != path or "\0" in path:
        raise StorageError(
            f"{path!r}: not a valid path of a stored file. If it comes from the catalog (shard_file.path), the catalog "
            "is damaged: restore it from a backup."
        )


def flush_to_disk(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _split(path: str) -> tuple[str, str]:
    require_inner_path(path)
    above, _, name = path.rpartition("/")
    return above, name


def _flush_file(name: str, folder: int) -> int:
    """Flush a file to the disk, and return its size."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _open_folder(place: Path, above: int, *, create: bool) -> int:
    try:
        if create:
            with suppress(FileExistsError):
                os.mkdir(place.name, dir_fd=above)
        return os.open(place.name, _FOLDER, dir_fd=above)
    except OSError as error:
        _raise_if_link(place, place.name, above, error)
        raise


def _raise_if_link(place: Path, name: str, folder: int, error: OSError) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode):
            raise _link(place) from error


def _link(place: Path) -> StorageError:
    return StorageError(
        f"{place} is a symbolic link. Photolineage does not follow links inside its own folders, because they could "
        "lead a write or a removal to somebody else's files. Replace the link by a folder or a file; to use another "
        "disk, mount it there."
    )
