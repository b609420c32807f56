"""What changes or deletes what serves runs only in servers that `photolineage` started."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterRun, DagsterRunStatus

from assets.orchestration.build import build_definitions
from assets.orchestration.guarded_ui import run_dev
from assets.orchestration.run_queue import GUARDED_JOBS, LineageRunCoordinator
from photolineage.lineage import STEPS
from photolineage.settings import CONFIG_VARIABLE
from resources.dagster_internals import dev_command_module
from resources.own_server import OWN_SERVER_VARIABLE, is_own_server
from tests.dagster_internals import SubmitRunContext
from tests.lineage import Lineage, failure_of
from workloads import REPOSITORY_ROOT

REMEDY = "Stop this server and run `photolineage ui`."


@pytest.fixture
def plain_dagster(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if `dagster dev` had started this process."""
    monkeypatch.delenv(OWN_SERVER_VARIABLE)


def run(lineage: Lineage, job: str, config: dict[str, Any]) -> Any:
    return lineage.definitions.resolve_job_def(job).execute_in_process(
        instance=lineage.instance,
        run_config=config,
        raise_on_error=False,
    )


@pytest.mark.usefixtures("plain_dagster")
def test_a_plain_server_promotes_retires_and_removes_nothing(lineage: Lineage) -> None:
    garbage = lineage.home / "previews/gone-00000/1.arrow"
    garbage.parent.mkdir()
    garbage.touch()
    two_days_ago = time.time() - 2 * 86_400
    os.utime(garbage, (two_days_ago, two_days_ago))
    files = lineage.files()
    for job, config in (
        ("materialize_serving_model", {"ops": {"serving_model": {"config": {"model": "tiny-a"}}}}),
        ("promote_model", {"model": "tiny-a"}),
        ("retire_model", {"model": "tiny-b", "delete_files": True}),
        ("sweep_files", {}),
    ):
        done = run(lineage, job, config)
        assert not done.success, job
        assert REMEDY in failure_of(done)
    assert lineage.files() == files


@pytest.mark.usefixtures("plain_dagster")
def test_a_plain_server_may_look(lineage: Lineage) -> None:
    assert run(lineage, "sweep_files", {"dry_run": True}).success
    assert lineage.materialize("source_files", "photos").success
    assert run(lineage, "migrate_catalog", {}).success


FORGETS = "DAGSTER_HOME is not set: the history of runs is lost when the server ends, and the limits on simultaneous"


@pytest.mark.usefixtures("plain_dagster")
@pytest.mark.parametrize("dagster_home", ["", "/somewhere"])
def test_a_plain_server_says_what_it_lacks_in_every_asset_and_in_every_run(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch, dagster_home: str
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", dagster_home)
    assets = build_definitions(lineage.library.settings).resolve_asset_graph()
    described = {
        key.to_user_string(): str(assets.get(key).description) for key in assets.get_all_asset_keys()
    }
    assert len(described) == len(STEPS)
    for description in described.values():
        assert description.startswith("**Any web page that your browser shows can start runs")
        assert (FORGETS in description) == (not dagster_home)
        assert "Stop it and run `photolineage ui`.**\n\n" in description
    for asset, partition in (
        ("catalog_schema", None),
        ("source_files", "photos"),
        ("vector_index", "tiny-a"),
    ):
        done = lineage.materialize(asset, partition)
        assert done.success
        warned = [
            entry.user_message
            for entry in lineage.instance.all_logs(done.run_id)
            if entry.level == logging.WARNING and "Any web page" in entry.user_message
        ]
        assert [FORGETS in message for message in warned] == [not dagster_home]


def test_the_ui_of_photolineage_has_no_such_warning(lineage: Lineage) -> None:
    assets = lineage.definitions.resolve_asset_graph()
    assert not any("Any web page" in str(assets.get(key).description) for key in assets.get_all_asset_keys())


@pytest.mark.usefixtures("plain_dagster")
def test_a_plain_server_migrates_nothing(new_lineage: Lineage) -> None:
    done = run(new_lineage, "migrate_catalog", {"dry_run": False})
    assert REMEDY in failure_of(done)
    with new_lineage.library.engine.connect() as connection:
        assert not connection.dialect.has_table(connection, "image")


@pytest.mark.parametrize(
    ("job", "assets"),
    [
        *((job, []) for job in sorted(GUARDED_JOBS)),
        ("materialize_serving_model", []),
        ("__ASSET_JOB", ["serving_model"]),
    ],
)
@pytest.mark.usefixtures("plain_dagster")
def test_a_plain_server_queues_nothing_for_the_guarded_one(
    new_lineage: Lineage, job: str, assets: list[str]
) -> None:
    coordinator = new_lineage.instance.run_coordinator
    assert isinstance(coordinator, LineageRunCoordinator)
    submitted = new_lineage.instance.add_run(
        DagsterRun(job_name=job, asset_selection={AssetKey(name) for name in assets} or None)
    )
    refused = coordinator.submit_run(SubmitRunContext(submitted, None))  # type: ignore[arg-type]
    assert refused.status is DagsterRunStatus.FAILURE
    records = new_lineage.instance.get_records_for_run(submitted.run_id).records
    said = [str(record.event_log_entry.get_dagster_event().message) for record in records]
    assert any(REMEDY in message for message in said)


def test_every_guarded_job_exists(new_lineage: Lineage) -> None:
    assert {job.name for job in new_lineage.definitions.resolve_all_job_defs()} >= GUARDED_JOBS


@pytest.mark.usefixtures("plain_dagster")
def test_the_guarded_ui_marks_what_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, OWN_SERVER_VARIABLE, "0")
    dev = dev_command_module()
    seen = []
    monkeypatch.setattr(dev, "open_ipc_subprocess", dev.open_ipc_subprocess)
    monkeypatch.setattr(dev, "dev_command", lambda _arguments: seen.append(is_own_server()))
    run_dev([])
    assert seen == [True]


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("dagster_home", [False, True])
def test_a_code_location_of_a_plain_server_warns(
    new_lineage: Lineage, tmp_path: Path, marked: bool, dagster_home: bool
) -> None:
    environment = os.environ | {CONFIG_VARIABLE: str(new_lineage.config_file)}
    environment[OWN_SERVER_VARIABLE] = "1" if marked else ""
    environment["DAGSTER_HOME"] = str(tmp_path) if dagster_home else ""
    done = subprocess.run(
        [sys.executable, "-c", "import definitions"],
        cwd=REPOSITORY_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("Any web page" in done.stderr) is not marked
    assert ("history of runs is lost" in done.stderr) is (not marked and not dagster_home)
