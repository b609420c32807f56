"""What the launcher knows of a run's process, and what is in the process that runs are forked from."""

import importlib.util
import socket
import subprocess
import sys

import psutil
import pytest
from dagster import DagsterRun
from dagster._core.launcher.base import WorkerStatus

from assets.dead_runs import PROCESS_TAG, process_tag
from assets.run_launcher import PRELOADED, ForkingRunLauncher
from tests.lineage import Lineage


@pytest.fixture
def launcher(new_lineage: Lineage) -> ForkingRunLauncher:
    """The launcher of the deployment."""
    launcher = new_lineage.instance.run_launcher
    assert isinstance(launcher, ForkingRunLauncher)
    return launcher


def a_run(tags: dict[str, str]) -> DagsterRun:
    return DagsterRun(job_name="materialize_vector_index", tags=tags)


@pytest.fixture
def dead_process() -> dict[str, str]:
    """The tag of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    tag = process_tag(psutil.Process(process.pid))
    process.communicate(b"\n")
    return tag


def test_a_run_lives_as_long_as_its_process(
    launcher: ForkingRunLauncher, dead_process: dict[str, str]
) -> None:
    alive = launcher.check_run_worker_health(a_run(process_tag(psutil.Process())))
    assert alive.status == WorkerStatus.RUNNING
    dead = launcher.check_run_worker_health(a_run(dead_process))
    assert dead.status == WorkerStatus.FAILED
    assert dead.msg == "its process is gone (power cut, kill or reboot)"


def test_another_process_with_the_same_id_is_not_the_run_s(launcher: ForkingRunLauncher) -> None:
    process = psutil.Process()
    tag = f"{socket.gethostname()}/{process.pid}/{process.create_time() - 60:.0f}"
    assert launcher.check_run_worker_health(a_run({PROCESS_TAG: tag})).status == WorkerStatus.FAILED


@pytest.mark.parametrize("tags", [{}, {PROCESS_TAG: "another-machine/1/0"}])
def test_what_others_have_begun_is_theirs(launcher: ForkingRunLauncher, tags: dict[str, str]) -> None:
    assert launcher.check_run_worker_health(a_run(tags)).status == WorkerStatus.RUNNING


def test_a_run_that_has_ended_cannot_be_terminated(
    launcher: ForkingRunLauncher, new_lineage: Lineage
) -> None:
    assert launcher.terminate("unknown") is False
    ended = new_lineage.materialize("catalog_schema")
    assert launcher.terminate(ended.run_id) is False


def test_a_run_of_another_machine_is_told_and_left_alone(
    launcher: ForkingRunLauncher, new_lineage: Lineage
) -> None:
    instance = new_lineage.instance
    run = instance.create_run_for_job(
        new_lineage.definitions.resolve_job_def("materialize_catalog_schema"),
        tags={PROCESS_TAG: "another-machine/1/0"},
    )
    assert launcher.terminate(run.run_id) is False
    said = [event.user_message or event.message for event in instance.all_logs(run.run_id)]
    assert "The process of this run is not on this machine." in said


def test_packages_are_preloaded_and_nothing_of_this_project_or_heavy() -> None:
    """A run imports the project anew, so that what was reloaded holds for the next run."""
    code = f"import sys; [__import__(name) for name in {PRELOADED}]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(loaded.stdout.split())
    assert modules & {"assets", "catalog", "pipeline", "resources", "schema_checks"} == set()
    assert modules & {"torch", "open_clip", "onnxruntime", "lancedb", "duckdb"} == set()
    assert all(importlib.util.find_spec(name) for name in PRELOADED)
