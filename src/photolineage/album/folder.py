"""The folder of an album: only changed files are written, and the first page is written last.

A list in the folder names the album's files. Other files in the folder are never removed, and links in it are never
followed.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from filelock import FileLock, Timeout

from photolineage.album.pages import EVENTS, MONTHS, OVERVIEW, PICTURES, STYLE_SHEET, picture_path
from photolineage.stores.root_folder import PARTIAL_PREFIX, RootFolder, StorageError

MARKER: Final = ".photolineage-album"
"""The file that marks and locks the folder of an album."""
LIST: Final = ".photolineage-files"
"""The names of the album's files, one on a line. Each is added before its file is written."""

_OWN_NAME: Final = re.compile(
    rf"{re.escape(OVERVIEW)}|{re.escape(STYLE_SHEET)}|{EVENTS}/[0-9]+\.html|{MONTHS}/[0-9]+-[0-9]{{2}}\.html"
    rf"|{PICTURES}/[0-9a-f]{{1,2}}/[0-9a-f]+\.jpg"
)
"""The names that an album's files can have. A list with other names is not ours, or was changed."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How many files were written (new or changed), left unchanged, and removed."""

    written: int
    unchanged: int
    removed: int


@dataclass(slots=True)
class AlbumFolder:
    """An album's folder being written. Once a page changes, `unfinished` replaces the first page until the end."""

    root: RootFolder
    unfinished: str
    _listed: set[str]
    _pictures: set[str]
    _pages: set[str] = field(default_factory=set)
    _new_pages: int = 0
    _new_pictures: int = 0

    def has_picture(self, content_hash: str) -> bool:
        """Whether the folder has the picture."""
        return picture_path(content_hash) in self._pictures

    def write_picture(self, content_hash: str, jpeg: bytes) -> None:
        """Add a picture. Raises StorageError."""
        name = picture_path(content_hash)
        self._write(name, jpeg, flush=False)
        self._pictures.add(name)
        self._new_pictures += 1

    def write_page(self, name: str, content: str) -> None:
        """Write a page, unless it has this content already. Raises StorageError."""
        new = content.encode()
        self._pages.add(name)
        if name in self._listed and self.root.read_bytes(name) == new:
            return
        if not self._new_pages and name != OVERVIEW:
            self._write(OVERVIEW, self.unfinished.encode())
        self._write(name, new)
        self._new_pages += 1

    def remove_others(self, pictures: set[str]) -> tuple[Changes, Changes]:
        """Remove the album's files other than these pictures, given by content hash, and the pages of this run.

        Returns the changes to all pages and to all pictures.
        """
        wanted = {picture_path(content_hash) for content_hash in pictures}
        removed = [name for name in sorted(self._listed - wanted - self._pages) if self._remove(name)]
        content = "".join(f"{name}\n" for name in sorted(wanted | self._pages)).encode()
        if self.root.read_bytes(LIST) != content:
            self.root.write_bytes(LIST, content)
        removed_pictures = sum(name.startswith(f"{PICTURES}/") for name in removed)
        return (
            Changes(self._new_pages, len(self._pages) - self._new_pages, len(removed) - removed_pictures),
            Changes(self._new_pictures, len(wanted) - self._new_pictures, removed_pictures),
        )

    def _write(self, name: str, content: bytes, *, flush: bool = True) -> None:
        try:
            if name not in self._listed:
                self.root.append(LIST, f"{name}\n".encode())
                self._listed.add(name)
            self.root.write_bytes(name, content, flush=flush)
        except OSError as error:
            raise StorageError(
                f"cannot write {self.root.path / name}: {error.strerror or error}. Free disk space, check the "
                "permissions, or move away what has this name."
            ) from error

    def _remove(self, name: str) -> bool:
        """Remove a file, and what a killed run has left of it. Returns whether the file was there."""
        with suppress(IsADirectoryError):  # a folder is nothing that an album writes
            self.root.remove(
                str(PurePosixPath(name).with_name(f"{PARTIAL_PREFIX}{PurePosixPath(name).name}"))
            )
            return self.root.remove(name)
        return False


@contextmanager
def open_album_folder(path: Path, unfinished: str) -> Iterator[AlbumFolder]:
    """Open the folder of an album for this process alone. A missing folder is created.

    Raises StorageError if the folder has other contents, if a link is in it where the album writes, if another process
    writes the album, or if the folder cannot be created.
    """
    root = RootFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if root.size(MARKER) is None and any(path.iterdir()):
            raise StorageError(
                f"{path} is not empty and is not an album. Give a new folder, or the folder of an album"
            )
        with FileLock(root.inner(MARKER), timeout=0):
            listed = _listed_files(root)
            yield AlbumFolder(root, unfinished, listed, _pictures_in(root, listed))
    except Timeout as error:
        raise StorageError(
            f"{path}: another process is writing this album. Wait until it has ended"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}. Give a folder that you can write to"
        ) from error


def _listed_files(root: RootFolder) -> set[str]:
    """The names in the list of the album's files. A line that a power cut has damaged is left out."""
    lines = (root.read_bytes(LIST) or b"").decode(errors="replace").split("\n")
    return {line for line in lines if _OWN_NAME.fullmatch(line)}


def _pictures_in(root: RootFolder, listed: set[str]) -> set[str]:
    """The names of the album's pictures. Empty files are ignored: a power cut can leave them."""
    folders = {name.rpartition("/")[0] for name in listed if name.startswith(f"{PICTURES}/")}
    found = {
        f"{folder}/{name}" for folder in folders for name, size in root.sizes(folder).items() if size > 0
    }
    return found & listed
