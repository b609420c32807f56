"""The jobs `promote_model` and `repair` from their launchpads, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photolineage.catalog.queries import serving_model_key
from photolineage.checks.catalog_contract import contract_report
from tests.browser_page import (
    configuration,
    containing,
    ended,
    open_launchpad,
    screenshot,
    write_configuration,
)
from tests.lineage import Lineage, copy_library, open_lineage
from workloads.dagster_ui import DagsterUi, Run, running_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory, built_library_folder: Path, browser: "Browser"
) -> Iterator[Lineage]:
    """A library in which `tiny-a` serves and `tiny-b` is ready, and whose catalog has lost an index."""
    config = copy_library(built_library_folder, tmp_path_factory.mktemp("mending"))
    with open_lineage(config) as lineage:
        for shard in lineage.shards:
            assert lineage.materialize_embeddings("tiny-b", shard).success
        lineage.must_materialize("vector_index", "tiny-b")
        lineage.execute("DROP INDEX ix_image_content_hash")
        yield lineage


@pytest.fixture(scope="module")
def ui(library: Lineage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUi]:
    with running_ui(library.config_file, tmp_path_factory.mktemp("mending-ui") / "ui.log") as ui:
        yield ui


def test_a_model_is_promoted_from_the_launchpad(ui: DagsterUi, page: "Page", library: Lineage) -> None:
    dialog = open_launchpad(ui, page, "promote_model")
    assert configuration(page, dialog) == ["force: false", "model: (the serving model)"]
    write_configuration(page, dialog, "model: tiny-b")
    dialog.get_by_text("No errors").wait_for()
    screenshot(page, "upgrade_promote")
    before = ui.runs()
    dialog.get_by_role("button", name=containing("Materialize")).last.click()

    assert ended(ui, "promote_model", before).status == "SUCCESS"
    with library.library.engine.connect() as connection:
        assert serving_model_key(connection) == "tiny-b"
    page.goto(f"{ui.url}/assets/serving_model")
    way_back = "To go back, launch the job promote_model with model: tiny-a"
    page.get_by_text(containing(way_back)).first.wait_for()


def test_a_catalog_is_repaired_from_the_launchpad(ui: DagsterUi, page: "Page", library: Lineage) -> None:
    def launch() -> Run:
        before = ui.runs()
        page.get_by_role("button", name="Launch Run").click()
        return ended(ui, "repair", before)

    launchpad = f"{ui.url}/locations/photolineage/jobs/repair/playground"
    page.goto(launchpad)
    prefilled = ["allow_data_loss: false", "apply: false", "i_have_a_backup: false"]
    assert configuration(page, page) == prefilled
    assert launch().status == "SUCCESS"
    assert len(contract_report(library.library.engine).drifts) == 1

    page.goto(launchpad)
    assert configuration(page, page)
    write_configuration(page, page, "apply: true")
    run = launch()
    assert run.status == "SUCCESS"
    assert contract_report(library.library.engine).drifts == ()
    page.goto(f"{ui.url}/runs/{run.run_id}")
    page.get_by_text(containing("image.ix_image_content_hash: done")).first.wait_for()
    screenshot(page, "repaired")
