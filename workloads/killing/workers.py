"""Starting workers over a library, ending them, and reading what they say."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from photolineage.catalog.migrate import catalog_revision
from photolineage.catalog.orm import FileKind, Image, ImageState
from photolineage.catalog.queries import committed_files
from photolineage.settings import Settings
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from workloads import REPOSITORY_ROOT
from workloads.killing.steps import Death

PATIENCE_SECONDS = 120.0


class StandstillError(Exception):
    """A worker did not get where it had to."""


@contextmanager
def nursery(prefix: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """The process that workers are forked from, started through the command `prefix`."""
    with subprocess.Popen(
        [*prefix, sys.executable, "-m", "workloads.killing.worker"],
        cwd=REPOSITORY_ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process
        process.kill()


@dataclass(frozen=True, slots=True)
class Workers:
    """Worker processes over one library, one at a time, all with one log; `engine` is over its catalog."""

    settings: Settings
    engine: Engine
    log: Path
    nursery: subprocess.Popen[str]

    def start(self, death: Death | None = None, *, file_bytes: int | None = None) -> int:
        """The id of a new worker, which dies where it is told to and may write files of so many bytes."""
        assert self.nursery.stdin is not None
        order = {
            "config": str(self.settings.config_file),
            "log": str(self.log),
            "death": [death.step, death.count] if death else None,
            "file_bytes": file_bytes,
        }
        self.nursery.stdin.write(json.dumps(order) + "\n")
        self.nursery.stdin.flush()
        return self._answer()

    def end(self, pid: int, number: signal.Signals) -> int:
        """Send a signal to the worker; its exit status."""
        with suppress(ProcessLookupError):  # it came to its end at this very moment
            os.kill(pid, number)
        return self._answer()

    def wait(self) -> int:
        """The exit status of the worker, at its end."""
        return self._answer()

    def _answer(self) -> int:
        assert self.nursery.stdout is not None
        return int(self.nursery.stdout.readline())

    def wait_until(self, pid: int, condition: Callable[[], bool]) -> bool:
        """Wait until the condition holds; False where the worker has ended before. Raises StandstillError."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if not Path(f"/proc/{pid}").exists():
                return False
            if time.monotonic() > deadline:
                raise StandstillError(f"worker {pid}: nothing new within {PATIENCE_SECONDS:g} s")
            time.sleep(0.005)
        return True

    def written(self) -> int:
        """How many bytes the log has."""
        return self.log.stat().st_size if self.log.exists() else 0

    def lines(self, since: int = 0) -> list[str]:
        """What the workers have said, after the first `since` bytes."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="surrogateescape").splitlines()

    def of(self, word: str, *, since: int = 0) -> list[str]:
        """What follows `word` in each line that begins with it, after the first `since` bytes."""
        return [line.removeprefix(f"{word} ") for line in self.lines(since) if line.startswith(f"{word} ")]

    def committed(self) -> list[str]:
        """Image id and content hash of every committed row of embeddings."""
        with self.engine.connect() as connection:
            if catalog_revision(connection).found is None:
                return []
            files = committed_files(connection, FileKind.EMBEDDING)
        store = EmbeddingStore(open_files(self.settings))
        rows = (row for file in files for row in store.read_identities(file.path).to_pylist())
        return [f"{row['image_id']} {row['content_hash']}" for row in rows]

    def registered(self) -> set[str]:
        """Image id and content hash of every registered image."""
        with self.engine.connect() as connection:
            if catalog_revision(connection).found is None:
                return set()
            rows = connection.execute(
                select(Image.id, Image.content_hash).where(Image.state == ImageState.REGISTERED)
            )
            return {f"{image} {content}" for image, content in rows}
