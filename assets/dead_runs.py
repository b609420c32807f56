"""Runs that Dagster believes to be alive and whose process is gone.

After a power cut Dagster's default launcher leaves every run STARTED for ever, and the queue blocked behind it:
it has no way to ask whether the process still lives. This module knows: a run that was launched through the UI
lives below its server, of which there is at most one a home directory (`exclusive_server`), and a run of the
command line names its process in a tag.
"""

import fcntl
import os
import socket
from pathlib import Path

import psutil
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

PROCESS_TAG = "photolineage/process"
IN_PROGRESS = (DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)
SERVER_LOCK = "server.lock"


class ServerRunningError(Exception):
    """Another UI serves the same home directory; the message says how to end it."""


def process_tag() -> dict[str, str]:
    """The tag by which a run of the command line names its process."""
    process = psutil.Process()
    return {PROCESS_TAG: f"{socket.gethostname()}/{process.pid}/{process.create_time():.0f}"}


def lock_server(dagster_home: Path) -> None:
    """Be the one UI of this home until the process, and what it becomes by `exec`, ends.

    Raises ServerRunningError where another one is.
    """
    descriptor = os.open(dagster_home / SERVER_LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 32).decode().strip()
        os.close(descriptor)
        raise ServerRunningError(
            f"{dagster_home}: a Dagster UI (process {holder or 'unknown'}) already serves this home. "
            "Use it, or end it first: two would launch every run twice."
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    os.set_inheritable(descriptor, True)


def server_is_running(dagster_home: Path) -> bool:
    """Whether a UI of this home is alive."""
    try:
        descriptor = os.open(dagster_home / SERVER_LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def fail_dead_runs(instance: DagsterInstance, *, server_running: bool) -> list[str]:
    """Mark the runs whose process is gone as failed, so that the queue goes on; their ids are returned.

    Where retries are on, the daemon starts each of them again, and it continues at its last checkpoint.
    """
    dead = [
        run
        for run in instance.get_runs(RunsFilter(statuses=list(IN_PROGRESS)))
        if not _is_alive(run, server_running=server_running)
    ]
    for run in dead:
        instance.report_run_failed(run, "The process of this run is gone (power cut, kill or reboot).")
    return [run.run_id for run in dead]


def _is_alive(run: DagsterRun, *, server_running: bool) -> bool:
    tag = run.tags.get(PROCESS_TAG)
    if tag is None:
        return server_running
    host, pid, started_at = tag.rsplit("/", 2)
    if host != socket.gethostname():
        return True
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(started_at)) <= 2
    except psutil.NoSuchProcess:
        return False
