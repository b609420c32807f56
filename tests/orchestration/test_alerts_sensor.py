"""The sensor `alerts`, with real failed runs, a real receiver of HTTP and a real command."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, SensorEvaluationContext

from photolineage.alerts import AlertNotDeliveredError
from photolineage.settings import load_settings
from tests.lineage import Lineage


class Receiver:
    """A local HTTP server that keeps what it is sent, and refuses while it is told to."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.refuses = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if not receiver.refuses:
                    receiver.received.append(json.loads(body))
                self.send_response(503 if receiver.refuses else 204)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/alerts"

    @contextmanager
    def listening(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """A program that appends its last argument and its input to the file named before."""
    program = tmp_path / "tell.py"
    program.write_text(
        "import json, sys\n"
        "with open(sys.argv[1], 'a') as file:\n"
        "    file.write(json.dumps([sys.argv[2], json.load(sys.stdin)['id']]) + '\\n')\n"
    )
    return program


def alerting(lineage: Lineage, alerts: str) -> Lineage:
    """The lineage with an `[alerts]` section."""
    text = lineage.config_file.read_text()
    lineage.config_file.write_text(f"{text}[alerts]\n{alerts}\n")
    settings = load_settings(lineage.config_file)
    return replace(lineage, library=replace(lineage.library, settings=settings))


def tick(lineage: Lineage, cursor: str | None = None) -> tuple[str, str | None]:
    """The cursor after a tick, and what it says."""
    sensor = lineage.definitions.resolve_sensor_def("alerts")
    context = SensorEvaluationContext(
        instance_ref=lineage.instance.get_ref(),
        last_tick_completion_time=None,
        last_run_key=None,
        cursor=cursor,
        repository_name=None,
        resources={"settings": lineage.library.settings},
        definitions=lineage.definitions,
    )
    with context:
        evaluated = sensor.evaluate_tick(context)
    return evaluated.cursor or "", evaluated.skip_message


def newest_run(instance: DagsterInstance) -> str:
    (run,) = instance.get_runs(limit=1)
    return run.run_id


def test_nobody_to_tell_is_said(lineage: Lineage) -> None:
    assert (
        tick(lineage)[1]
        == "No receiver is configured: set alerts.webhook or alerts.command in photolineage.toml."
    )


def test_a_failed_run_reaches_the_webhook_once(lineage: Lineage, receiver: Receiver) -> None:
    lineage = alerting(lineage, f"webhook = '{receiver.address}'\nui = 'http://photos.example:3000/'")
    assert not lineage.materialize("image_events", "tiny-b").success  # before anybody was told
    cursor, _ = tick(lineage)
    assert receiver.received == []

    assert not lineage.materialize("vector_index", "tiny-b").success
    run_id = newest_run(lineage.instance)
    cursor, said = tick(lineage, cursor)
    assert said == "1 alerts were sent."
    (alert,) = receiver.received
    reason = "model 'tiny-b' has no embeddings yet. Materialize image_embeddings for it first."
    assert alert == {
        "id": run_id,
        "text": f"vector_index tiny-b: {reason}\nhttp://photos.example:3000/runs/{run_id}",
        "job": "materialize_vector_index",
        "assets": [],
        "partition": "tiny-b",
        "run_failed": True,
        "reason": reason,
        "link": f"http://photos.example:3000/runs/{run_id}",
        "checks": [],
    }
    assert tick(lineage, cursor) == (cursor, "0 alerts were sent.")
    assert len(receiver.received) == 1


def test_each_receiver_is_told_by_itself(
    lineage: Lineage, receiver: Receiver, command: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    lineage = alerting(
        lineage,
        f"webhook = '{receiver.address}'\ncommand = ['{sys.executable}', '{command}', '{told}']",
    )
    cursor, _ = tick(lineage)
    receiver.refuses = True
    runs = []
    for asset in ("vector_index", "image_events"):
        lineage.materialize(asset, "tiny-b")
        runs.append(newest_run(lineage.instance))

    cursor, said = tick(lineage, cursor)
    assert said is not None
    assert said.startswith(
        "2 alerts were sent. The others are tried again at the next tick: alerts.webhook = "
    )
    assert said.endswith("the webhook answered 503 Service Unavailable.")
    heard = [json.loads(line) for line in told.read_text().splitlines()]
    assert [run_id for _, run_id in heard] == runs
    assert heard[0][0].endswith(f"http://127.0.0.1:3000/runs/{runs[0]}")

    with pytest.raises(AlertNotDeliveredError, match=r"alerts\.webhook = .*503.*Every tick tries again"):
        tick(lineage, cursor)
    receiver.refuses = False
    cursor, said = tick(lineage, cursor)
    assert said == "2 alerts were sent."
    assert [alert["id"] for alert in receiver.received] == runs
    assert len(told.read_text().splitlines()) == 2


def test_a_failed_check_names_check_partition_and_page(lineage: Lineage, receiver: Receiver) -> None:
    lineage = alerting(lineage, f"webhook = '{receiver.address}'")
    cursor, _ = tick(lineage)
    lineage.miscount("tiny-a|photos-00001", by=1)
    lineage.run_check("image_embeddings", "embedding_files", "tiny-a|photos-00001")
    run_id = newest_run(lineage.instance)
    tick(lineage, cursor)

    (alert,) = receiver.received
    assert (alert["id"], alert["run_failed"], alert["partition"]) == (run_id, False, "tiny-a|photos-00001")
    (check,) = alert["checks"]
    assert (check["asset"], check["check"]) == ("image_embeddings", "embedding_files")
    assert check["partition"] == "tiny-a|photos-00001"
    assert check["description"] == "tiny-a|photos-00001: 2 files, 1 problems"
    assert check["link"] == (
        "http://127.0.0.1:3000/assets/image_embeddings?view=checks&checkDetail=embedding_files"
    )


def test_a_failed_contract_is_one_alert_with_its_check(lineage: Lineage, receiver: Receiver) -> None:
    lineage = alerting(lineage, f"webhook = '{receiver.address}'")
    cursor, _ = tick(lineage)
    lineage.execute("ALTER TABLE event DROP COLUMN cohesion")
    lineage.materialize("image_events", "tiny-a")
    tick(lineage, cursor)

    (alert,) = receiver.received
    summary = "1 differences (1 errors) between the code and the database, in event."
    assert alert["reason"] == f"{summary} Nothing was written."
    assert [(check["check"], check["description"]) for check in alert["checks"]] == [
        ("catalog_contract", summary)
    ]


def test_a_receiver_that_is_away_is_named(lineage: Lineage, tmp_path: Path) -> None:
    lineage = alerting(lineage, f"command = ['{tmp_path}/no-such-program']")
    cursor, _ = tick(lineage)
    lineage.materialize("vector_index", "tiny-b")
    with pytest.raises(AlertNotDeliveredError, match=r"alerts\.command = .*no-such-program.*No such file"):
        tick(lineage, cursor)


def test_a_command_imports_what_it_imports_everywhere_else(
    lineage: Lineage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as `photolineage ui` sets both for its own processes
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "project"))
    program, told = tmp_path / "notify" / "notify.py", tmp_path / "told"
    program.parent.mkdir()
    program.with_name("mail_helper.py").write_text("from pathlib import Path\nwrite = Path.write_text\n")
    program.write_text(
        f"import mail_helper, pathlib, sys\nmail_helper.write(pathlib.Path({str(told)!r}), sys.argv[1])"
    )
    lineage = alerting(lineage, f"command = ['{sys.executable}', '{program}']")
    cursor, _ = tick(lineage)
    lineage.materialize("vector_index", "tiny-b")
    tick(lineage, cursor)
    assert "tiny-b" in told.read_text()


def test_what_a_command_says_when_it_fails_is_told(lineage: Lineage) -> None:
    lineage = alerting(
        lineage, f'command = ["{sys.executable}", "-c", "raise SystemExit(\'the modem is off\')"]'
    )
    cursor, _ = tick(lineage)
    lineage.materialize("vector_index", "tiny-b")
    with pytest.raises(AlertNotDeliveredError, match="ended with status 1: the modem is off"):
        tick(lineage, cursor)
