"""What is stored below a folder: who may read it, and which of some words stand in it, also compressed."""

import sqlite3
import stat
import zlib
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

OTHERS = stat.S_IRWXG | stat.S_IRWXO
ARROW_MAGIC = b"ARROW1"


def open_to_others(folder: Path) -> dict[str, str]:
    """The folder and what is below it, if other users could read it, write it or pass through; by path, the modes."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.lstat().st_mode for path in paths if not path.is_symlink()}
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(mode))
        for path, mode in modes.items()
        if mode & OTHERS
    }


def places_of(words: Collection[str], folder: Path) -> list[str]:
    """The files below a folder that contain one of the words: in their name, plain, or compressed."""
    sought = [word.encode() for word in words]
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if any(word in str(path) for word in words)
        or (path.is_file() and any(word in content for content in _contents(path) for word in sought))
    ]


def _contents(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield from _unpacked(data)
    if data.startswith(b"SQLite format 3"):
        yield from _cells(path)
    if path.suffix == ".parquet":
        yield str(pq.read_table(path).to_pylist()).encode()
    if data.startswith(ARROW_MAGIC):
        yield str(pa.ipc.open_file(path).read_all().to_pylist()).encode()


def _cells(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    yield from _unpacked(cell if isinstance(cell, bytes) else str(cell).encode())


def _unpacked(data: bytes) -> Iterator[bytes]:
    """The data, and what it is when it is decompressed."""
    yield data
    with suppress(zlib.error):
        yield zlib.decompress(data, wbits=47)  # zlib or gzip
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        yield pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
