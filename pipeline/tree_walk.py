"""Walking a source: `scandir` and `stat` only, in the order of the path's bytes, without holding the tree."""

import errno
import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pathspec import GitIgnoreSpec

RUN_FILES: Final = 5_000


class SourceUnavailableError(Exception):
    """A source's root cannot be read; nothing may be concluded about its images."""


def why_unavailable(root: Path) -> str | None:
    """Why nothing may be concluded about a source now; None where its root is a folder with something in it.

    The mount point of a disk that is unplugged is an empty folder.
    """
    try:
        return None if any(root.iterdir()) else "it is empty"
    except OSError as error:
        return error.strerror or str(error)


def require_source(root: Path) -> None:
    """Raises SourceUnavailableError where a source has gone away: no image of it is to be blamed."""
    reason = why_unavailable(root)
    if reason is not None:
        raise SourceUnavailableError(
            f"{root}: went away while its images were read: {reason}. Mount the disk and run again; what is "
            "committed stays."
        )


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a source; `path` is relative to the root, with surrogate escapes."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class FileRun:
    """One to `RUN_FILES` files of one folder that follow each other in path order.

    `folder` is relative to the root and ends with a separator, unless it is the root itself: empty.
    """

    folder: str
    names: tuple[str, ...]
    sizes_bytes: tuple[int, ...]
    mtimes_ns: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def last_path(self) -> str:
        """The path of the last file."""
        return self.folder + self.names[-1]

    def joined_paths(self) -> bytes:
        """The bytes of all paths, with a zero byte between them."""
        return os.fsencode(self.folder + f"\0{self.folder}".join(self.names))

    def files(self) -> Iterator[FoundFile]:
        """The files one by one."""
        for name, size, mtime in zip(self.names, self.sizes_bytes, self.mtimes_ns, strict=True):
            yield FoundFile(self.folder + name, size, mtime)


_File = tuple[str, int, int]
"""Name, size in bytes and modification time in nanoseconds."""


@dataclass
class TreeWalk:
    """One walk of a source. Files of other suffixes are left out, and what `exclude` says.

    `exclude` has patterns as a .gitignore has them, relative to the root; files and folders whose names begin
    with a dot are left out unless `hidden`. Links are followed; a folder that was entered already is not
    entered again, so loops end.
    `unreadable_folders` are relative to the root and grow while the walk is consumed: nothing is known about
    what lies below them.
    """

    root: Path
    suffixes: Collection[str]
    exclude: Sequence[str] = ()
    hidden: bool = False
    unreadable_folders: list[str] = field(default_factory=list)
    _excluded: GitIgnoreSpec | None = field(init=False)

    def __post_init__(self) -> None:
        self._excluded = GitIgnoreSpec.from_lines(self.exclude) if self.exclude else None

    def files(self) -> Iterator[FoundFile]:
        """The files of `runs`, one by one."""
        for run in self.runs():
            yield from run.files()

    def runs(self) -> Iterator[FileRun]:
        """The files in the order of their paths' bytes. Raises SourceUnavailableError for the root."""
        try:
            root = _identity(self.root.stat())
            yield from self._below("", set())
            if _identity(self.root.stat()) != root:
                raise OSError(errno.ESTALE, "another folder took its place while it was walked")
        except OSError as error:
            raise SourceUnavailableError(
                f"{self.root}: cannot be read: {error.strerror}. Mount the disk or correct the source's root; "
                "no image was marked as missing."
            ) from error

    def _below(self, folder: str, entered: set[tuple[int, int]]) -> Iterator[FileRun]:
        files, folders = self._list(folder, entered)
        begin = 0
        for name in folders:
            # A folder sorts by its name with the separator, as its files' whole paths do.
            end = bisect_left(files, os.fsencode(f"{name}/"), key=_name_bytes)
            yield from _runs(folder, files[begin:end])
            begin = end
            yield from self._below(f"{folder}{name}/", entered)
        yield from _runs(folder, files[begin:])

    def _list(self, folder: str, entered: set[tuple[int, int]]) -> tuple[list[_File], list[str]]:
        """The images and the folders in a folder, in path order; nothing of one that was entered already."""
        try:
            descriptor = os.open(self.root / folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                identity = _identity(os.fstat(descriptor))
                if identity in entered:
                    return [], []
                entered.add(identity)
                files, folders = self._entries(descriptor, folder)
            finally:
                os.close(descriptor)
        except PermissionError:
            if not folder:
                raise
            self.unreadable_folders.append(folder)
            return [], []
        except (FileNotFoundError, NotADirectoryError):
            if not folder:
                raise
            return [], []  # deleted since its parent was listed: the next scan of the catalog says so
        return _in_path_order(files), sorted(folders, key=lambda name: os.fsencode(f"{name}/"))

    def _entries(self, descriptor: int, folder: str) -> tuple[list[_File], list[str]]:
        """Entries are looked up in the open folder: their paths need not be resolved once more for each."""
        files: list[_File] = []
        folders: list[str] = []
        with os.scandir(descriptor) as listing:
            for entry in listing:
                name = entry.name
                if name[0] == "." and not self.hidden:
                    continue
                if _leads_to(entry.is_file):
                    if name[name.rfind(".") :].lower() in self.suffixes and not self._is_excluded(
                        folder, name
                    ):
                        try:
                            status = entry.stat()
                        except FileNotFoundError:
                            continue
                        files.append((name, status.st_size, status.st_mtime_ns))
                elif _leads_to(entry.is_dir) and not self._is_excluded(folder, f"{name}/"):
                    folders.append(name)
        return files, folders

    def _is_excluded(self, folder: str, name: str) -> bool:
        return self._excluded is not None and self._excluded.match_file(folder + name)


def _runs(folder: str, files: list[_File]) -> Iterator[FileRun]:
    for start in range(0, len(files), RUN_FILES):
        yield FileRun(folder, *zip(*files[start : start + RUN_FILES], strict=True))


def _in_path_order(files: list[_File]) -> list[_File]:
    """Text sorts as its UTF-8 does; names that are no UTF-8 do not sort as their surrogate escapes."""
    try:
        "".join([name for name, _, _ in files]).encode()
    except UnicodeEncodeError:
        return sorted(files, key=_name_bytes)
    return sorted(files)


def _name_bytes(file: _File) -> bytes:
    return os.fsencode(file[0])


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _leads_to(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of this kind; a link that leads to itself is of none."""
    try:
        return kind()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise
