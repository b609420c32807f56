"""The places at which a worker can be killed: before and after each of its steps.

The worker announces each step by a line in its log, before it takes the step. A worker that was told to die at a step
kills itself there with SIGKILL.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, event

from photolineage.catalog.leases import Lease
from photolineage.media import OriginalImage, read_original
from photolineage.models.embedder import Embedder
from photolineage.steps import register as registering
from photolineage.steps import verify as verification
from photolineage.stores.embeddings import EmbeddingFileHeader, EmbeddingStore

STEPS = (
    "migrating",
    "flushing",
    "renaming",
    "renamed",
    "committing",
    "committed",
    "indexing",
    "indexed",
    "verifying",
)
"""In a migration; before the flush of a file, and before and after its rename; before and after every commit (of a scan
too); before and after each write to the vector index; before a photo is read again to verify it."""

INDEX_WRITES = ("delete", "_do_merge", "optimize", "create_index", "drop_index")


@dataclass(frozen=True, slots=True)
class Death:
    """The worker dies when it passes a step for the `count`-th time."""

    step: str
    count: int


@dataclass(slots=True)
class Announcer:
    """Writes the log of a worker, and kills the worker at its planned step."""

    log: Path
    death: Death | None
    _descriptor: int = field(init=False)
    _passed: Counter[str] = field(init=False, default_factory=Counter)

    def __post_init__(self) -> None:
        self._descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, *lines: str) -> None:
        """Append lines to the log in one write."""
        os.write(self._descriptor, "".join(f"{line}\n" for line in lines).encode())

    def step(self, name: str) -> None:
        """Announce a step, and die there if planned."""
        self.note(f"step {name}")
        self._passed[name] += 1
        if self.death == Death(name, self._passed[name]):
            os.kill(os.getpid(), signal.SIGKILL)


def announce_migration(announcer: Announcer, engine: Engine) -> Callable[[], None]:
    """Announce every statement. Returns a function that stops this."""

    def announce(*_arguments: object) -> None:
        announcer.step("migrating")

    event.listen(engine, "before_cursor_execute", announce)
    return lambda: event.remove(engine, "before_cursor_execute", announce)


def announce_steps(announcer: Announcer) -> None:
    """Announce every read, every computation and every write when it happens."""
    _announce_computations(announcer)
    _around(os, "fsync", announcer, before="flushing")
    _around(os, "rename", announcer, before="renaming", after="renamed")
    _around(Lease, "commit", announcer, before="committing", after="committed")
    _around(verification, "hash_content", announcer, before="verifying")


def announce_index_writes(announcer: Announcer) -> None:
    """Announce every write to LanceDB. Call this after a fork, because importing LanceDB starts threads."""
    from lancedb.db import LanceDBConnection
    from lancedb.table import LanceTable

    _around(LanceDBConnection, "create_table", announcer, before="indexing", after="indexed")
    for name in INDEX_WRITES:
        _around(LanceTable, name, announcer, before="indexing", after="indexed")


def _around(owner: Any, name: str, announcer: Announcer, *, before: str, after: str | None = None) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def announced(*arguments: Any, **keywords: Any) -> Any:
        announcer.step(before)
        result = original(*arguments, **keywords)
        if after is not None:
            announcer.step(after)
        return result

    setattr(owner, name, announced)


def _announce_computations(announcer: Announcer) -> None:
    encode_batch, write_embeddings = Embedder.encode_batch, EmbeddingStore.write

    def read(path: str, *, assumed_time_zone: str, sidecars: Sequence[str]) -> OriginalImage:
        original = read_original(path, assumed_time_zone=assumed_time_zone, sidecars=sidecars)
        announcer.note(f"read {path}")
        return original

    def encode(self: Embedder, batch: Sequence[Any]) -> NDArray[np.float32]:
        vectors = encode_batch(self, batch)
        announcer.note(f"encoded {len(batch)}")
        return vectors

    def write(
        self: EmbeddingStore,
        header: EmbeddingFileHeader,
        name: str,
        image_ids: Sequence[int],
        content_hashes: Sequence[str],
        vectors: NDArray[np.float32],
    ) -> tuple[str, int]:
        pairs = zip(image_ids, content_hashes, strict=True)
        announcer.note(*(f"embedded {image} {content}" for image, content in pairs))
        return write_embeddings(self, header, name, image_ids, content_hashes, vectors)

    registering.read_original = read  # type: ignore[attr-defined,assignment]
    Embedder.encode_batch = encode  # type: ignore[method-assign]
    EmbeddingStore.write = write  # type: ignore[method-assign]
