"""Runs a real `photolineage ui` (web server, daemon and code server), and queries its GraphQL."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from photolineage.lineage import split_partition_key
from photolineage.settings import CONFIG_VARIABLE
from resources.own_server import OWN_SERVER_VARIABLE

Answer = TypeVar("Answer")

PHOTOLINEAGE = Path(sys.executable).with_name("photolineage")
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "photolineage"}

LAUNCH_RUN = """
mutation($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!], $config: RunConfigData) {
  launchPipelineExecution(executionParams: {
    selector: $selector, mode: "default", runConfigData: $config, executionMetadata: {tags: $tags}
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
RUN_STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def partition_tags(partition_key: str) -> dict[str, str]:
    """The tags of a run of one partition. A job of only a check needs them, because it has no partitioned asset."""
    tags = {"dagster/partition": partition_key}
    with suppress(ValueError):  # most partitions have one dimension
        model, shard = split_partition_key(partition_key)
        tags |= {"dagster/partition/model": model, "dagster/partition/shard": shard}
    return tags


LAUNCH = """
mutation($asset: String!, $keys: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: [{path: [$asset]}], partitionNames: $keys}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""
BACKFILL = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"""
RUNS = """{runsOrError(limit: 500) {... on Runs {results {
  runId status jobName assetSelection {path} tags {key value} creationTime
}}}}"""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the web server reports it."""

    run_id: str
    status: str
    job: str
    assets: tuple[str, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DagsterUi:
    """The address of a running web server, and its process."""

    url: str
    process: psutil.Process

    def query(self, query: str, **variables: Any) -> Any:
        """The data of a GraphQL answer. Raises AssertionError if it has errors."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        if answer.get("errors"):
            raise AssertionError(answer["errors"])
        return answer["data"]

    def runs(self) -> list[Run]:
        """Every run, newest first."""
        return [
            Run(
                run["runId"],
                run["status"],
                run["jobName"],
                tuple("/".join(key["path"]) for key in run["assetSelection"] or ()),
                {tag["key"]: tag["value"] for tag in run["tags"]},
            )
            for run in self.query(RUNS)["runsOrError"]["results"]
        ]

    def is_idle(self) -> bool:
        """Whether every run has ended."""
        return all(run.status in {"SUCCESS", "FAILURE", "CANCELED"} for run in self.runs())

    def wait_for_run(self, wanted: Callable[[Run], bool], *, seconds: float, what: str) -> Run:
        """Wait for a run that is `wanted`; return the newest one. Raises AssertionError after `seconds`."""
        return self.wait_for(
            lambda: next((run for run in self.runs() if wanted(run)), None), seconds=seconds, what=what
        )

    def launch_backfill(self, asset: str, partition_keys: Sequence[str]) -> str:
        """Launch a backfill of these partitions as the UI does. Returns its id."""
        launched = self.query(LAUNCH, asset=asset, keys=partition_keys)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def end_of_backfill(self, backfill_id: str) -> str | None:
        """The status of a backfill that has ended; None while it runs."""
        status = self.query(BACKFILL, id=backfill_id)["partitionBackfillOrError"]["status"]
        return None if status in {"REQUESTED", "COMPLETING"} else str(status)

    def freeze(self) -> list[psutil.Process]:
        """Stop (SIGSTOP) every process of the tree. Returns them."""
        stopped: list[psutil.Process] = []
        while running := [
            process
            for process in (self.process, *self.process.children(recursive=True))
            if process not in stopped
        ]:
            for process in running:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            stopped += running
        return stopped

    def thaw(self, frozen: Sequence[psutil.Process]) -> None:
        """Continue stopped processes."""
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def cut_power(self, frozen: Sequence[psutil.Process]) -> None:
        """Kill stopped processes with SIGKILL, so that none of them sees another one die."""
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(frozen, timeout=30)

    def run_job(
        self, job: str, partition_key: str | None, run_config: Mapping[str, Any], *, seconds: float
    ) -> str:
        """Launch a job, for one partition if it has any, and wait for its end. Returns the status of the run."""
        tags = partition_tags(partition_key) if partition_key is not None else {}
        launched = self.query(
            LAUNCH_RUN,
            selector=REPOSITORY | {"pipelineName": job},
            tags=[{"key": key, "value": value} for key, value in tags.items()],
            config=run_config,
        )["launchPipelineExecution"]
        if launched["__typename"] != "LaunchRunSuccess":
            raise AssertionError(launched)

        def ended() -> str | None:
            status = self.query(RUN_STATUS, id=launched["run"]["runId"])["runOrError"]["status"]
            return str(status) if status in ("SUCCESS", "FAILURE", "CANCELED") else None

        return self.wait_for(ended, seconds=seconds, what=f"{job} {partition_key or ''}")

    def wait_for(
        self, ask: Callable[[], Answer | None], *, seconds: float, what: str, every: float = 0.5
    ) -> Answer:
        """The first answer that is not None. Raises AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = ask()
            if answer is not None:
                return answer
            time.sleep(every)
        raise AssertionError(f"{what}: not within {seconds:g} s")


@contextmanager
def running_ui(config_file: Path, log: Path) -> Iterator[DagsterUi]:
    """Run `photolineage ui` with a configuration on a free port. All its processes end with the block."""
    environment = os.environ | {CONFIG_VARIABLE: str(config_file)}
    for inherited in ("DAGSTER_HOME", OWN_SERVER_VARIABLE):
        environment.pop(inherited, None)
    with serving_ui(PHOTOLINEAGE, environment, log) as ui:
        yield ui


@contextmanager
def serving_ui(
    program: Path, environment: Mapping[str, str], log: Path, folder: Path | None = None
) -> Iterator[DagsterUi]:
    """Run `program ui` in a working directory on a free port. All its processes end with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "ui", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    ui = DagsterUi(f"http://127.0.0.1:{port}", psutil.Process(process.pid))

    def location() -> bool | None:
        if process.poll() is not None:
            raise AssertionError(f"photolineage ui ended: {log.read_text()[-3000:]}")
        with suppress(urllib.error.URLError, ConnectionError):
            nodes = ui.query("{repositoriesOrError{... on RepositoryConnection{nodes{name}}}}")
            return True if nodes["repositoriesOrError"].get("nodes") else None
        return None

    try:
        ui.wait_for(location, seconds=120, what="the code location")
        yield ui
    finally:
        _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Terminate the whole process group, then kill it and the runs that are still working."""
    runs = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for run in runs:
        with suppress(psutil.NoSuchProcess):
            run.kill()
    process.wait(10)
