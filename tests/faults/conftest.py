"""A library that is large enough to be killed many times, and its workers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from photolineage.settings import load_settings
from tests.library import Library, draw_photo
from workloads.killing.workers import Workers, nursery

CHECKPOINT = 10


OBEDIENT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
"""The superuser without the right to write what may not be written."""


@pytest.fixture(scope="session")
def worker_nursery() -> Iterator[subprocess.Popen[str]]:
    """The process that workers are forked from; it has loaded torch."""
    with nursery() as process:
        yield process


@pytest.fixture(scope="session")
def obedient_nursery() -> Iterator[subprocess.Popen[str]]:
    """The same, for workers that obey the permissions of files whoever runs the tests."""
    prefix = OBEDIENT if os.geteuid() == 0 else ()
    if prefix and not _starts(*prefix, "true"):
        pytest.skip("needs setpriv, where the superuser runs the tests")
    with nursery(prefix) as process:
        yield process


def _starts(*command: str) -> bool:
    try:
        return subprocess.run(command, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def large_library(library: Library) -> Library:
    """A library of 228 photos in shards of 60, with checkpoints of 10; its catalog is not there yet."""
    for number in range(200):
        draw_photo(library.root / f"changing/{number:03}.jpg", 1000 + number)
    config = library.settings.config_file
    text = config.read_text().replace("shard_capacity = 10", "shard_capacity = 60")
    config.write_text(text.replace("checkpoint_images = 4", f"checkpoint_images = {CHECKPOINT}"))
    library.engine.dispose()
    for path in library.settings.home.glob("catalog.db*"):
        path.unlink()
    return Library(load_settings(config), library.engine)


@pytest.fixture
def workers(large_library: Library, tmp_path: Path, worker_nursery: subprocess.Popen[str]) -> Workers:
    """Workers over `large_library`."""
    return Workers(large_library.settings, large_library.engine, tmp_path / "log", worker_nursery)
