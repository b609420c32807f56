"""Walking a source in the order of the paths' bytes, with `scandir` and `stat` only, without keeping the tree."""

import errno
import os
import stat
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pathspec import GitIgnoreSpec

from photolineage.errors import PhotolineageError
from photolineage.settings.sections import FollowLinks
from photolineage.steps.found_files import FileRun, FoundFile, FoundFiles, recorded_mtime
from photolineage.steps.left_out import (
    HIDDEN,
    MOST_KINDS,
    OTHER_ENDING,
    begins_like_an_image,
    copies_of_programs,
    is_hidden,
    kind_of,
)
from photolineage.steps.sidecar_names import (
    BESIDE,
    EDITS,
    KIND_OF_EDITS,
    KIND_OF_LIVE_PHOTOS,
    MOVIE,
    READ,
    live_photos,
    sidecars_of,
)

LISTED_LINKS: Final = 20


class SourceUnavailableError(PhotolineageError):
    """A source's root cannot be read, so its images may still exist."""


def why_unavailable(root: Path) -> str | None:
    """Why a source cannot be read now; None if its root is a folder that is not empty.

    An empty folder may be the mount point of an unplugged disk.
    """
    try:
        return None if any(root.iterdir()) else "it is empty"
    except OSError as error:
        return error.strerror or str(error)


def require_source(root: Path) -> None:
    """Raise SourceUnavailableError if the source cannot be read, so that none of its images is recorded as failed."""
    reason = why_unavailable(root)
    if reason is not None:
        raise SourceUnavailableError(
            f"{root}: became unavailable while its images were read: {reason}. Mount the disk and run again. "
            "Committed work is kept."
        )


def is_followed(link: str, real_root: str, follow_links: FollowLinks) -> bool:
    """Whether a walk follows this link. `real_root` is the root of the source without links."""
    if follow_links != "inside":
        return follow_links == "all"
    return os.path.commonpath([os.path.realpath(link), real_root]) == real_root


@dataclass(slots=True)
class _OpenFolder:
    """A folder of the walk: its images, and the names of the folders in it, the last to enter first."""

    path: str
    files: FoundFiles
    folders: list[str]
    passed: int = 0

    def files_before(self, below: str | None) -> FoundFiles:
        """The next files that come before a folder in this one; with None, all that are left.

        A folder sorts by its name with the separator, like the full paths of its files.
        """
        begin = self.passed
        if below is None:
            return self.files.part(begin, None)
        self.passed = bisect_left(self.files.paths, os.fsencode(below), lo=begin, key=os.fsencode)
        return self.files.part(begin, self.passed)


_LEADS_NOWHERE: Final = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EACCES}
"""Why a link leads nowhere: its target is missing or forbidden, or it leads to itself or through a file."""
_OF_THIS_PROCESS: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Errors that say nothing about a file, and that the next file has too."""


@dataclass
class TreeWalk:
    """One walk of a source. Leaves out files with other suffixes, and files that match `exclude`.

    A file without any suffix is found if it begins like an image. `exclude` has patterns as in a .gitignore, relative
    to the root. Files and folders whose names begin with a dot are left out if `hidden` is false, and folders of
    programs (`photolineage.steps.left_out`) if `leave_out_copies` is true. A folder is entered only once, so loops of
    links end.

    With `follow_links` "inside", links that lead out of the root are not followed; with "none", no link is. The walk
    counts these links in `links_left`, and keeps the paths of the first in `examples_of_links`.

    The walk records paths while it is consumed, relative to the root and ending with the separator. What is at
    `unreadable` places and below, and behind `dead_ends`, is unknown. `unreadable` has the reason for each file and
    folder that cannot be read. Dead ends are links that cannot be followed, and folders that vanished before they were
    entered. `empty_folders` contain only files that are left out; they may include the root (`""`). Each has the time
    of its last change, in seconds. `passed_over` counts files that are not read, by suffix, and folders of programs.
    `sidecars_found` counts the sidecars of images.
    """

    root: Path
    suffixes: Collection[str]
    exclude: Sequence[str] = ()
    hidden: bool = False
    follow_links: FollowLinks = "inside"
    leave_out_copies: bool = True
    links_left: int = 0
    examples_of_links: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    dead_ends: set[str] = field(default_factory=set)
    empty_folders: dict[str, float] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    sidecars_found: int = 0
    _excluded: GitIgnoreSpec | None = field(init=False)
    _real_root: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._excluded = GitIgnoreSpec.from_lines(self.exclude) if self.exclude else None

    def files(self) -> Iterator[FoundFile]:
        """The files of `runs`, one by one."""
        for run in self.runs():
            yield from run.files()

    def runs(self) -> Iterator[FileRun]:
        """The files in the order of their paths' bytes. Raises SourceUnavailableError if the root cannot be read."""
        try:
            root = _identity(self.root.stat())
            self._real_root = os.path.realpath(self.root)
            waiting = FoundFiles()
            for files in self._folder_by_folder():
                waiting.extend(files)
                while waiting.has_run:
                    yield waiting.take_run()
            if waiting.paths:
                yield waiting.take_run()
            if _identity(self.root.stat()) != root:
                raise OSError(errno.ESTALE, "another folder replaced it during the scan")
            os.scandir(self.root).close()  # a disk that is gone can still answer `stat`
        except OSError as error:
            raise SourceUnavailableError(
                f"{self.root}: cannot be read: {error.strerror}. Mount the disk or correct the source's root; "
                "no image was marked as missing."
            ) from error

    def _folder_by_folder(self) -> Iterator[FoundFiles]:
        entered: set[tuple[int, int]] = set()
        above = [self._list("", entered)]
        while above:
            folder = above[-1]
            below = f"{folder.path}{folder.folders.pop()}/" if folder.folders else None
            yield folder.files_before(below)
            if below is None:
                above.pop()
            else:
                above.append(self._list(below, entered))

    def _list(self, folder: str, entered: set[tuple[int, int]]) -> _OpenFolder:
        """The images and the names of the folders in a folder; nothing if the folder was entered before."""
        try:
            return self._open_and_list(folder, entered)
        except OSError as error:
            if folder and error.errno in (errno.ENOENT, errno.ENOTDIR):
                # Deleted since its parent was listed, or the mount point of an automounter.
                self.dead_ends.add(folder)
            else:
                self._note_unreadable(folder, error)
            return _OpenFolder(folder, FoundFiles(), [])

    def _open_and_list(self, folder: str, entered: set[tuple[int, int]]) -> _OpenFolder:
        descriptor = os.open(os.path.join(self.root, folder), os.O_RDONLY | os.O_DIRECTORY)
        try:
            identity = _identity(os.fstat(descriptor))
            if identity in entered:
                return _OpenFolder(folder, FoundFiles(), [])
            entered.add(identity)
            return self._entries(descriptor, folder)
        finally:
            os.close(descriptor)

    def _entries(self, descriptor: int, folder: str) -> _OpenFolder:
        """The entries of an open folder. Lookups relative to the open folder need not resolve its path each time."""
        names, folders, others, beside = self._sorted_entries(descriptor, folder)
        files = FoundFiles()
        for name in _in_path_order(names):
            try:
                status = os.stat(name, dir_fd=descriptor)
            except OSError as error:
                self._note_error(error, folder, name, descriptor)
                continue
            if stat.S_ISREG(status.st_mode):
                if self._excluded is None or not self._is_excluded(folder, name):
                    files.paths.append(folder + name)
                    files.sizes_bytes.append(status.st_size)
                    files.mtimes_ns.append(recorded_mtime(status))
            elif stat.S_ISDIR(status.st_mode):
                folders.append(name)
        files.sidecars = (
            self._sidecars(descriptor, folder, files.paths, beside) if beside else [""] * len(files.paths)
        )
        below = [name for name in folders if self._is_entered(folder, name)]
        if not below and all(self._is_excluded(folder, name) for name in (*names, *others)):
            self.empty_folders[folder] = os.fstat(descriptor).st_ctime
        return _OpenFolder(
            folder, files, sorted(below, key=lambda name: os.fsencode(f"{name}/"), reverse=True)
        )

    def _sidecars(
        self, descriptor: int, folder: str, paths: Sequence[str], beside: Sequence[str]
    ) -> list[str]:
        """The sidecars of each image, as in `Image.sidecars`. Counts the files beside images by what they are."""
        begin = len(folder)
        images = [path[begin:] for path in paths]
        beside = [name for name in beside if not self._is_excluded(folder, name)]
        found = sidecars_of(images, [name for name in beside if name.lower().endswith(READ)])
        movies = live_photos(images, [name for name in beside if name.lower().endswith(MOVIE)])
        states = {name: _state_of(name, descriptor) for names in found.values() for name in names}
        self.sidecars_found += len(states)
        for name in beside:
            if name.lower().endswith(EDITS):
                self.passed_over[KIND_OF_EDITS] += 1
            elif name in movies:
                self.passed_over[KIND_OF_LIVE_PHOTOS] += 1
            elif name not in states:
                self._count_other(folder, name)
        return ["//".join(states[name] for name in found.get(image, ())) for image in images]

    def _sorted_entries(
        self, descriptor: int, folder: str
    ) -> tuple[list[str], list[str], list[str], list[str]]:
        """The names of images (maybe of folders too), of folders, and of everything else.

        The last list has those of everything else that may belong to an image. If the listing ends early, the names so
        far are returned: what is missing of the folder is unknown.
        """
        names: list[str] = []
        folders: list[str] = []
        others: list[str] = []
        beside: list[str] = []
        try:
            with os.scandir(descriptor) as listing:
                for entry in listing:
                    name = entry.name
                    if name[0] == "." and is_hidden(name, hidden=self.hidden):
                        self.passed_over[HIDDEN] += 1
                        continue
                    try:
                        if entry.is_symlink() and not self._follows(folder, name):
                            self._note_link(folder, name, descriptor)
                            others.append(name)
                        elif (suffix := name[name.rfind(".") :].lower()) in self.suffixes:
                            names.append(name)
                        elif _is_folder(entry):
                            folders.append(name)
                        elif "." not in name and entry.is_file() and begins_like_an_image(name, descriptor):
                            names.append(name)
                        else:
                            others.append(name)
                            if suffix in BESIDE:
                                beside.append(name)
                            else:
                                self._count_other(folder, name)
                    except OSError as error:
                        self._note_error(error, folder, name, descriptor)
        except OSError as error:
            self._note_unreadable(folder, error)
        return names, folders, others, beside

    def _is_entered(self, folder: str, name: str) -> bool:
        if self._is_excluded(folder, f"{name}/"):
            return False
        copies = copies_of_programs(f"{self.root.name}/{folder}{name}") if self.leave_out_copies else None
        if copies is not None:
            self.passed_over[copies] += 1
        return copies is None

    def _count_other(self, folder: str, name: str) -> None:
        if not self._is_excluded(folder, name):
            kind = kind_of(name)
            is_new = kind not in self.passed_over and len(self.passed_over) >= MOST_KINDS
            self.passed_over[OTHER_ENDING if is_new else kind] += 1

    def _follows(self, folder: str, name: str) -> bool:
        link = os.path.join(self.root, folder, name)
        return is_followed(link, self._real_root, self.follow_links)

    def _note_link(self, folder: str, name: str, descriptor: int) -> None:
        """Record a link that is not followed, if it is not excluded and seems to lead to images."""
        if self._is_excluded(folder, name) or self._is_excluded(folder, f"{name}/"):
            return
        if name[name.rfind(".") :].lower() not in self.suffixes:
            with suppress(OSError):  # where it leads is unknown
                if not stat.S_ISDIR(os.stat(name, dir_fd=descriptor).st_mode):
                    return
        self.links_left += 1
        if len(self.examples_of_links) < LISTED_LINKS:
            self.examples_of_links.append(f"{folder}{name}")

    def _note_error(self, error: OSError, folder: str, name: str, descriptor: int) -> None:
        """Record an entry that cannot be read: a link that leads nowhere as a dead end. Skip what was just deleted."""
        try:
            is_link = stat.S_ISLNK(os.lstat(name, dir_fd=descriptor).st_mode)
        except FileNotFoundError:
            return
        except OSError:
            is_link = False
        if not is_link and error.errno == errno.ENOENT:
            return
        if self._is_excluded(folder, name) or self._is_excluded(folder, f"{name}/"):
            return
        if is_link and error.errno in _LEADS_NOWHERE:
            self.dead_ends.add(f"{folder}{name}/")
        else:
            self._note_unreadable(f"{folder}{name}/", error)

    def _note_unreadable(self, place: str, error: OSError) -> None:
        """Record a file or folder that cannot be read. Raises `error` if it is the root, or not of the place."""
        if not place or error.errno in _OF_THIS_PROCESS:
            raise error
        self.unreadable[place] = error.strerror or str(error)

    def _is_excluded(self, folder: str, name: str) -> bool:
        return self._excluded is not None and self._excluded.match_file(folder + name)


def _in_path_order(names: list[str]) -> list[str]:
    """The names in the order of their bytes. Valid UTF-8 sorts like its text; other names must be sorted as bytes."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        return sorted(names, key=os.fsencode)
    return sorted(names)


def _state_of(sidecar: str, folder: int) -> str:
    """The name, the size and the time of a sidecar. If nobody can tell them, reading it will say why."""
    try:
        status = os.stat(sidecar, dir_fd=folder)
    except OSError:
        return f"{sidecar}/0/0"
    return f"{sidecar}/{status.st_size}/{recorded_mtime(status)}"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one. Raises OSError for a link that cannot be followed."""
    return stat.S_ISDIR(entry.stat().st_mode) if entry.is_symlink() else entry.is_dir()
