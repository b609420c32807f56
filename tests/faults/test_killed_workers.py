"""A worker that is killed again and again loses nothing, doubles nothing, and repeats one checkpoint at most."""

import os
import random
import signal
import time
from collections import Counter

import numpy as np
from sqlalchemy import select

from catalog.models import ImageState, JobKind, JobState, ShardFile
from pipeline.registering import LOOK_AHEAD_PER_THREAD
from resources.images import content_hash
from tests.faults.conftest import Workers
from tests.library import Library, draw_photo, touch

KILLS = 20
CHECKPOINT = 10
READ_AHEAD = LOOK_AHEAD_PER_THREAD * (os.cpu_count() or 1)


def assert_complete(library: Library) -> None:
    """Every readable image has exactly one live embedding of its present content; no file is missing or stray."""
    images = library.images()
    for path, row in images.items():
        data = (library.root / path).read_bytes()
        assert row.state == (ImageState.FAILED if path == "2023/torn.jpg" else ImageState.REGISTERED)
        assert row.content_hash == (content_hash(data) if row.state == ImageState.REGISTERED else None)
    first_of: dict[str, int] = {}
    for row in sorted(images.values(), key=lambda row: row.id):
        if row.content_hash is not None:
            assert row.duplicate_of_id == first_of.setdefault(row.content_hash, row.id) or (
                row.duplicate_of_id is None and first_of[row.content_hash] == row.id
            )
    live = library.live()
    assert live.rows["image_id"].to_pylist() == sorted(first_of.values())
    assert live.missing == 0
    vectors = np.array(live.vectors()["vector"].to_pylist(), np.float32)
    assert len(vectors) == len(first_of)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)


def assert_no_stray_files(workers: Workers) -> None:
    """The files under the home directory are those of the commit records."""
    home = workers.library.settings.home
    with workers.library.engine.connect() as connection:
        recorded = sorted(connection.execute(select(ShardFile.path)).scalars())
    found = [
        path for folder in ("previews", "embeddings") for path in (home / folder).rglob("*") if path.is_file()
    ]
    assert sorted(str(path.relative_to(home)) for path in found) == recorded


def life(workers: Workers, rng: random.Random) -> bool:
    """One worker, killed at a random moment; whether it came to its end before that."""
    before, settled = Counter(workers.committed()), workers.settled()
    lines, logged = (
        len(workers.lines()),
        {word: len(workers.of(word)) for word in ("read", "encoded", "embedded")},
    )
    pid = workers.start()
    until = lines + rng.choice([0, rng.randrange(1, 60)])
    reached = workers.wait_until(pid, lambda: len(workers.lines()) >= until)
    time.sleep(rng.uniform(0, 0.04))
    status = workers.end(pid, signal.SIGKILL) if reached else workers.wait()
    assert status in {0, -signal.SIGKILL}
    after = Counter(workers.committed())
    assert after >= before
    assert set(after.values()) <= {1}
    computed = workers.of("embedded")[logged["embedded"] :]
    assert set(computed).isdisjoint(before), "what was committed was computed again"
    encoded = sum(map(int, workers.of("encoded")[logged["encoded"] :]))
    assert encoded - (after - before).total() <= CHECKPOINT
    assert len(workers.of("read")) - logged["read"] - (workers.settled() - settled) <= CHECKPOINT + READ_AHEAD
    return status == 0


def change_some(library: Library, rng: random.Random) -> None:
    for number in rng.sample(range(200), 30):
        draw_photo(library.root / f"2025/{number:03}.jpg", rng.randrange(10_000, 10**9))
        touch(library.root / f"2025/{number:03}.jpg")


def test_twenty_kills_at_random_moments(workers: Workers) -> None:
    rng = random.Random(20)
    kills = completed = 0
    while kills < KILLS:
        if life(workers, rng):
            completed += 1
            assert_complete(workers.library)
            change_some(workers.library, rng)
        else:
            kills += 1
    workers.start()
    assert workers.wait() == 0
    assert_complete(workers.library)
    assert_no_stray_files(workers)
    computed, committed = Counter(workers.of("embedded")), workers.committed()
    assert set(Counter(committed).values()) == {1}
    assert computed.total() - len(committed) <= KILLS * CHECKPOINT
    states = Counter(
        job.state
        for kind in (JobKind.SCAN, JobKind.REGISTER, JobKind.EMBED)
        for job in workers.library.jobs(kind)
    )
    assert states[JobState.RUNNING] == states[JobState.FAILED] == 0
    assert states[JobState.INTERRUPTED] > KILLS // 4


def test_a_worker_that_is_killed_while_it_migrates_leaves_nothing_half_done(workers: Workers) -> None:
    for milliseconds in range(0, 400, 80):
        pid = workers.start()
        time.sleep(milliseconds / 1000)
        assert workers.end(pid, signal.SIGKILL) in {0, -signal.SIGKILL}
    workers.start()
    assert workers.wait() == 0
    assert_complete(workers.library)
