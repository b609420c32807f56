"""Passwords and addresses of webhooks are neither stored nor shown, with a real Dagster UI, its runs and its ticks."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, NullPool, create_engine, text

from tests.library import draw_photo
from tests.lineage import write_configuration
from tests.security.at_rest import open_to_others, places_of
from tests.security.conftest import PASSWORD
from workloads.dagster_ui import PHOTOLINEAGE, DagsterUi, running_ui

HOOK = "T0Hw8planted"
ARGUMENT = "Tb3planted"
WORDS = ("Kq7planted", "Zt9catalog", HOOK, ARGUMENT)
"""Parts of the secrets that are the same in a URL's encoding."""

RUNS = """{runsOrError {... on Runs {results {
  runId status runConfigYaml tags {key value}
  eventConnection {events {__typename ... on MessageEvent {message eventType}
    ... on MaterializationEvent {metadataEntries {label description ... on TextMetadataEntry {text}}}
    ... on ExecutionStepFailureEvent {error {message stack causes {message stack}}
      failureMetadata {description metadataEntries {label ... on TextMetadataEntry {text}}}}
  }}
}}}}"""
RESOURCES = """{allTopLevelResourceDetailsOrError(
  repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "photolineage"}
) {... on ResourceDetailsList {results {name description resourceType
  configFields {name defaultValueAsJson} configuredValues {key value type}}}}}"""
CONFIG_TYPES = """{runConfigSchemaOrError(
  selector: {repositoryName: "__repository__", repositoryLocationName: "photolineage", pipelineName: "sweep_files"},
  mode: "default") {... on RunConfigSchema {rootDefaultYaml
    allConfigTypes {key description ... on CompositeConfigType {fields {name description defaultValueAsJson}}}}}}"""
TICKS = """{sensorOrError(sensorSelector: {
  repositoryName: "__repository__", repositoryLocationName: "photolineage", sensorName: "alerts"
}) {... on Sensor {sensorState {ticks(limit: 50) {
  status skipReason cursor error {message stack causes {message}}
}}}}}"""


@dataclass(frozen=True)
class Planted:
    """A library whose configuration has secrets, and the environment that gives the password."""

    folder: Path
    config_file: Path
    url: URL
    environment: Mapping[str, str]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command. What it prints is kept below the folder."""
        done = subprocess.run(
            [PHOTOLINEAGE, "--config", self.config_file, *arguments],
            env=os.environ | self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        with (self.folder / "printed.log").open("a") as log:
            log.write(f"{arguments} {done.returncode}\n{done.stdout}{done.stderr}\n")
        return done


@pytest.fixture
def planted(tmp_path: Path, tiny_models: Mapping[str, Path], database_with_password: URL) -> Planted:
    for number in range(3):
        draw_photo(tmp_path / f"photos/{number}.jpg", number)
    alerts = f"webhook = 'http://127.0.0.1:9/services/{HOOK}?token={HOOK}'\ncommand = ['false', '--token={ARGUMENT}']"
    (tmp_path / "config").mkdir()  # beside what is searched: it holds the secrets
    config = write_configuration(tmp_path, tiny_models, extra="sensor_seconds = 2\n")
    config = config.rename(tmp_path / "config" / config.name)
    written = config.read_text().replace("'home'", "'../data/home'").replace("'photos'", "'../photos'")
    config.write_text(f"{written}[alerts]\n{alerts}\n")
    (tmp_path / "data").mkdir()
    url = database_with_password.render_as_string(hide_password=False)
    return Planted(tmp_path / "data", config, database_with_password, {"PHOTOLINEAGE_CATALOG__URL": url})


def answers(ui: DagsterUi) -> dict[str, Any]:
    return {
        name: ui.query(query)
        for name, query in {
            "runs": RUNS,
            "resources": RESOURCES,
            "config": CONFIG_TYPES,
            "ticks": TICKS,
        }.items()
    }


def failed_tick(ui: DagsterUi) -> str | None:
    """What a tick says about both receivers, if one has."""
    ticks = ui.query(TICKS)["sensorOrError"]["sensorState"]["ticks"]
    told = [str(tick["error"] or tick["skipReason"]) for tick in ticks]
    return next((one for one in told if "alerts.webhook" in one and "alerts.command" in one), None)


def test_no_secret_is_stored_or_shown(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    assert planted.run("run").returncode == 0
    for name, value in planted.environment.items():
        monkeypatch.setenv(name, value)
    with running_ui(planted.config_file, planted.folder / "ui.log") as ui:
        ui.wait_for(
            lambda: ui.query(TICKS)["sensorOrError"]["sensorState"]["ticks"] or None,
            seconds=90,
            what="a tick",
        )
        assert ui.run_job("materialize_catalog_schema", None, {}, seconds=120) == "SUCCESS"
        assert ui.run_job("materialize_vector_index", "tiny-b", {}, seconds=120) == "FAILURE"
        commands = [process.cmdline() for process in (ui.process, *ui.process.children(recursive=True))]
        assert "127.0.0.1" in ui.wait_for(lambda: failed_tick(ui), seconds=90, what="a refused alert")
        told = answers(ui)
    for arguments in (
        ["status"],
        ["check"],
        ["search", "a beach"],
        ["migrate", "--dry-run"],
        ["status", "--json"],
    ):
        planted.run(*arguments)
    wrong = planted.url.set(password=f"{PASSWORD}!").render_as_string(hide_password=False)
    refused = planted.run("status", PHOTOLINEAGE_CATALOG__URL=wrong)
    assert "password authentication failed" in refused.stderr.replace("\n", " ")

    assert len(told["runs"]["runsOrError"]["results"]) > 2
    assert told["resources"]["allTopLevelResourceDetailsOrError"]["results"]
    assert told["config"]["runConfigSchemaOrError"]["allConfigTypes"]
    (planted.folder / "answers.json").write_text(json.dumps([told, commands]))
    (planted.folder / "catalog.json").write_text(json.dumps(rows_of(planted.url)))
    assert "catalog.url" in (planted.folder / "printed.log").read_text()
    assert places_of(WORDS, planted.folder) == []
    assert open_to_others(planted.folder / "home") == {}


def rows_of(url: URL) -> list[str]:
    """Every row of every table of a database."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        tables = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ).scalars()
        return [
            str(row)
            for table in tables.all()
            for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"')
        ]
