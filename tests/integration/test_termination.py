"""A run that is terminated in the UI ends at a checkpoint, and says so; the next one goes on from there."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Row

from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from tests.lineage import Lineage, registered_shard
from workloads.dagster_ui import REPOSITORY, DagsterUi, running_ui

PHOTOS = 1200
CHECKPOINT = 4
PARTITION = {"model": "tiny-a", "shard": "photos-00000"}
LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}"""
TERMINATE = """
mutation($run: String!) {
  terminateRun(runId: $run, terminatePolicy: SAFE_TERMINATE) { __typename ... on PythonError { message } }
}"""


@pytest.fixture
def registered(tmp_path: Path, tiny_models: Mapping[str, Path]) -> Iterator[Lineage]:
    """A library of one shard of 1,200 photos, registered and not embedded."""
    with registered_shard(tmp_path, tiny_models["tiny-a"], PHOTOS) as lineage:
        yield lineage


def launch(ui: DagsterUi) -> str:
    """The id of a run of the one partition, as the UI launches it."""
    tags = {"dagster/partition": "|".join(PARTITION.values())}
    tags |= {f"dagster/partition/{dimension}": key for dimension, key in PARTITION.items()}
    params = {
        "selector": REPOSITORY | {"jobName": "materialize_image_embeddings"},
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
    }
    launched = ui.query(LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return str(launched["run"]["runId"])


def status_of(ui: DagsterUi, run_id: str) -> str:
    (run,) = [run for run in ui.runs() if run.run_id == run_id]
    return run.status


def end_of(ui: DagsterUi, run_id: str) -> str | None:
    status = status_of(ui, run_id)
    return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else None


def terminate(ui: DagsterUi, run_id: str, process: psutil.Process) -> None:
    """Terminate a run as the UI does. Its process stands still until it is asked, or it might be done by then.

    Dagster's answer waits until the process has heard.
    """
    process.suspend()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ui.query, TERMINATE, run=run_id)
        try:
            ui.wait_for(lambda: status_of(ui, run_id) == "CANCELING" or None, seconds=120, what="the request")
        finally:
            process.resume()
        terminated = answer.result()["terminateRun"]
    assert terminated["__typename"] == "TerminateRunSuccess", terminated


def begun(lineage: Lineage) -> Row[Any] | None:
    """The job, as soon as it has committed something."""
    jobs = lineage.library.jobs(JobKind.EMBED)
    return jobs[-1] if jobs and jobs[-1].done else None


def test_terminating_a_run_in_the_ui(registered: Lineage, tmp_path: Path) -> None:
    with running_ui(registered.config_file, tmp_path / "ui.log") as ui:
        run_id = launch(ui)
        running = ui.wait_for(lambda: begun(registered), seconds=240, what="the first checkpoint", every=0.02)
        terminate(ui, run_id, psutil.Process(running.pid))
        assert ui.wait_for(lambda: end_of(ui, run_id), seconds=120, what="the end") == "CANCELED"
        (job,) = registered.library.jobs(JobKind.EMBED)
        again = launch(ui)
        assert ui.wait_for(lambda: end_of(ui, again), seconds=240, what="the second run") == "SUCCESS"

    assert job.run_id == run_id
    assert job.state == JobState.INTERRUPTED
    assert job.error == f"stopped at a checkpoint, {job.done:,} of {PHOTOS:,} images"
    assert 0 < job.done < PHOTOS
    assert job.done % CHECKPOINT == 0
    resumed = registered.library.jobs(JobKind.EMBED)[-1]
    assert (resumed.run_id, resumed.state) == (again, JobState.SUCCEEDED)
    assert (resumed.resumed, resumed.done, resumed.total) == (job.done, PHOTOS, PHOTOS)
    assert registered.library.live().missing == 0
