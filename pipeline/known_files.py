"""The files of a source as the catalog has them, beside a walk in the same order."""

import os
from bisect import bisect_right

from sqlalchemy import Engine, LargeBinary, select, type_coerce

from catalog.models import Image, ImageState
from pipeline.tree_walk import FileRun


class KnownFiles:
    """The files of a source that are not missing, in path order, read a page at a time as the walk goes on.

    Of each file only path, size and time are read, and whole columns compared: most files are as they were.
    """

    def __init__(self, engine: Engine, source_id: int, *, page: int) -> None:
        self._engine = engine
        self._source_id = source_id
        self._page = page
        self._paths: tuple[bytes, ...] = ()
        self._sizes: tuple[int, ...] = ()
        self._mtimes: tuple[int, ...] = ()
        self._start = 0
        self._read_up_to = b""
        self._is_all_read = False

    def are_next(self, run: FileRun) -> bool:
        """Whether the next files are exactly those of the run, of the same sizes and times.

        Whatever the answer, the files up to the run's last path are passed; runs must come in path order.
        """
        while len(self._paths) - self._start < len(run) and not self._is_all_read:
            self._read_page()
        next_ones = slice(self._start, self._start + len(run))
        is_same = (
            self._sizes[next_ones] == run.sizes_bytes
            and self._mtimes[next_ones] == run.mtimes_ns
            and b"\0".join(self._paths[next_ones]) == run.joined_paths()
        )
        if is_same:
            self._start += len(run)
        else:
            self._pass(os.fsencode(run.last_path))
        return is_same

    def _read_page(self) -> None:
        path = type_coerce(Image.path, LargeBinary)
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(path, Image.size_bytes, Image.mtime_ns)
                .where(
                    Image.source_id == self._source_id,
                    Image.state != ImageState.MISSING,
                    path > self._read_up_to,
                )
                .order_by(path)
                .limit(self._page)
            ).all()
        self._is_all_read = len(rows) < self._page
        if rows:
            paths, sizes, mtimes = zip(*rows, strict=True)
            self._read_up_to = paths[-1]
            self._paths = self._paths[self._start :] + paths
            self._sizes = self._sizes[self._start :] + sizes
            self._mtimes = self._mtimes[self._start :] + mtimes
            self._start = 0

    def _pass(self, path: bytes) -> None:
        self._start = bisect_right(self._paths, path, lo=self._start)
        self._read_up_to = max(self._read_up_to, path)
