"""A real `photolineage ui` promotes a model; a real `dagster dev` of the same library warns and does not."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from photolineage.settings import CONFIG_VARIABLE
from resources.own_server import OWN_SERVER_VARIABLE
from tests.lineage import Lineage
from workloads import REPOSITORY_ROOT
from workloads.dagster_ui import DagsterUi, running_ui

JOB = "materialize_serving_model"
CONFIG = {"ops": {"serving_model": {"config": {"model": "tiny-a"}}}}


@contextmanager
def plain_dagster_dev(lineage: Lineage, dagster_home: str, log: Path) -> Iterator[DagsterUi]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {CONFIG_VARIABLE: str(lineage.config_file), "DAGSTER_HOME": dagster_home}
    environment.pop(OWN_SERVER_VARIABLE, None)
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-p", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY_ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    ui = DagsterUi(f"http://127.0.0.1:{port}", psutil.Process(process.pid))

    def answers() -> bool | None:
        try:
            return (
                "nodes"
                in ui.query("{repositoriesOrError{... on RepositoryConnection{nodes{name}}}}")[
                    "repositoriesOrError"
                ]
            )
        except OSError:
            return None

    try:
        ui.wait_for(answers, seconds=120, what="the code location")
        yield ui
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def test_the_guarded_ui_promotes(lineage: Lineage, tmp_path: Path) -> None:
    with running_ui(lineage.config_file, tmp_path / "log") as ui:
        assert ui.run_job(JOB, None, CONFIG, seconds=180) == "SUCCESS"
    assert "Any web page" not in (tmp_path / "log").read_text()


def test_a_plain_server_warns_and_promotes_nothing(lineage: Lineage, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with plain_dagster_dev(lineage, str(own), tmp_path / "log") as ui:
        assert ui.run_job(JOB, None, CONFIG, seconds=180) == "FAILURE"
    assert "Any web page that your browser shows can start runs" in (tmp_path / "log").read_text()


def test_a_plain_server_cannot_queue_it_for_the_library_s_ui(lineage: Lineage, tmp_path: Path) -> None:
    with plain_dagster_dev(lineage, str(lineage.home / "dagster"), tmp_path / "log") as ui:
        assert ui.run_job(JOB, None, CONFIG, seconds=180) == "FAILURE"
