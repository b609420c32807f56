"""Makes a tree of many small files, and walks it: the least work that a scan needs."""

import os
from collections.abc import Iterator
from pathlib import Path

FILES_PER_FOLDER = 1_000


def make_tree(root: Path, files: int) -> Iterator[int]:
    """Make `files` files named like images: a thousand per folder, ten folders per folder. Yields the number made."""
    for start in range(0, files, FILES_PER_FOLDER):
        number = start // FILES_PER_FOLDER
        folder = root / f"{2000 + number // 10}" / f"{number % 10:02}"
        folder.mkdir(parents=True)
        count = min(FILES_PER_FOLDER, files - start)
        for position in range(count):
            (folder / f"IMG_{position:05}.jpg").write_bytes(b"\xff\xd8\xff")
        yield count


def walk_alone(folder: str) -> int:
    """Run `scandir` and `stat` on every file below a folder, in the order of the disk. Returns the number of files."""
    found = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                found += walk_alone(entry.path)
            else:
                entry.stat()
                found += 1
    return found
