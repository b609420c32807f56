"""The operations that a process did on the files below a folder, and the folders that a loss of power can leave.

The model is that of ALICE (Pillai et al., OSDI 2014) and CrashMonkey (Mohan et al., OSDI 2018): what was flushed by
fsync is kept; any part of what came after it may be lost. The flush of a file keeps its content and its name, the flush
of a folder keeps the names in it.
"""

import hashlib
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

KINDS = {
    "C": "create",
    "W": "write",
    "T": "truncate",
    "R": "rename",
    "L": "link",
    "U": "unlink",
    "M": "mkdir",
    "X": "rmdir",
    "S": "fsync",
}
_OF_CONTENT = frozenset("WT")
CATALOG = "catalog.db"
SHARED_MEMORY = "-shm"
"""SQLite maps these files, so their content is not seen here. SQLite makes them again."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that succeeded. Paths are relative to the folder; `data` is what a write wrote at `offset`."""

    what: str
    inode: int
    offset: int
    path: str
    other: str = ""
    data: bytes = b""

    @property
    def kind(self) -> str:
        """Its name, for people to read."""
        return KINDS[self.what]


def read_log(log: Path, folder: Path) -> list[Operation]:
    """The operations in the log of a `Fault`, in order."""
    found, content, at = [], log.read_bytes(), 0
    while at < len(content):
        line_end = content.index(b"\n", at)
        what, *numbers = content[at:line_end].decode().split()
        inode, one, two, first, second = map(int, numbers)
        at = line_end + 1
        paths = content[at : at + first], content[at + first : at + first + second]
        at += first + second
        size = two if what == "W" else 0
        path, other = (_relative(os.fsdecode(part), folder) for part in paths)
        found.append(Operation(what, inode, one, path, other, content[at : at + size]))
        at += size
    return found


def _relative(path: str, folder: Path) -> str:
    inner = path.removesuffix(" (deleted)").removeprefix(str(folder)).removeprefix("/")
    return inner or ("." if path else "")


@dataclass(slots=True)
class Tree:
    """A folder in memory: the folders, the names of its files, and their contents by inode."""

    folders: set[str] = field(default_factory=set)
    names: dict[str, int] = field(default_factory=dict)
    contents: dict[int, bytearray] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Tree":
        """The folder as it is on the disk."""
        tree = cls()
        for directory, _, names in os.walk(folder):
            inner = Path(directory).relative_to(folder)
            tree.folders.add(str(inner))
            for name in names:
                if not name.endswith(SHARED_MEMORY):
                    file = Path(directory, name)
                    tree.names[str(inner / name)] = file.stat().st_ino
                    tree.contents[file.stat().st_ino] = bytearray(file.read_bytes())
        return tree

    def copy(self) -> "Tree":
        """A tree that can be changed independently."""
        contents = {inode: bytearray(content) for inode, content in self.contents.items()}
        return Tree(set(self.folders), dict(self.names), contents)

    def write(self, folder: Path) -> None:
        """Write the tree to the disk, in place of what is there."""
        shutil.rmtree(folder, ignore_errors=True)
        for inner in sorted(self.folders):
            (folder / inner).mkdir(parents=True, exist_ok=True)
        for name, inode in self.names.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(self.contents[inode])

    def files(self) -> dict[str, bytes]:
        """The content of each file, by name."""
        return {name: bytes(self.contents[inode]) for name, inode in self.names.items()}

    def outcome(self) -> bytes | None:
        """A digest of what a process finds here: the files, and the catalog as SQLite recovers it.

        Most operations write a page of a transaction that is not committed, and SQLite recovers the same catalog after
        each of them. None if SQLite cannot open it.
        """
        digest = hashlib.sha256("\n".join(sorted(self.folders)).encode())
        for name, inode in sorted(self.names.items()):
            if not name.startswith(CATALOG):
                digest.update(f"\n{name} {len(self.contents[inode])}\n".encode() + self.contents[inode])
        with tempfile.TemporaryDirectory(prefix="photolineage-outcome-") as folder:
            for name, inode in self.names.items():
                if name.startswith(CATALOG):
                    Path(folder, name).write_bytes(self.contents[inode])
            try:
                with closing(sqlite3.connect(Path(folder, CATALOG))) as connection:
                    (pages,) = connection.execute("PRAGMA page_count").fetchone()
                    digest.update(connection.serialize() if pages else b"")
            except sqlite3.Error:
                return None
        return digest.digest()

    def apply(self, operation: Operation) -> None:
        """Do an operation. One whose file or folder was lost does nothing."""
        path, other = operation.path, operation.other
        match operation.what:
            case "C":
                self.names[path] = operation.inode
                self.contents[operation.inode] = bytearray()
            case "W":
                content = self.contents.setdefault(operation.inode, bytearray())
                content.extend(bytes(max(0, operation.offset - len(content))))
                content[operation.offset : operation.offset + len(operation.data)] = operation.data
            case "T":
                content = self.contents.setdefault(operation.inode, bytearray())
                del content[operation.offset :]
                content.extend(bytes(operation.offset - len(content)))
            case "R":
                self._rename(path, other)
            case "L":
                if path in self.names:
                    self.names[other] = self.names[path]
            case "U":
                self.names.pop(path, None)
            case "M":
                self.folders.add(path)
            case "X":
                self.folders.discard(path)

    def _rename(self, path: str, other: str) -> None:
        if path in self.names:
            self.names[other] = self.names.pop(path)
        elif path in self.folders:
            inside = f"{path}/"
            for name in [name for name in self.names if name.startswith(inside)]:
                self.names[other + name.removeprefix(path)] = self.names.pop(name)
            moved = {name for name in self.folders if name == path or name.startswith(inside)}
            self.folders = (self.folders - moved) | {other + name.removeprefix(path) for name in moved}


def after_a_loss_of_power(
    before: Tree, operations: Sequence[Operation], rng: random.Random | None
) -> Iterator[tuple[int, Tree]]:
    """The trees that a loss of power can leave, each with the number of operations before it.

    First, for each operation, everything up to it. With `rng`, for each flush, also everything that was flushed,
    without a random part of the rest.
    """
    tree = before.copy()
    for done, operation in enumerate(operations, 1):
        if operation.what != "S":
            tree.apply(operation)
            yield done, tree
        elif rng is not None:
            may_be_lost = unflushed(operations[: done - 1])
            if may_be_lost:
                lost = set(rng.sample(may_be_lost, rng.randint(1, len(may_be_lost))))
                yield done - 1, _without(before, operations[: done - 1], lost)


def _without(before: Tree, operations: Sequence[Operation], lost: Collection[int]) -> Tree:
    tree = before.copy()
    for number, operation in enumerate(operations):
        if number not in lost:
            tree.apply(operation)
    return tree


def unflushed(operations: Sequence[Operation]) -> list[int]:
    """The numbers of the operations that a loss of power may undo."""
    flushed_inodes: set[int] = set()
    flushed_paths: set[str] = set()
    found = []
    for number in range(len(operations) - 1, -1, -1):
        operation = operations[number]
        if operation.what == "S":
            flushed_inodes.add(operation.inode)
            flushed_paths.add(operation.path)
        elif operation.what in _OF_CONTENT:
            if operation.inode not in flushed_inodes:
                found.append(number)
        else:
            name = operation.other or operation.path
            if not {name, str(PurePosixPath(name).parent)} & flushed_paths:
                found.append(number)
    return found[::-1]
