"""The folder of an album: only changed files are written, and the first page is written last."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from photolineage.album.pages import EVENTS, MONTHS, OVERVIEW, PICTURES, picture_path
from photolineage.stores.files import write_atomically
from photolineage.stores.root_folder import PARTIAL_PREFIX, StorageError

MARKER = ".photolineage-album"
"""The file that marks and locks the folder of an album. Files are removed only from a folder that has it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How many files were written (new or changed), left unchanged, and removed."""

    written: int
    unchanged: int
    removed: int


@dataclass(slots=True)
class AlbumFolder:
    """An album's folder being written. Once a page changes, `unfinished` replaces the first page until the end."""

    path: Path
    unfinished: str
    _pictures: set[str]
    _pages: set[str] = field(default_factory=set)
    _new_pages: int = 0
    _new_pictures: int = 0

    def has_picture(self, content_hash: str) -> bool:
        """Whether the folder has the picture."""
        return content_hash in self._pictures

    def write_picture(self, content_hash: str, jpeg: bytes) -> None:
        """Add a picture. Raises StorageError."""
        path = self.path / picture_path(content_hash)
        partial = path.with_name(f"{PARTIAL_PREFIX}{path.name}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(jpeg)
            partial.rename(path)
        except OSError as error:
            raise StorageError(
                f"cannot write {path}: {error.strerror or error}. Free disk space or check the permissions"
            ) from error
        self._pictures.add(content_hash)
        self._new_pictures += 1

    def write_page(self, name: str, content: str) -> None:
        """Write a page, unless it has this content already. Raises StorageError."""
        path, new = self.path / name, content.encode()
        self._pages.add(name)
        if path.is_file() and path.read_bytes() == new:
            return
        if not self._new_pages and name != OVERVIEW:
            self._write(self.path / OVERVIEW, self.unfinished.encode())
        self._write(path, new)
        self._new_pages += 1

    def remove_other_pages(self) -> Changes:
        """Remove the pages that were not written in this run, and count the changes to all pages."""
        removed = 0
        for folder in (EVENTS, MONTHS):
            for path in (self.path / folder).glob("*.html"):
                if f"{folder}/{path.name}" not in self._pages:
                    path.unlink()
                    removed += 1
        return Changes(self._new_pages, len(self._pages) - self._new_pages, removed)

    def remove_other_pictures(self, wanted: set[str]) -> Changes:
        """Remove other pictures and leftovers of interrupted runs, and count the changes to all pictures."""
        others = [path for path in (self.path / PICTURES).glob("*/*") if path.stem not in wanted]
        for path in others:
            path.unlink()
        return Changes(self._new_pictures, len(wanted) - self._new_pictures, len(others))

    def _write(self, path: Path, content: bytes) -> None:
        def write(partial: Path) -> None:
            partial.write_bytes(content)

        write_atomically(path, write)


@contextmanager
def open_album_folder(path: Path, unfinished: str) -> Iterator[AlbumFolder]:
    """Open the folder of an album for this process alone. A missing folder is created.

    Raises StorageError if the folder has other contents, if another process writes the album, or if the folder cannot
    be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not (path / MARKER).exists() and any(path.iterdir()):
            raise StorageError(
                f"{path} is not empty and is not an album. Give a new folder, or the folder of an album"
            )
        with FileLock(path / MARKER, timeout=0):
            yield AlbumFolder(path, unfinished, _pictures_in(path))
    except Timeout as error:
        raise StorageError(
            f"{path}: another process is writing this album. Wait until it has ended"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}. Give a folder that you can write to"
        ) from error


def _pictures_in(path: Path) -> set[str]:
    """The content hashes of the pictures. Empty files are ignored: a power cut can leave them."""
    return {picture.stem for picture in (path / PICTURES).glob("*/*.jpg") if picture.stat().st_size > 0}
