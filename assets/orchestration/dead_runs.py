"""Dead runs: Dagster shows them as running, but their process is gone.

For example after a power cut: they would stay STARTED and block the queue forever. Every run, from the UI or from the
command line, names its process in a tag.
"""

import socket

import psutil
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from photolineage.catalog.leases import process_is_gone, started_after_boot

PROCESS_TAG = ".dagster/photolineage-process"
"""The UI does not show tags that begin with `.dagster/`."""
IN_PROGRESS = (DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)
GONE = "The process of this run is gone (power cut, kill or reboot)."


def process_tag(run_id: str, pid: int | None = None) -> dict[str, str]:
    """The tag that names the process of a run: this process, or the one with the pid.

    A retry inherits the tags of the first run. The tag contains the run's id, so the retry ignores an inherited tag.
    """
    process = psutil.Process(pid)
    return {PROCESS_TAG: f"{run_id}/{socket.gethostname()}/{process.pid}/{started_after_boot(process):.2f}"}


def process_of(run: DagsterRun) -> psutil.Process | None:
    """The process of a run, if it is alive and on this machine."""
    named = _named_process(run)
    if named is None or named[0] != socket.gethostname() or process_is_gone(*named):
        return None
    try:
        return psutil.Process(named[1])
    except psutil.NoSuchProcess:
        return None


def is_alive(run: DagsterRun, *, unnamed: bool) -> bool:
    """Whether the process of a run is alive; always true on another machine. `unnamed`: the answer without a tag."""
    named = _named_process(run)
    return unnamed if named is None else not process_is_gone(*named)


def _named_process(run: DagsterRun) -> tuple[str, int, float] | None:
    tag = run.tags.get(PROCESS_TAG)
    if tag is None:
        return None
    run_id, host, pid, started_at = tag.split("/")
    return (host, int(pid), float(started_at)) if run_id == run.run_id else None


def fail_dead_runs(instance: DagsterInstance, *, server_running: bool) -> list[str]:
    """Mark the runs whose process is gone as failed, so that they don't block the queue, and return their ids.

    A dead run that was being canceled is marked as canceled. A run without a process tag counts as alive if a server
    is running, which is about to start it. If retries are on, the daemon starts each failed run again; it continues at
    its last checkpoint.
    """
    dead = [
        run
        for run in instance.get_runs(RunsFilter(statuses=list(IN_PROGRESS)))
        if not is_alive(run, unnamed=server_running)
    ]
    return [run.run_id for run in dead if report_dead(instance, run, GONE)]


def report_dead(instance: DagsterInstance, run: DagsterRun, message: str) -> bool:
    """Mark a run whose process is gone as canceled if it was being canceled, else as failed. True if failed."""
    if run.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run)
        return False
    instance.report_run_failed(run, message)
    return True
