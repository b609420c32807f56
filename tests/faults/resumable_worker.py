"""Workers that register and embed a library: `python -m tests.faults.resumable_worker`.

For each line on its standard input, a JSON list of a configuration file and a log file, a process of its own
migrates, scans, registers and embeds; its id and, after its end, its exit status are written to the standard
output. (The processes are forked from one that has loaded torch, which takes seconds.)

The log has `read <path>` for every original that was read, `encoded <count>` for every batch that went through the
model, and `embedded <image id> <content hash>` for every embedding that is about to be written: each line is there
before its image can be committed, so that a kill loses no line of committed work.
"""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.engine import create_catalog_engine
from catalog.migrate import upgrade
from pipeline import registering
from resources.embedder import Embedder
from resources.embedding_store import EmbeddingFileHeader, EmbeddingStore
from resources.images import OriginalImage, read_original
from resources.settings import load_settings
from tests.library import Library

MODEL = "tiny-a"


def log_to(log: Path) -> None:
    """Log what is read and what is computed, where it happens."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    encode_batch, write_embeddings = Embedder.encode_batch, EmbeddingStore.write

    def read(path: str, *, assumed_time_zone: str) -> OriginalImage:
        original = read_original(path, assumed_time_zone=assumed_time_zone)
        os.write(descriptor, f"read {path}\n".encode())
        return original

    def encode(self: Embedder, batch: Sequence[Any]) -> NDArray[np.float32]:
        vectors = encode_batch(self, batch)
        os.write(descriptor, f"encoded {len(batch)}\n".encode())
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
        os.write(descriptor, "".join(f"embedded {image} {content}\n" for image, content in pairs).encode())
        return write_embeddings(self, header, name, image_ids, content_hashes, vectors)

    registering.read_original = read
    Embedder.encode_batch = encode  # type: ignore[method-assign]
    EmbeddingStore.write = write  # type: ignore[method-assign]


def work(config: Path) -> None:
    settings = load_settings(config)
    library = Library(settings, create_catalog_engine(settings.catalog.url))
    upgrade(library.engine)
    library.scan()
    library.register_all()
    library.embed_all(MODEL)


def fork_worker(config: Path, log: Path) -> int:
    """The id of a process that works."""
    pid = os.fork()
    if pid:
        return pid
    try:
        log_to(log)
        work(config)
    except BaseException:  # noqa: BLE001 (whatever it is, the parent's code must not go on in this process)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    import open_clip  # noqa: F401 (loaded once for all workers)

    for line in sys.stdin:
        config, log = map(Path, json.loads(line))
        pid = fork_worker(config, log)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
