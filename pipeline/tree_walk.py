"""Walking a source: `scandir` and `stat` only, in the order of the path's bytes, without holding the tree."""

import errno
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec


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
        """The files in the order of their paths' bytes. Raises SourceUnavailableError for the root."""
        try:
            root = _identity(self.root.stat())
            yield from self._below("", {root})
            if _identity(self.root.stat()) != root:
                raise OSError(errno.ESTALE, "another folder took its place while it was walked")
        except OSError as error:
            raise SourceUnavailableError(
                f"{self.root}: cannot be read: {error.strerror}. Mount the disk or correct the source's root; "
                "no image was marked as missing."
            ) from error

    def _below(self, folder: str, entered: set[tuple[int, int]]) -> Iterator[FoundFile]:
        for entry in self._entries(folder):
            path = f"{folder}{entry.name}"
            try:
                if _leads_to(entry.is_dir):
                    if self._is_excluded(f"{path}/"):
                        continue
                    identity = _identity(entry.stat())
                    if identity not in entered:
                        entered.add(identity)
                        yield from self._below(f"{path}/", entered)
                elif (
                    os.path.splitext(entry.name)[1].lower() in self.suffixes
                    and not self._is_excluded(path)
                    and _leads_to(entry.is_file)
                ):
                    stat = entry.stat()
                    yield FoundFile(path, stat.st_size, stat.st_mtime_ns)
            except FileNotFoundError:
                continue  # deleted since the folder was listed: the next scan of the catalog says so

    def _is_excluded(self, path: str) -> bool:
        return self._excluded is not None and self._excluded.match_file(path)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / folder) as listing:
                entries = [entry for entry in listing if self.hidden or not entry.name.startswith(".")]
        except PermissionError:
            if not folder:
                raise
            self.unreadable_folders.append(folder)
            return []
        return sorted(entries, key=_path_order)


def _path_order(entry: os.DirEntry[str]) -> bytes:
    """A folder sorts by its name with the separator, as its files' whole paths do."""
    return os.fsencode(entry.name) + (b"/" if _leads_to(entry.is_dir) else b"")


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
