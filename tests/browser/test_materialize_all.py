"""The first press in the lineage of a new library: "Materialize all" runs everything, in order."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photolineage.lineage import STEPS
from tests.browser_page import open_groups
from tests.library import draw_photo
from tests.lineage import Lineage, open_lineage, write_configuration
from workloads.dagster_ui import DagsterUi, running_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NEWEST_BACKFILL = """{partitionBackfillsOrError(limit: 1) {... on PartitionBackfills {results {id}}}}"""
MODEL = "tiny-a"
PARTITIONS = {
    "catalog_schema": set(),
    "source_files": {"photos"},
    "registered_images": {"photos-00000"},
    "image_embeddings": {f"{MODEL}|photos-00000"},
    "vector_index": {MODEL},
    "image_events": {MODEL},
    "verified_originals": {"photos-00000"},
    "serving_model": set(),
    "model_comparison": {MODEL},
    "library_status": set(),
}


@pytest.fixture
def library(tmp_path: Path, tiny_models: Mapping[str, Path], browser: "Browser") -> Iterator[Lineage]:
    """Six photos of one afternoon, and nothing else."""
    for number in range(6):
        taken_at = datetime(2024, 6, 1, 12, tzinfo=UTC) + timedelta(minutes=number)
        draw_photo(tmp_path / f"photos/2024/{number:02}.jpg", number, taken_at=taken_at)
    with open_lineage(write_configuration(tmp_path, {MODEL: tiny_models[MODEL]})) as lineage:
        yield lineage


def test_everything_of_a_new_library_is_materialized_in_order(
    library: Lineage, page: "Page", tmp_path: Path
) -> None:
    with running_ui(library.config_file, tmp_path / "ui.log") as ui:
        page.goto(f"{ui.url}/asset-groups")
        open_groups(page, [step.name for step in STEPS])
        page.get_by_role("button", name="Materialize all").click()
        page.get_by_role("button", name="Launch backfill").click()
        page.get_by_text("Created backfill").first.wait_for()
        (backfill,) = ui.query(NEWEST_BACKFILL)["partitionBackfillsOrError"]["results"]
        ended = ui.wait_for(
            lambda: ui.end_of_backfill(backfill["id"]), seconds=780, what="the end of the backfill", every=2
        )
        assert ended == "COMPLETED_SUCCESS", runs_of(ui)
        assert {step.name: library.materialized_partitions(step.name) for step in STEPS} == PARTITIONS
        assert {status for status, _ in runs_of(ui)} == {"SUCCESS"}
        assert set(library.library.states().values()) == {"registered"}


def runs_of(ui: DagsterUi) -> list[tuple[str, tuple[str, ...]]]:
    return [(run.status, run.assets) for run in ui.runs()]
