"""The UI is ended while a run works: the run goes on to its own end."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from dagster import DagsterRunStatus

from catalog.models import JobKind, JobState
from tests.dagster_ui import running_ui
from tests.lineage import Lineage, registered_shard

PHOTOS = 600


@pytest.fixture
def registered(tmp_path: Path, tiny_models: Mapping[str, Path]) -> Iterator[Lineage]:
    """A library of one shard of 600 photos, registered and not embedded."""
    with registered_shard(tmp_path, tiny_models["tiny-a"], PHOTOS) as lineage:
        yield lineage


def end_before(ui: psutil.Process, worker: psutil.Process) -> None:
    """Wait for the UI to end, while the worker is held back, or it might be done before.

    It works for a tenth of the time: suspended for all of it, it might hold a lock on Dagster's database.
    """
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        worker.suspend()
        try:
            ui.wait(0.45)
        except psutil.TimeoutExpired:
            continue
        else:
            return
        finally:
            worker.resume()
            time.sleep(0.05)
    raise AssertionError("the UI has not ended in five minutes")


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_the_ui_ends_and_not_the_run(registered: Lineage, tmp_path: Path, ended_by: signal.Signals) -> None:
    def pid_of_begun() -> int | None:
        jobs = registered.library.jobs(JobKind.EMBED)
        return jobs[-1].pid if jobs and jobs[-1].done else None

    with running_ui(registered.config_file, tmp_path / "ui.log") as ui:
        ui.launch_backfill("image_embeddings", ["tiny-a|photos-00000"])
        pid = ui.wait_for(pid_of_begun, seconds=240, what="the first checkpoint", every=0.02)
        worker = psutil.Process(pid)
        os.killpg(ui.process.pid, ended_by)
        end_before(ui.process, worker)
    psutil.wait_procs([worker], timeout=120)

    (job,) = registered.library.jobs(JobKind.EMBED)
    assert (job.pid, job.state, job.done) == (pid, JobState.SUCCEEDED, PHOTOS)
    run = registered.instance.get_run_by_id(job.run_id)
    assert run is not None
    assert run.status == DagsterRunStatus.SUCCESS
