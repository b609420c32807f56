"""A library that was never run, by clicking: the first error, the first step, and then the sensor to the events."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser_page import containing, materialize_partition, screenshot
from tests.library import draw_photo
from tests.lineage import Lineage, open_lineage, write_configuration
from workloads.dagster_ui import DagsterUi, running_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MODEL, SHARD = "tiny-a", "photos-00000"
LINEAGE = [
    ("registered_images", SHARD),
    ("image_embeddings", f"{MODEL}|{SHARD}"),
    ("vector_index", MODEL),
    ("image_events", MODEL),
]
FREQUENT_SENSORS = "sensor_seconds = 2\nrescan_minutes = 1\n"


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: Mapping[str, Path], browser: "Browser"
) -> Iterator[Lineage]:
    """Six photos of one afternoon, and nothing else."""
    folder = tmp_path_factory.mktemp("first-run")
    for number in range(6):
        taken_at = datetime(2024, 6, 1, 12, tzinfo=UTC) + timedelta(minutes=number)
        draw_photo(folder / f"photos/2024/{number:02}.jpg", number, taken_at=taken_at)
    config = write_configuration(folder, {MODEL: tiny_models[MODEL]}, extra=FREQUENT_SENSORS)
    with open_lineage(config) as lineage:
        yield lineage


@pytest.fixture(scope="module")
def ui(library: Lineage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUi]:
    with running_ui(library.config_file, tmp_path_factory.mktemp("first-run-ui") / "ui.log") as ui:
        yield ui


def partitions_asked_for(ui: DagsterUi) -> list[tuple[str, str]]:
    """Asset and partition of each run of the sensor, oldest first, but for the scans, which come by the clock."""
    return [
        (run.job.removeprefix("materialize_"), run.tags["dagster/partition"])
        for run in reversed(ui.runs())
        if run.tags.get("dagster/sensor_name") == "stale_partitions" and run.job != "materialize_source_files"
    ]


def test_from_the_first_error_to_the_events(ui: DagsterUi, page: "Page", library: Lineage) -> None:
    materialize_partition(ui, page, "source_files", "photos", before_its_inputs=True)
    failed = ui.wait_for_run(
        lambda run: run.status == "FAILURE" and "source_files" in run.assets,
        seconds=120,
        what="the failed run",
    )
    page.goto(f"{ui.url}/runs/{failed.run_id}")
    page.get_by_text(containing("The catalog has no tables yet. Materialize catalog_schema")).first.wait_for()

    page.goto(f"{ui.url}/assets/catalog_schema")
    page.get_by_text(containing("materialize it first.")).first.wait_for()
    screenshot(page, "first_step")
    page.get_by_role("button", name="Materialize").click()
    ui.wait_for_run(
        lambda run: run.status == "SUCCESS" and "catalog_schema" in run.assets,
        seconds=120,
        what="the catalog",
    )

    page.goto(f"{ui.url}/locations/photolineage/sensors/stale_partitions")
    page.get_by_role("checkbox").first.dispatch_event("click")

    def through_to_events() -> bool | None:
        return True if library.materialized_partitions("image_events") == {MODEL} else None

    ui.wait_for(through_to_events, seconds=240, what="the events")
    assert partitions_asked_for(ui) == LINEAGE
    assert set(library.library.states().values()) == {"registered"}

    # Whole at once: a scan may come at any time, and would ask again for a file that it saw half-written.
    draw_photo(library.library.root.with_name("camera.jpg"), 6).rename(library.library.root / "2024/06.jpg")
    ui.wait_for(
        lambda: True if len(partitions_asked_for(ui)) >= 2 * len(LINEAGE) and ui.is_idle() else None,
        seconds=300,
        what="the new photo in the events",
    )
    assert partitions_asked_for(ui) == 2 * LINEAGE
    states = library.library.states()
    assert (len(states), set(states.values())) == (7, {"registered"})
    page.reload()
    page.get_by_text("stale_partitions").first.wait_for()
    screenshot(page, "sensor")
