"""A library that is large enough to be killed many times, and its workers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from catalog.migrate import catalog_revision
from catalog.models import FileKind, ShardFile
from resources.settings import load_settings
from tests.library import Library, draw_photo

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Workers:
    """Worker processes over one library, one at a time, all with one log."""

    library: Library
    log: Path
    nursery: subprocess.Popen[str]

    def start(self) -> int:
        """The id of a new worker."""
        assert self.nursery.stdin is not None
        self.nursery.stdin.write(json.dumps([str(self.library.settings.config_file), str(self.log)]) + "\n")
        self.nursery.stdin.flush()
        return self._answer()

    def end(self, pid: int, number: signal.Signals) -> int:
        """Send a signal to the worker; its exit status."""
        os.kill(pid, number)  # before its end is told, it is at least a zombie
        return self._answer()

    def wait(self) -> int:
        """The exit status of the worker, at its end."""
        return self._answer()

    def _answer(self) -> int:
        assert self.nursery.stdout is not None
        return int(self.nursery.stdout.readline())

    def wait_until(self, pid: int, condition: Callable[[], bool]) -> bool:
        """Wait until the condition holds; False where the worker has ended before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if not Path(f"/proc/{pid}").exists():
                return False
            assert time.monotonic() < deadline, "the worker stands still"
            time.sleep(0.002)
        return True

    def of(self, word: str) -> list[str]:
        """What follows `word` in each line of the log that begins with it."""
        return [line.removeprefix(f"{word} ") for line in self.lines() if line.startswith(f"{word} ")]

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def committed(self) -> list[str]:
        """Image id and content hash of every committed row of embeddings."""
        with self.library.engine.connect() as connection:
            if catalog_revision(connection).found is None:
                return []
            statement = select(ShardFile.path).where(ShardFile.kind == FileKind.EMBEDDING)
            paths = connection.execute(statement).scalars().all()
        tables = [self.library.embeddings.read_identities(path).to_pylist() for path in paths]
        return [f"{row['image_id']} {row['content_hash']}" for rows in tables for row in rows]

    def settled(self) -> int:
        """How many images are registered or failed."""
        with self.library.engine.connect() as connection:
            if catalog_revision(connection).found is None:
                return 0
        return sum(state in {"registered", "failed"} for state in self.library.states().values())


@pytest.fixture(scope="session")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """The process that workers are forked from; it has loaded torch."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.resumable_worker"],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process
        process.kill()


@pytest.fixture
def workers(library: Library, tmp_path: Path, nursery: subprocess.Popen[str]) -> Workers:
    """Workers over a library of 228 photos in shards of 60, with checkpoints of 10; its catalog is not there yet."""
    for number in range(200):
        draw_photo(library.root / f"2025/{number:03}.jpg", 1000 + number)
    config = library.settings.config_file
    text = config.read_text().replace("shard_capacity = 10", "shard_capacity = 60")
    config.write_text(text.replace("checkpoint_images = 4", "checkpoint_images = 10"))
    library.engine.dispose()
    for path in library.settings.home.glob("catalog.db*"):
        path.unlink()
    return Workers(Library(load_settings(config), library.engine), tmp_path / "log", nursery)
