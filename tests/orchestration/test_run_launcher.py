"""What the run launcher starts, and what it knows of a run's process."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from dagster import DagsterRun, DagsterRunStatus

from assets.orchestration.dead_runs import PROCESS_TAG, fail_dead_runs, process_of, process_tag
from assets.orchestration.run_launcher import STANDBY, ProcessRunLauncher
from photolineage.catalog.leases import started_after_boot
from photolineage.settings import CONFIG_VARIABLE
from resources.dagster_internals import LaunchRunContext, WorkerStatus
from tests.dagster_internals import ReconstructableRepository
from tests.lineage import Lineage
from workloads import REPOSITORY_ROOT


@pytest.fixture
def launcher(new_lineage: Lineage) -> ProcessRunLauncher:
    """The launcher of the deployment."""
    launcher = new_lineage.instance.run_launcher
    assert isinstance(launcher, ProcessRunLauncher)
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
    launcher: ProcessRunLauncher, dead_process: dict[str, str]
) -> None:
    alive = launcher.check_run_worker_health(a_run(process_tag(RUN_ID)))
    assert alive.status == WorkerStatus.RUNNING
    dead = launcher.check_run_worker_health(a_run(dead_process))
    assert dead.status == WorkerStatus.FAILED
    assert dead.msg == "The process of this run is gone (power cut, kill or reboot)."


def test_a_run_lives_on_when_the_clock_is_set(
    launcher: ProcessRunLauncher, set_clock: Callable[[float], None]
) -> None:
    """A machine without a clock of its own starts in 1970, and learns the time of the network after its runs."""
    run = a_run(process_tag(RUN_ID))
    set_clock(3600.0)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING


def test_another_process_with_the_same_id_is_not_the_run_s(launcher: ProcessRunLauncher) -> None:
    process = psutil.Process()
    tag = f"{RUN_ID}/{socket.gethostname()}/{process.pid}/{started_after_boot(process) - 60:.2f}"
    assert launcher.check_run_worker_health(a_run({PROCESS_TAG: tag})).status == WorkerStatus.FAILED


@pytest.mark.parametrize(
    "tags", [{}, {PROCESS_TAG: f"{RUN_ID}/another-machine/1/0"}, process_tag("the-run-that-it-retries")]
)
def test_what_others_have_begun_is_theirs(launcher: ProcessRunLauncher, tags: dict[str, str]) -> None:
    assert launcher.check_run_worker_health(a_run(tags)).status == WorkerStatus.RUNNING


def test_a_run_that_has_ended_cannot_be_terminated(
    launcher: ProcessRunLauncher, new_lineage: Lineage
) -> None:
    assert launcher.terminate("unknown") is False
    ended = new_lineage.materialize("catalog_schema")
    assert launcher.terminate(ended.run_id) is False


def test_a_run_of_another_machine_is_told_and_left_alone(
    launcher: ProcessRunLauncher, new_lineage: Lineage
) -> None:
    instance = new_lineage.instance
    run = instance.create_run_for_job(
        new_lineage.definitions.resolve_job_def("materialize_catalog_schema"),
        run_id=RUN_ID,
        tags={PROCESS_TAG: f"{RUN_ID}/another-machine/1/0"},
    )
    assert launcher.terminate(run.run_id) is False
    assert "The process of this run has ended, or it is on another machine." in messages_of(new_lineage, run)


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


@pytest.fixture
def launch(new_lineage: Lineage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], DagsterRun]:
    """Launches a run of `catalog_schema` as the daemon does.

    No `dagster` is on the PATH, and the working directory has a `sqlalchemy` that does not load.
    """
    trap = tmp_path / "trap" / "sqlalchemy"
    trap.mkdir(parents=True)
    (trap / "__init__.py").write_text("raise RuntimeError('the working directory was imported')")
    monkeypatch.chdir(trap.parent)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv(CONFIG_VARIABLE, str(new_lineage.config_file))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY_ROOT), str(REPOSITORY_ROOT / "src")]))
    instance = new_lineage.instance
    job = new_lineage.definitions.resolve_job_def("materialize_catalog_schema")

    def launch() -> DagsterRun:
        repository = ReconstructableRepository.for_module("definitions", "defs", str(REPOSITORY_ROOT))
        origin = repository.get_reconstructable_job(job.name).get_python_origin()
        run = instance.create_run_for_job(job, job_code_origin=origin, status=DagsterRunStatus.STARTING)
        instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
        return current(new_lineage, run)

    return launch


def current(lineage: Lineage, run: DagsterRun) -> DagsterRun:
    """The run as the instance knows it now."""
    found = lineage.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def end_of(lineage: Lineage, run: DagsterRun) -> DagsterRunStatus:
    deadline = time.monotonic() + 120
    while not (now := current(lineage, run)).is_finished:
        assert time.monotonic() < deadline, f"the run is still {now.status}"
        time.sleep(0.05)
    return now.status


def messages_of(lineage: Lineage, run: DagsterRun) -> list[str]:
    return [event.user_message or event.message for event in lineage.instance.all_logs(run.run_id)]


def test_a_run_succeeds_in_a_process_and_a_session_of_its_own(
    launch: Callable[[], DagsterRun], new_lineage: Lineage
) -> None:
    run = launch()
    process = process_of(run)
    assert process is not None
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    assert end_of(new_lineage, run) == DagsterRunStatus.SUCCESS
    assert f"Started process for run (pid: {process.pid})." in messages_of(new_lineage, run)


def test_the_next_run_has_the_process_that_was_prepared_for_it(
    launch: Callable[[], DagsterRun], new_lineage: Lineage
) -> None:
    (first, _) = launch(), launch()
    prepared = {
        process.pid for process in psutil.Process().children() if "standby.py" in process.cmdline()[-1]
    }
    third = process_of(launch())
    assert third is not None
    assert third.pid in prepared
    assert end_of(new_lineage, first) == DagsterRunStatus.SUCCESS


def test_a_process_that_was_prepared_ends_with_the_launcher() -> None:
    process = subprocess.Popen(STANDBY, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


def test_a_prepared_process_that_was_killed_is_replaced(
    launch: Callable[[], DagsterRun], new_lineage: Lineage
) -> None:
    launch()
    for process in psutil.Process().children():
        if "standby.py" in process.cmdline()[-1]:
            process.kill()
            process.wait(60)
    assert end_of(new_lineage, launch()) == DagsterRunStatus.SUCCESS


def test_a_killed_run_has_failed_at_once_and_tells_the_signal(
    launch: Callable[[], DagsterRun], new_lineage: Lineage
) -> None:
    run = launch()
    process = process_of(run)
    assert process is not None
    process.kill()
    assert end_of(new_lineage, run) == DagsterRunStatus.FAILURE
    assert "The process of this run was ended by SIGKILL." in messages_of(new_lineage, run)


def test_a_run_that_is_terminated_before_it_begins_is_canceled(
    launch: Callable[[], DagsterRun], launcher: ProcessRunLauncher, new_lineage: Lineage
) -> None:
    run = launch()
    assert launcher.terminate(run.run_id) is True
    assert end_of(new_lineage, run) == DagsterRunStatus.CANCELED


def test_a_run_whose_process_exits_has_failed_and_tells_the_exit_code(
    launch: Callable[[], DagsterRun],
    new_lineage: Lineage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os._exit(3)")  # Python imports it at its start
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = launch()
    assert end_of(new_lineage, run) == DagsterRunStatus.FAILURE
    assert "The process of this run exited with code 3 without reporting an error." in messages_of(
        new_lineage, run
    )
