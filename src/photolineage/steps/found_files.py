"""The files that a walk finds: one by one, or as runs of columns."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

RUN_FILES: Final = 5_000
MAX_MTIME_NS: Final = 2**63 - 1


def recorded_mtime(status: os.stat_result) -> int:
    """The time of a file's last change as the catalog records it: in nanoseconds, with 64 bits."""
    return min(max(status.st_mtime_ns, -MAX_MTIME_NS), MAX_MTIME_NS)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a source. `path` is relative to the root, with surrogate escapes; `mtime_ns` has 64 bits.

    Times after April 2262 do not fit into 64 bits and are replaced by the last time that fits. `sidecars` has the name,
    the size and the time of each sidecar, as in `Image.sidecars`; it is empty if there are none.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    sidecars: str = ""


@dataclass(frozen=True, slots=True)
class FileRun:
    """One to `RUN_FILES` consecutive files in path order. Paths are like those of `FoundFile`."""

    paths: tuple[str, ...]
    sizes_bytes: tuple[int, ...]
    mtimes_ns: tuple[int, ...]
    sidecars: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def files(self) -> Iterator[FoundFile]:
        """The files one by one."""
        return map(FoundFile, self.paths, self.sizes_bytes, self.mtimes_ns, self.sidecars)


@dataclass(slots=True)
class FoundFiles:
    """Files in path order, as columns. With one object per file, the garbage collector would have to visit each."""

    paths: list[str] = field(default_factory=list)
    sizes_bytes: list[int] = field(default_factory=list)
    mtimes_ns: list[int] = field(default_factory=list)
    sidecars: list[str] = field(default_factory=list)

    @property
    def has_run(self) -> bool:
        """Whether there are enough files for a run of the usual length."""
        return len(self.paths) >= RUN_FILES

    def part(self, begin: int, end: int | None) -> "FoundFiles":
        """The files from one position to before another; None: to the end."""
        return FoundFiles(*(column[begin:end] for column in self._columns()))

    def extend(self, files: "FoundFiles") -> None:
        """Append files."""
        self.paths += files.paths
        self.sizes_bytes += files.sizes_bytes
        self.mtimes_ns += files.mtimes_ns
        self.sidecars += files.sidecars

    def take_run(self) -> FileRun:
        """Remove the first files, at most a run, and return them."""
        run = FileRun(*(tuple(column[:RUN_FILES]) for column in self._columns()))
        for column in self._columns():
            del column[:RUN_FILES]
        return run

    def _columns(self) -> tuple[list[Any], ...]:
        return self.paths, self.sizes_bytes, self.mtimes_ns, self.sidecars
