"""The sensor `alerts`, with real failed runs, a real receiver of HTTP and a real command."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetCheckKey,
    AssetKey,
    DagsterInstance,
    Definitions,
    Failure,
    SensorEvaluationContext,
    job,
    op,
    resource,
)
from dagster import asset as dagster_asset

from assets.orchestration import alerts_sensor
from photolineage.alerts import AlertNotDeliveredError
from photolineage.settings import load_settings
from tests.lineage import QUIET, Lineage


class Receiver:
    """A local HTTP server that keeps what it is sent, and refuses while it is told to."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.refuses: Callable[[dict[str, Any]], bool] = lambda _alert: False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                alert = json.loads(self.rfile.read(int(self.headers["content-length"])))
                refused = receiver.refuses(alert)
                if not refused:
                    receiver.received.append(alert)
                self.send_response(503 if refused else 204)
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


def overdue(cursor: str | None) -> str:
    """The cursor, as if every refused alert had waited long enough to be tried again."""
    told = json.loads(cursor or "")
    for receiver in told.values():
        for refused in receiver["refused"].values():
            refused[1] = 0
    return json.dumps(told)


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
        "assets": ["vector_index"],
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
    receiver.refuses = lambda _alert: True
    runs = []
    for asset in ("vector_index", "image_events"):
        lineage.materialize(asset, "tiny-b")
        runs.append(newest_run(lineage.instance))

    cursor, said = tick(lineage, cursor)
    assert said == (
        "2 alerts were sent. 2 alerts wait and are tried again: alerts.webhook (127.0.0.1): the webhook answered "
        "503 Service Unavailable."
    )
    heard = [json.loads(line) for line in told.read_text().splitlines()]
    assert [run_id for _, run_id in heard] == runs
    assert heard[0][0].endswith(f"http://127.0.0.1:3000/runs/{runs[0]}")

    cursor, said = tick(lineage, cursor)
    assert said is not None
    assert said.startswith("0 alerts were sent. 2 alerts wait")
    with pytest.raises(AlertNotDeliveredError, match=r"2 alerts wait and are tried again: .*503"):
        tick(lineage, cursor)  # nothing is due yet
    receiver.refuses = lambda _alert: False
    cursor, said = tick(lineage, overdue(cursor))
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
    summary = "1 difference (1 error) between the code and the database, in event. Launch the job `repair`"
    assert alert["reason"].startswith(summary)
    assert alert["reason"].endswith("Nothing was written.")
    ((check, description),) = [(check["check"], check["description"]) for check in alert["checks"]]
    assert check == "catalog_contract"
    assert description.startswith(summary)


def test_a_receiver_that_is_away_is_named(lineage: Lineage, tmp_path: Path) -> None:
    lineage = alerting(lineage, f"command = ['{tmp_path}/no-such-program']")
    cursor, _ = tick(lineage)
    lineage.materialize("vector_index", "tiny-b")
    _, said = tick(lineage, cursor)
    assert said == (
        f"0 alerts were sent. 1 alerts wait and are tried again: alerts.command ('{tmp_path}/no-such-program'): "
        "No such file or directory."
    )


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
    _, said = tick(lineage, cursor)
    assert said is not None
    assert said.endswith(": the command ended with status 1: the modem is off.")


def test_a_refused_alert_holds_up_no_later_one_and_is_given_up_at_last(
    lineage: Lineage, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts_sensor, "MOST_TRIES", 3)
    lineage = alerting(lineage, f"webhook = '{receiver.address}'")
    cursor, _ = tick(lineage)
    lineage.materialize("vector_index", "tiny-b")
    poison = newest_run(lineage.instance)
    receiver.refuses = lambda alert: alert["id"] == poison
    cursor, said = tick(lineage, cursor)
    assert said is not None
    assert said.startswith("0 alerts were sent. 1 alerts wait")
    lineage.materialize("image_events", "tiny-b")
    later = newest_run(lineage.instance)

    cursor, said = tick(lineage, cursor)
    assert said is not None
    assert said.startswith("1 alerts were sent. 1 alerts wait")
    assert [alert["id"] for alert in receiver.received] == [later]

    cursor, said = tick(lineage, overdue(cursor))
    assert said == (
        f"0 alerts were sent. The alert about run {poison} is given up after 3 tries: alerts.webhook (127.0.0.1): the "
        "webhook answered 503 Service Unavailable."
    )
    receiver.refuses = lambda _alert: False
    assert tick(lineage, cursor)[1] == "0 alerts were sent."


def test_a_receiver_that_refuses_everything_for_long_loses_no_alert(
    lineage: Lineage, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts_sensor, "MOST_WAITING", 1)
    lineage = alerting(lineage, f"webhook = '{receiver.address}'")
    cursor, _ = tick(lineage)
    runs = []
    for asset in ("vector_index", "image_events"):
        lineage.materialize(asset, "tiny-b")
        runs.append(newest_run(lineage.instance))
    receiver.refuses = lambda _alert: True
    cursor, said = tick(lineage, cursor)
    assert said is not None
    assert "1 alerts wait" in said
    receiver.refuses = lambda _alert: False
    for _ in range(2):
        cursor, _ = tick(lineage, overdue(cursor))
    assert [alert["id"] for alert in receiver.received] == runs


def test_a_slow_receiver_does_not_hold_a_tick_and_gets_the_rest_later(
    lineage: Lineage, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    lineage = alerting(lineage, f"webhook = '{receiver.address}'")
    cursor, _ = tick(lineage)
    runs = []
    for asset in ("vector_index", "image_events"):
        lineage.materialize(asset, "tiny-b")
        runs.append(newest_run(lineage.instance))
    monkeypatch.setattr(alerts_sensor, "RECEIVER_SECONDS", 0.5)

    def slow(_alert: dict[str, Any]) -> bool:
        time.sleep(0.6)
        return False

    receiver.refuses = slow
    for number in (1, 2):
        cursor, said = tick(lineage, cursor)
        assert said == "1 alerts were sent."
        assert [alert["id"] for alert in receiver.received] == runs[:number]


def test_a_text_of_any_length_and_with_any_character_reaches_both_receivers(
    lineage: Lineage, receiver: Receiver, command: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    lineage = alerting(
        lineage,
        f"webhook = '{receiver.address}'\ncommand = ['{sys.executable}', '{command}', '{told}']",
    )
    cursor, _ = tick(lineage)

    @op
    def fails() -> None:
        raise Failure(description="first line\n\0 \x1b[31m" + 300_000 * "ä")

    @job
    def any_job() -> None:
        fails()

    any_job.execute_in_process(instance=lineage.instance, run_config=QUIET, raise_on_error=False)
    assert tick(lineage, cursor)[1] == "2 alerts were sent."
    ((text, run_id),) = [json.loads(line) for line in told.read_text().splitlines()]
    (alert,) = receiver.received
    assert (alert["text"], alert["id"]) == (text, run_id)
    assert text.startswith("any_job: first line\n\\x00 \\x1b[31määä")
    assert text.endswith(f"ä…\nhttp://127.0.0.1:3000/runs/{run_id}")
    assert len(text) < 1_200


def test_a_run_of_the_ui_that_only_checks_is_named_by_its_asset(lineage: Lineage, receiver: Receiver) -> None:
    lineage = alerting(lineage, f"webhook = '{receiver.address}'")
    cursor, _ = tick(lineage)
    lineage.miscount("tiny-a|photos-00001", by=1)
    lineage.run_check("image_embeddings", "embedding_files", "tiny-a|photos-00001")
    run = lineage.instance.get_run_by_id(newest_run(lineage.instance))
    assert run is not None
    lineage.instance.run_storage.delete_run(run.run_id)
    # As Dagster's UI launches it: in its own job, with nothing but checks selected.
    check = AssetCheckKey(AssetKey("image_embeddings"), "embedding_files")
    lineage.instance.add_run(
        run._replace(job_name="__ASSET_JOB", asset_selection=frozenset(), asset_check_selection={check})
    )
    tick(lineage, cursor)
    (alert,) = receiver.received
    assert alert["assets"] == ["image_embeddings"]
    assert alert["job"] == "image_embeddings"
    assert alert["text"].startswith("image_embeddings tiny-a|photos-00001: 1 failed checks\n")


def test_an_error_outside_of_the_steps_is_the_reason_and_dagsters_name_of_the_job_is_not(
    new_lineage: Lineage,
) -> None:
    @resource
    def disk() -> None:
        raise OSError("the disk is gone")

    @dagster_asset(required_resource_keys={"disk"})
    def photos() -> None:
        pass

    job = Definitions(assets=[photos], resources={"disk": disk}).resolve_implicit_global_asset_job_def()
    failed = job.execute_in_process(instance=new_lineage.instance, raise_on_error=False)
    alert = alerts_sensor.find_alert(new_lineage.instance, failed.dagster_run, "http://ui")
    assert alert is not None
    assert "__ASSET_JOB" not in str(alert)
    assert (alert.job, alert.assets) == ("photos", ["photos"])
    assert alert.text.startswith(f"photos: {alert.reason}")
    assert "disk" in alert.reason
