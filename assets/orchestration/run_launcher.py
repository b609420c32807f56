"""The run launcher: it starts each run as a process of its own, with Dagster's command line for that run.

Dagster's default launcher cannot check whether a run is still alive after its code server has exited. This launcher
names the process in a tag of the run. With each run, the launcher starts the process of the next one,
which then need not wait for the imports.
"""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from dagster import DagsterRun, DefaultRunLauncher

from assets.orchestration.dead_runs import GONE, is_alive, process_of, process_tag, report_dead
from resources.dagster_internals import (
    CheckRunHealthResult,
    ExecuteRunArgs,
    LaunchRunContext,
    WorkerStatus,
)

DAGSTER = [sys.executable, "-P", "-m", "dagster"]
"""Dagster's own launcher would use the `dagster` on the PATH, which may belong to another environment."""
STANDBY = [sys.executable, "-P", str(Path(__file__).with_name("standby.py"))]


class ProcessRunLauncher(DefaultRunLauncher):
    """Starts runs on this machine; `run_launcher` in `dagster.yaml` names it.

    A run outlives the daemon that started it. When its process dies, the daemon marks the run as failed at once; if
    the daemon was not running then, Dagster's run monitoring does it later.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._lock = threading.Lock()
        self._standby: subprocess.Popen[bytes] | None = None

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the process of the run."""
        run = context.dagster_run
        origin = run.job_code_origin
        if origin is None:
            raise ValueError(f"Run {run.run_id} has no code origin, so it cannot be launched.")
        repository = origin.repository_origin._replace(entry_point=DAGSTER)
        origin = origin._replace(repository_origin=repository)
        command = ExecuteRunArgs(origin, run.run_id, self._instance.get_ref()).get_command_args()
        process = self._start(command[len(DAGSTER) :])
        self._instance.add_run_tags(run.run_id, process_tag(run.run_id, process.pid))
        threading.Thread(target=self._watch, args=(process, run.run_id), daemon=True).start()

    def _start(self, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        """The process that is ready, or a new one, with these arguments for Dagster's command line."""
        with self._lock:
            process = self._standby
            if process is None or process.poll() is not None:
                process = _start_standby()
            assert process.stdin is not None
            with process.stdin:
                process.stdin.write(json.dumps(arguments).encode() + b"\n")
            self._standby = _start_standby()
        return process

    def terminate(self, run_id: str) -> bool:
        """Ask the run to stop at its next checkpoint. False if it has ended or its process is not on this machine."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        process = process_of(run)
        if process is None:
            self._instance.report_engine_event(
                "The process of this run has ended, or it is on another machine.", run
            )
            return False
        try:
            process.send_signal(signal.SIGINT)
        except psutil.NoSuchProcess:
            return False
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process of the run is alive. A run without the tag counts as alive: something else started it."""
        if is_alive(run, unnamed=True):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, GONE)

    def _watch(self, process: subprocess.Popen[bytes], run_id: str) -> None:
        """Wait until the process exits, and mark the run as failed if it did not report its end."""
        exit_code = process.wait()
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            report_dead(self._instance, run, f"The process of this run {_end_of(exit_code)}.")


def _start_standby() -> "subprocess.Popen[bytes]":
    """Starts a process that waits for a run.

    It has a session of its own, so that Ctrl-C in the terminal of the UI does not stop the run.
    """
    return subprocess.Popen(STANDBY, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603


def _end_of(exit_code: int) -> str:
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"exited with code {exit_code} without reporting an error"
