"""Updates of a vector index in processes that kill themselves where they are told to.

`python -m tests.stores.vector_index.interrupted_update FOLDER STATE MODE STRIDE` updates the table in
`FOLDER/POINT`, a copy of `FOLDER/prepared` where there is one, for the points 0, 1 × STRIDE, 2 × STRIDE, …, each in a
process of its own, until one comes to its end alive; it writes out the points at which a process died.

In the mode `step`, a process dies before (even point) or after (odd point) the (point // 2)-th call that writes to
LanceDB; in the mode `time`, so many milliseconds after the first such call began. What is slow to import is imported
once, before the processes are forked; LanceDB, which starts threads, is imported in each.
"""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from photolineage.stores.vector_index import VectorIndex, maintenance, writing
from tests.stores.vector_index.conftest import Library

DIM = 16
ANN_FROM_ROWS = 300
ROWS_A_COMMIT = 200


def former_state() -> Library:
    """400 images in four files."""
    library = Library(DIM)
    for file in range(4):
        library.commit(file, range(100 * file, 100 * file + 100))
    return library


def next_state() -> Library:
    """50 of them removed, 60 with new facts, 100 embedded again, and 300 new ones."""
    library = former_state()
    library.remove(range(50))
    for image in range(50, 110):
        library.facts[image]["source"] = "telephone"
    library.commit(10, range(250, 350))
    for file in range(11, 14):
        library.commit(file, range(100 * file, 100 * file + 100))
    return library


STATES = {"former": former_state, "next": next_state}


def update(directory: Path, library: Library) -> None:
    """All that the asset does, in its order."""
    index = VectorIndex(directory, "clip", DIM, keep_versions_for=timedelta(milliseconds=1))
    index.synchronize(library.live(), library.read)
    index.compact()
    index.build_ann_if_outgrown()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _watch(owner: type, name: str, before: Callable[[], None], after: Callable[[], None]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def watched(*arguments: Any, **keywords: Any) -> Any:
        before()
        result = original(*arguments, **keywords)
        after()
        return result

    setattr(owner, name, watched)


def _watch_writes(before: Callable[[], None], after: Callable[[], None]) -> None:
    from lancedb.db import LanceDBConnection
    from lancedb.table import LanceTable

    _watch(LanceDBConnection, "create_table", before, after)
    for name in ("delete", "_do_merge", "optimize", "create_index", "drop_index"):
        _watch(LanceTable, name, before, after)


def _die_at_step(point: int) -> None:
    passed = iter(range(point))

    def step() -> None:
        if next(passed, None) is None:
            _die()

    _watch_writes(step, step)


def _die_at_time(milliseconds: int) -> None:
    timer = threading.Timer(milliseconds / 1000, _die)

    def start_once() -> None:
        if timer.ident is None:
            timer.start()

    _watch_writes(start_once, lambda: None)


MODES = {"step": _die_at_step, "time": _die_at_time}


def _survives(folder: Path, state: str, mode: str, point: int) -> bool:
    """Whether a process that is to die at the point came to its end; a failed one ends this one too."""
    directory = folder / str(point)
    if (folder / "prepared").exists():
        shutil.copytree(folder / "prepared", directory)
    child = os.fork()
    if child == 0:
        MODES[mode](point)
        update(directory, STATES[state]())
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"point {point}: exit code {code}")
    return code == 0


def _main(folder: Path, state: str, mode: str, stride: int) -> None:
    import duckdb  # noqa: F401
    import lance_namespace  # noqa: F401

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(maintenance, "ANN_FROM_ROWS", ANN_FROM_ROWS)
    monkeypatch.setattr(writing, "ROWS_A_COMMIT", ROWS_A_COMMIT)
    for point in count(step=stride):
        if _survives(folder, state, mode, point):
            return
        sys.stdout.write(f"{point}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
