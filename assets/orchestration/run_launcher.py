"""The run launcher: each run in a process of its own, forked from one that has imported Dagster already.

Dagster's default launcher begins each run in a new Python, whose imports are most of what an empty run costs; and once
its code server is gone, it cannot tell whether a run still lives. Here a run is found by its process.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

import psutil
from dagster import DagsterInstance, DagsterRun
from dagster._config.config_schema import UserConfigSchema
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClass, deserialize_value, serialize_value
from dagster._serdes.config_class import ConfigurableClassData

from assets.orchestration.dead_runs import GONE, is_alive, process_of, process_tag, report_dead

PRELOADED = (
    "PIL.Image", "alembic.command", "alembic.config", "antlr4", "blake3", "dagster", "dagster._cli.api", "filelock",
    "numpy", "pathspec", "pillow_heif", "psutil", "pyarrow", "pydantic_settings", "sqlalchemy",
    "sqlalchemy.dialects.sqlite", "stamina", "structlog", "upath", "watchdog.observers",
)  # fmt: skip
"""The packages of which an empty run takes more than a module or two. What this project is, each run imports anew, as
the code server does when it reloads."""


class ForkingRunLauncher(RunLauncher[DagsterInstance], ConfigurableClass):
    """Begins runs on this machine; `run_launcher` of `dagster.yaml` names it.

    A run outlives the daemon that began it. One whose process dies is marked as failed at once, and by Dagster's run
    monitoring where the daemon was not there to see it.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What `dagster.yaml` says."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """No settings."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> "ForkingRunLauncher":
        """The launcher of an instance."""
        del config_value
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Begin the run."""
        run_id = context.dagster_run.run_id
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(list(PRELOADED))
        process = forks.Process(target=_work, args=(run_id, serialize_value(self._instance.get_ref())))
        process.start()
        # The daemon ends without it: what runs for hours does not hold up the end of the UI.
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
        threading.Thread(target=self._watch, args=(process, run_id), daemon=True).start()

    def terminate(self, run_id: str) -> bool:
        """Ask the run to end; it does at its next checkpoint. False where there is nothing that could be asked."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        process = process_of(run)
        if process is None:
            self._instance.report_engine_event("The process of this run is not here (any more).", run)
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
        """Whether the process of the run is alive; a run that names none was begun by others, and is theirs."""
        if is_alive(run, unnamed=True):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, GONE)

    def _watch(self, process: multiprocessing.process.BaseProcess, run_id: str) -> None:
        """Mark the run as failed as soon as its process has ended without a word.

        A process of which nothing is heard any more, since the one it was forked from has died, may go on all the same.
        """
        process.join()
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished and not is_alive(run, unnamed=False):
            report_dead(self._instance, run, f"The process of this run {_end_of(process.exitcode)}.")


def _end_of(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code} and without a word"


def _work(run_id: str, serialized_instance: str) -> None:
    """What the process of a run does."""
    from dagster._cli.api import _execute_run_command_body
    from dagster._core.instance import InstanceRef
    from dagster._utils.interrupts import capture_interrupts

    os.setsid()  # Ctrl-C in the terminal of the UI ends the UI, and not the run
    reference = deserialize_value(serialized_instance, InstanceRef)
    with capture_interrupts(), DagsterInstance.from_ref(reference) as instance:
        instance.add_run_tags(run_id, process_tag(run_id))
        _execute_run_command_body(run_id, instance, lambda _event: None, set_exit_code_on_failure=False)
