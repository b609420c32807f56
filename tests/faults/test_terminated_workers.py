"""A worker that is asked to end does so after a checkpoint, and its job says so."""

import signal

import pytest

from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.lineage import JobKind
from tests.faults.conftest import CHECKPOINT
from tests.library import Library
from workloads.killing.workers import Workers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("kind", "word"), [(JobKind.REGISTER, "read"), (JobKind.EMBED, "encoded")])
def test_a_signal_ends_the_work_at_a_checkpoint(
    workers: Workers, large_library: Library, number: signal.Signals, kind: JobKind, word: str
) -> None:
    pid = workers.start()
    assert workers.wait_until(pid, lambda: bool(workers.of(word)))
    assert workers.end(pid, number) == 1
    job = large_library.jobs(kind)[-1]
    assert job.state == JobState.INTERRUPTED
    assert job.error == f"stopped at a checkpoint, {job.done:,} of {job.total:,} images"
    assert job.done % CHECKPOINT == 0
    assert 0 < job.done < job.total
    if kind == JobKind.EMBED:
        assert len(workers.committed()) == len(workers.of("embedded")) == job.done
    else:
        settled = {ImageState.REGISTERED, ImageState.FAILED}
        assert sum(state in settled for state in large_library.states().values()) == job.done
    workers.start()
    assert workers.wait() == 0
    assert large_library.live().missing == 0
    resumed = next(later for later in large_library.jobs(kind) if later.id > job.id)
    assert (resumed.state, resumed.done, resumed.total) == (JobState.SUCCEEDED, job.total, job.total)
    assert len(workers.of("embedded")) == len(set(workers.of("embedded"))) == len(workers.committed())
