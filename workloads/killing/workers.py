"""Starts the workers of a library, ends them, and reads their log."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, select

from photolineage.catalog.migrate import catalog_revision
from photolineage.catalog.orm import Image
from photolineage.catalog.queries import committed_files
from photolineage.catalog.vocabulary import FileKind, ImageState
from photolineage.settings import Settings
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from workloads import REPOSITORY_ROOT
from workloads.crash_states.interposer import Fault
from workloads.killing.steps import Death

PATIENCE_SECONDS = 120.0


class StandstillError(Exception):
    """A worker failed or made no progress."""


@contextmanager
def nursery(prefix: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Start the process from which workers are forked, through the command `prefix`."""
    with subprocess.Popen(
        [*prefix, sys.executable, "-m", "workloads.killing.worker"],
        cwd=REPOSITORY_ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process
        process.kill()


@dataclass(frozen=True, slots=True)
class Workers:
    """The worker processes of one library, one at a time, with one log. `engine` connects to the catalog.

    `models`: those that they embed with; None for the first. `verifies`: they read all photos again in the end.
    """

    settings: Settings
    engine: Engine
    log: Path
    nursery: subprocess.Popen[str]
    models: Sequence[str] | None = None
    verifies: bool = False

    def start(
        self,
        death: Death | None = None,
        *,
        file_bytes: int | None = None,
        fault: Fault | None = None,
        promoted: str | None = None,
    ) -> int:
        """Start a worker that dies at `death`, may write files of at most `file_bytes`, meets a `fault`, and promotes a
        model in the end. Returns its id.
        """
        assert self.nursery.stdin is not None
        order = {
            "config": str(self.settings.config_file),
            "log": str(self.log),
            "death": [death.step, death.count] if death else None,
            "file_bytes": file_bytes,
            "fault": fault and [str(fault.folder), str(fault.log), fault.mode, fault.at],
            "promoted": promoted,
            "models": self.models or list(self.settings.models)[:1],
            "verifies": self.verifies,
        }
        self.nursery.stdin.write(json.dumps(order) + "\n")
        self.nursery.stdin.flush()
        return self._answer()

    def end(self, pid: int, number: signal.Signals) -> int:
        """Send a signal to the worker. Returns its exit status."""
        with suppress(ProcessLookupError):  # the worker has just finished
            os.kill(pid, number)
        return self._answer()

    def wait(self) -> int:
        """Wait for the end of the worker. Returns its exit status."""
        return self._answer()

    def _answer(self) -> int:
        assert self.nursery.stdout is not None
        return int(self.nursery.stdout.readline())

    def wait_until(self, pid: int, condition: Callable[[], bool]) -> bool:
        """Wait until the condition holds. False if the worker ends first. Raises StandstillError without progress."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if not Path(f"/proc/{pid}").exists():
                return False
            if time.monotonic() > deadline:
                raise StandstillError(f"worker {pid} made no progress within {PATIENCE_SECONDS:g} s")
            time.sleep(0.005)
        return True

    def written(self) -> int:
        """The size of the log in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

    def lines(self, since: int = 0) -> list[str]:
        """The lines of the log after its first `since` bytes."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="surrogateescape").splitlines()

    def of(self, word: str, *, since: int = 0) -> list[str]:
        """The rest of each line that begins with `word`, after the first `since` bytes of the log."""
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

    def read_at(self) -> dict[int, tuple[datetime | None, datetime | None]]:
        """When each registered image was registered, and when it was verified."""
        with self.engine.connect() as connection:
            if catalog_revision(connection).found is None:
                return {}
            rows = connection.execute(
                select(Image.id, Image.registered_at, Image.verified_at).where(
                    Image.state == ImageState.REGISTERED
                )
            )
            return {image: (registered_at, verified_at) for image, registered_at, verified_at in rows}
