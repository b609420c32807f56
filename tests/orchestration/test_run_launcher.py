"""What the launcher knows of a run's process, and what is in the process that runs are forked from."""

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.launcher.base import WorkerStatus

from assets.orchestration.dead_runs import PROCESS_TAG, fail_dead_runs, process_tag
from assets.orchestration.run_launcher import PRELOADED, ForkingRunLauncher
from photolineage.catalog.leases import started_after_boot
from tests.lineage import Lineage
from workloads import REPOSITORY_ROOT


@pytest.fixture
def launcher(new_lineage: Lineage) -> ForkingRunLauncher:
    """The launcher of the deployment."""
    launcher = new_lineage.instance.run_launcher
    assert isinstance(launcher, ForkingRunLauncher)
    return launcher


RUN_ID = "7c3fbb1e-8f6c-4d8a-9d3b-1a2b3c4d5e6f"


def a_run(tags: dict[str, str]) -> DagsterRun:
    return DagsterRun(job_name="materialize_vector_index", run_id=RUN_ID, tags=tags)


@pytest.fixture
def dead_process() -> dict[str, str]:
    """The tag of a process that has ended."""
    code = f"from assets.orchestration.dead_runs import process_tag; print(process_tag({RUN_ID!r})[{PROCESS_TAG!r}])"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True
    )
    return {PROCESS_TAG: ended.stdout.strip()}


def test_a_run_lives_as_long_as_its_process(
    launcher: ForkingRunLauncher, dead_process: dict[str, str]
) -> None:
    alive = launcher.check_run_worker_health(a_run(process_tag(RUN_ID)))
    assert alive.status == WorkerStatus.RUNNING
    dead = launcher.check_run_worker_health(a_run(dead_process))
    assert dead.status == WorkerStatus.FAILED
    assert dead.msg == "The process of this run is gone (power cut, kill or reboot)."


def test_a_run_lives_on_when_the_clock_is_set(
    launcher: ForkingRunLauncher, set_clock: Callable[[float], None]
) -> None:
    """A machine without a clock of its own starts in 1970, and learns the time of the network after its runs."""
    run = a_run(process_tag(RUN_ID))
    set_clock(3600.0)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING


def test_another_process_with_the_same_id_is_not_the_run_s(launcher: ForkingRunLauncher) -> None:
    process = psutil.Process()
    tag = f"{RUN_ID}/{socket.gethostname()}/{process.pid}/{started_after_boot(process) - 60:.2f}"
    assert launcher.check_run_worker_health(a_run({PROCESS_TAG: tag})).status == WorkerStatus.FAILED


@pytest.mark.parametrize(
    "tags", [{}, {PROCESS_TAG: f"{RUN_ID}/another-machine/1/0"}, process_tag("the-run-that-it-retries")]
)
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
        run_id=RUN_ID,
        tags={PROCESS_TAG: f"{RUN_ID}/another-machine/1/0"},
    )
    assert launcher.terminate(run.run_id) is False
    said = [event.user_message or event.message for event in instance.all_logs(run.run_id)]
    assert "The process of this run is not here (any more)." in said


@pytest.mark.parametrize(
    ("asked", "ended", "said"),
    [
        (DagsterRunStatus.STARTED, DagsterRunStatus.FAILURE, 1),
        (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED, 0),
    ],
)
def test_a_dead_run_has_failed_unless_it_was_asked_to_end(
    new_lineage: Lineage,
    dead_process: dict[str, str],
    asked: DagsterRunStatus,
    ended: DagsterRunStatus,
    said: int,
) -> None:
    instance = new_lineage.instance
    job = new_lineage.definitions.resolve_job_def("materialize_catalog_schema")
    run = instance.create_run_for_job(job, run_id=RUN_ID, tags=dead_process, status=asked)
    assert len(fail_dead_runs(instance, server_running=True)) == said
    after = instance.get_run_by_id(run.run_id)
    assert after is not None
    assert after.status == ended


def test_packages_are_preloaded_and_nothing_of_this_project_or_heavy() -> None:
    """A run imports the project anew, so that what was reloaded holds for the next run."""
    code = f"import sys; [__import__(name) for name in {PRELOADED}]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(loaded.stdout.split())
    assert modules & {"assets", "catalog", "pipeline", "resources", "schema_checks"} == set()
    assert modules & {"torch", "open_clip", "onnxruntime", "lancedb", "duckdb"} == set()
    assert all(importlib.util.find_spec(name) for name in PRELOADED)
