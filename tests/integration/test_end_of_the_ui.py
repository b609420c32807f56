"""The UI is ended while a run works: the run goes on to its own end."""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from dagster import DagsterRunStatus

from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from tests.lineage import Lineage, registered_shard
from workloads.dagster_ui import running_ui

PHOTOS = 600


@pytest.fixture
def registered(tmp_path: Path, tiny_models: Mapping[str, Path]) -> Iterator[Lineage]:
    """A library of one shard of 600 photos, registered and not embedded."""
    with registered_shard(tmp_path, tiny_models["tiny-a"], PHOTOS) as lineage:
        yield lineage


@pytest.fixture
def _as_in_the_background_of_a_script() -> Iterator[None]:
    """A shell lets what it puts there ignore Ctrl-C, and whatever that begins inherits it."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("_as_in_the_background_of_a_script")
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_the_ui_ends_and_not_the_run(registered: Lineage, tmp_path: Path, ended_by: signal.Signals) -> None:
    def pid_of_begun() -> int | None:
        jobs = registered.library.jobs(JobKind.EMBED)
        return jobs[-1].pid if jobs and jobs[-1].done else None

    with running_ui(registered.config_file, tmp_path / "ui.log") as ui:
        ui.launch_backfill("image_embeddings", ["tiny-a|photos-00000"])
        pid = ui.wait_for(pid_of_begun, seconds=240, what="the first checkpoint", every=0.02)
        worker = psutil.Process(pid)
        worker.suspend()  # or it might be done before the UI is
        try:
            os.killpg(ui.process.pid, ended_by)
            ui.process.wait(90)
        finally:
            worker.resume()
    psutil.wait_procs([worker], timeout=120)

    (job,) = registered.library.jobs(JobKind.EMBED)
    assert (job.pid, job.state, job.done) == (pid, JobState.SUCCEEDED, PHOTOS)
    run = registered.instance.get_run_by_id(job.run_id)
    assert run is not None
    assert run.status == DagsterRunStatus.SUCCESS
