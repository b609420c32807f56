"""A real `photolineage ui` (web server, daemon and code server), and its GraphQL."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from resources.settings import CONFIG_VARIABLE

Answer = TypeVar("Answer")

PHOTOLINEAGE = Path(sys.executable).with_name("photolineage")
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "photolineage"}


@dataclass(frozen=True, slots=True)
class DagsterUi:
    """The address of a running web server."""

    url: str

    def query(self, query: str, **variables: Any) -> Any:
        """The data of a GraphQL answer. Raises AssertionError where there are errors."""
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

    def wait_for(self, ask: Callable[[], Answer | None], *, seconds: float, what: str) -> Answer:
        """The first answer that is not None. Raises AssertionError after some seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = ask()
            if answer is not None:
                return answer
            time.sleep(0.5)
        raise AssertionError(f"{what}: not within {seconds:g} s")


@contextmanager
def running_ui(config_file: Path, log: Path) -> Iterator[DagsterUi]:
    """`photolineage ui` on a free port until the block ends; all its processes end with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {CONFIG_VARIABLE: str(config_file)}
    environment.pop("DAGSTER_HOME", None)
    with log.open("w") as output:
        process = subprocess.Popen(
            [PHOTOLINEAGE, "ui", "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    ui = DagsterUi(f"http://127.0.0.1:{port}")

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
    """Ask the whole process group to end, then make it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
