"""Walking a source: `scandir` and `stat` only, in the order of the path's bytes, without holding the tree."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path


class SourceUnavailableError(Exception):
    """A source's root cannot be read; nothing may be concluded about its images."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a source; `path` is relative to the root, with surrogate escapes."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass
class TreeWalk:
    """One walk of a source. Hidden files and folders, and files of other suffixes, are left out.

    Links are followed; a folder that was entered already is not entered again, so loops end.
    `unreadable_folders` are relative to the root and grow while the walk is consumed: nothing is known about
    what lies below them.
    """

    root: Path
    suffixes: Collection[str]
    unreadable_folders: list[str] = field(default_factory=list)

    def files(self) -> Iterator[FoundFile]:
        """The files in the order of their paths' bytes. Raises SourceUnavailableError for the root."""
        try:
            root = os.stat(self.root)
            yield from self._below("", {(root.st_dev, root.st_ino)})
            self.root.stat()
        except OSError as error:
            raise SourceUnavailableError(
                f"{self.root}: cannot be read: {error.strerror}. Mount the disk or correct the source's root; "
                "no image was marked as missing."
            ) from error

    def _below(self, folder: str, entered: set[tuple[int, int]]) -> Iterator[FoundFile]:
        for entry in self._entries(folder):
            path = f"{folder}{entry.name}"
            try:
                if entry.is_dir():
                    stat = entry.stat()
                    identity = (stat.st_dev, stat.st_ino)
                    if identity not in entered:
                        entered.add(identity)
                        yield from self._below(f"{path}/", entered)
                elif os.path.splitext(entry.name)[1].lower() in self.suffixes and entry.is_file():
                    stat = entry.stat()
                    yield FoundFile(path, stat.st_size, stat.st_mtime_ns)
            except FileNotFoundError:
                continue  # deleted since the folder was listed: the next scan of the catalog says so

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / folder) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except PermissionError:
            if not folder:
                raise
            self.unreadable_folders.append(folder)
            return []
        return sorted(entries, key=_path_order)


def _path_order(entry: os.DirEntry[str]) -> bytes:
    """A folder sorts by its name with the separator, as its files' whole paths do."""
    return os.fsencode(entry.name) + (b"/" if entry.is_dir() else b"")
