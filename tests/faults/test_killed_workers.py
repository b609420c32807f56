"""A worker that is killed again and again loses nothing, doubles nothing, and repeats one checkpoint at most."""

import os
import random
import signal
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import select

from photolineage.catalog.orm import ShardFile
from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.lineage import JobKind
from photolineage.media import content_hash
from photolineage.steps.register import LOOK_AHEAD_PER_THREAD
from tests.faults.conftest import CHECKPOINT
from tests.library import Library
from workloads.killing.lives import KilledLibrary
from workloads.killing.steps import Death
from workloads.killing.workers import Workers

KILLS = 20
READ_AHEAD = LOOK_AHEAD_PER_THREAD * (os.cpu_count() or 1)


def assert_settled(library: Library) -> None:
    """Every readable image is registered with its present content; the copies point at the first of theirs."""
    first_of: dict[str, int] = {}
    for path, row in sorted(library.images().items(), key=lambda item: item[1].id):
        torn = path == "2023/torn.jpg"
        assert row.state == (ImageState.FAILED if torn else ImageState.REGISTERED)
        assert row.content_hash == (None if torn else content_hash((library.root / path).read_bytes()))
        if not torn:
            first = first_of.setdefault(row.content_hash, row.id)
            assert row.duplicate_of_id == (None if first == row.id else first)


def assert_no_stray_files(library: Library) -> None:
    """The files under the home directory are those of the commit records."""
    home = library.settings.home
    with library.engine.connect() as connection:
        recorded = sorted(connection.execute(select(ShardFile.path)).scalars())
    found = [
        path for folder in ("previews", "embeddings") for path in (home / folder).rglob("*") if path.is_file()
    ]
    assert sorted(str(path.relative_to(home)) for path in found) == recorded


def test_twenty_kills_at_random_moments(workers: Workers, large_library: Library) -> None:
    report = KilledLibrary(replace(workers, verifies=True), random.Random(20)).kill(KILLS)

    assert (report.kills, report.lost, report.duplicates, report.unreadable) == (KILLS, 0, 0, 1)
    assert (report.misread, report.unverified) == (0, 0)
    assert report.reverified_max <= CHECKPOINT
    assert report.recomputed_max <= CHECKPOINT
    assert report.reread_max <= CHECKPOINT + READ_AHEAD
    assert report.died_at.total() == KILLS
    assert_settled(large_library)
    assert_no_stray_files(large_library)
    computed, committed = Counter(workers.of("embedded")), workers.committed()
    assert set(Counter(committed).values()) == {1}
    assert computed.total() - len(committed) <= KILLS * CHECKPOINT
    states = Counter(job.state for kind in JobKind for job in large_library.jobs(kind))
    assert states[JobState.RUNNING] == states[JobState.FAILED] == 0
    assert states[JobState.INTERRUPTED] > 0


@pytest.mark.parametrize("count", [8, 20])
def test_a_worker_that_is_killed_while_it_migrates_leaves_nothing_half_done(
    workers: Workers, large_library: Library, count: int
) -> None:
    workers.start(Death("migrating", count))
    assert workers.wait() == -signal.SIGKILL
    workers.start()
    assert workers.wait() == 0
    assert_settled(large_library)
    assert large_library.live().missing == 0


@pytest.mark.parametrize("step", ["committing", "committed"])
def test_a_worker_that_is_killed_while_it_scans_finds_each_file_once(
    workers: Workers, large_library: Library, step: str
) -> None:
    workers.start(Death(step, 1))
    assert workers.wait() == -signal.SIGKILL
    assert len(large_library.images()) == (0 if step == "committing" else 228)
    workers.start()
    assert workers.wait() == 0
    assert_settled(large_library)
    scans = [job.state for job in large_library.jobs(JobKind.SCAN)]
    assert scans == [JobState.INTERRUPTED, JobState.SUCCEEDED]


@pytest.mark.parametrize(("step", "count"), [("indexed", 1), ("indexing", 3)])
def test_a_worker_that_is_killed_between_two_steps_of_the_index_leaves_one_row_an_image(
    workers: Workers, large_library: Library, step: str, count: int
) -> None:
    workers.start(Death(step, count))
    assert workers.wait() == -signal.SIGKILL
    computed = len(workers.of("embedded"))
    workers.start()
    assert workers.wait() == 0
    index = large_library.indexes.open("tiny-a", 16)
    assert sorted(index.live_rows()["image_id"].to_pylist()) == (
        large_library.live().rows["image_id"].to_pylist()
    )
    assert index.row_count() == 226
    assert len(workers.of("embedded")) == computed
