"""A real Dagster: a backfill of two models, then the sensor carries a new photo through to events."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterEventType

from tests.library import draw_photo
from tests.lineage import Lineage, open_lineage
from workloads.dagster_ui import REPOSITORY, DagsterUi, running_ui

START_SENSOR = """
mutation($sensor: SensorSelector!) {
  startSensor(sensorSelector: $sensor) { __typename ... on Sensor { sensorState { status } } }
}"""


def embedded(lineage: Lineage) -> dict[str, tuple[int, int]]:
    """Rows in the committed embedding files of each model, and the different images among them."""
    found: dict[str, tuple[int, int]] = {}
    for model in lineage.library.settings.models:
        with lineage.library.engine.connect() as connection:
            paths = connection.exec_driver_sql(
                "SELECT f.path FROM shard_file f JOIN ml_model m ON m.id = f.model_id "
                f"WHERE f.kind = 'embedding' AND m.key = '{model}'"
            ).scalars()
            images = [
                image
                for path in paths
                for image in lineage.library.embeddings.read_identities(path)["image_id"].to_pylist()
            ]
        found[model] = (len(images), len(set(images)))
    return found


def checked(lineage: Lineage, asset: str) -> dict[tuple[str | None, str], bool]:
    """Whether each check of an asset passed, by its partition: the last result of every check."""
    found: dict[tuple[str | None, str], bool] = {}
    for run in lineage.instance.get_runs():
        entries = lineage.instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
        for entry in reversed(entries):
            evaluation = entry.get_dagster_event().asset_check_evaluation_data
            if evaluation.asset_key.to_user_string() == asset:
                found.setdefault((evaluation.partition, evaluation.check_name), evaluation.passed)
    return found


@pytest.fixture
def registered(new_lineage: Lineage) -> Lineage:
    """A library whose images are registered, and embedded by no model."""
    new_lineage.must_materialize("catalog_schema")
    new_lineage.must_materialize("source_files", "photos")
    for shard in new_lineage.shards:
        new_lineage.must_materialize("registered_images", shard)
    return new_lineage


@pytest.fixture
def ui(registered: Lineage, tmp_path: Path) -> Iterator[DagsterUi]:
    registered.config_file.write_text("sensor_seconds = 2\n" + registered.config_file.read_text())
    with running_ui(registered.config_file, tmp_path / "ui.log") as ui:
        yield ui


def test_a_backfill_and_then_the_sensor(registered: Lineage, ui: DagsterUi) -> None:
    keys = [f"{model}|{shard}" for model in ("tiny-a", "tiny-b") for shard in registered.shards]
    backfill = ui.launch_backfill("image_embeddings", keys)
    ended = ui.wait_for(lambda: ui.end_of_backfill(backfill), seconds=240, what="the backfill")
    assert ended == "COMPLETED_SUCCESS"
    assert registered.materialized_partitions("image_embeddings") == set(keys)
    assert embedded(registered) == {"tiny-a": (26, 26), "tiny-b": (26, 26)}
    runs = [run for run in ui.runs() if "image_embeddings" in run.assets]
    assert len(runs) < len(keys)  # so at least one run had several partitions
    passed: dict[tuple[str | None, str], bool] = {(None, "up_to_date"): True}
    for name in ("catalog_contract", "model_contract", "embedding_files"):
        passed |= {(key, name): True for key in keys}
    assert checked(registered, "image_embeddings") == passed

    draw_photo(registered.library.root / "2025/00.jpg", 500)
    registered.execute("UPDATE source SET scanned_at = '2020-01-01 00:00:00.000000'")
    started = ui.query(START_SENSOR, sensor=REPOSITORY | {"sensorName": "stale_partitions"})
    assert started["startSensor"]["sensorState"]["status"] == "RUNNING"

    def through_to_events() -> bool | None:
        events = registered.materialized_partitions("image_events")
        images = registered.library.states()
        return True if events == {"tiny-a", "tiny-b"} and images.get("2025/00.jpg") == "registered" else None

    ui.wait_for(through_to_events, seconds=360, what="the new photo in events")
    assert embedded(registered) == {"tiny-a": (27, 27), "tiny-b": (27, 27)}
    assert [run for run in ui.runs() if run.status == "FAILURE"] == []
    of_index = ("catalog_contract", "index_coverage", "index_recall", "pinned_searches")
    passed = {(model, name): True for model in ("tiny-a", "tiny-b") for name in of_index}
    found = checked(registered, "vector_index")
    assert {key: outcome for key, outcome in found.items() if key[0] is not None} == passed
    with open_lineage(registered.config_file) as reopened:
        assert reopened.library.indexes.open("tiny-b", 24).row_count() == 27
