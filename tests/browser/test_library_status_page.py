"""The page `library_status`, and the checks that turn stale at once, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dagster import DagsterEventType

from tests.browser_page import containing, materialize_partition, screenshot, shown_table
from tests.library import draw_photo, touch
from tests.lineage import Lineage, copy_library, open_lineage
from workloads.dagster_ui import DagsterUi, Run, running_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory, built_library_folder: Path, browser: "Browser"
) -> Iterator[Lineage]:
    """A library that is up to date, with a photo that has changed since, and a failed check."""
    config = copy_library(built_library_folder, tmp_path_factory.mktemp("status"))
    with open_lineage(config) as lineage:
        draw_photo(lineage.library.root / "2024/05.jpg", 100)
        touch(lineage.library.root / "2024/05.jpg")
        (lineage.library.root / "film.mov").touch()
        lineage.miscount("tiny-a|photos-00000", by=1)
        lineage.run_check("image_embeddings", "embedding_files", "tiny-a|photos-00000")
        yield lineage


@pytest.fixture(scope="module")
def ui(library: Lineage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUi]:
    with running_ui(library.config_file, tmp_path_factory.mktemp("status-ui") / "ui.log") as ui:
        yield ui


def succeeded(ui: DagsterUi, asset: str) -> Run:
    return ui.wait_for_run(
        lambda run: asset in run.assets and run.status == "SUCCESS", seconds=180, what=asset
    )


def show_check(ui: DagsterUi, page: "Page", asset: str) -> None:
    page.goto(f"{ui.url}/assets/{asset}?view=checks&checkDetail=up_to_date")


def test_a_check_turns_stale_as_soon_as_what_it_depends_on_is_materialized(
    ui: DagsterUi, page: "Page"
) -> None:
    show_check(ui, page, "registered_images")
    page.get_by_text("Every partition was made from its current inputs.").first.wait_for()
    materialize_partition(ui, page, "source_files", "photos")
    succeeded(ui, "source_files")

    show_check(ui, page, "registered_images")
    page.get_by_text(containing("1 stale: photos-00002")).first.wait_for()
    page.get_by_text("Failed", exact=True).first.wait_for()
    assert shown_table(page, "partition") == [
        ["partition", "reason", "images"],
        ["photos-00002", "source_files: 1 new or changed image", "1"],
    ]
    screenshot(page, "stale_at_once")


def waited(library: Lineage, run: Run) -> bool:
    """Whether the run was in the queue."""
    return bool(library.instance.all_logs(run.run_id, of_type=DagsterEventType.RUN_ENQUEUED))


def test_the_page_shows_figures_reasons_and_pictures(ui: DagsterUi, page: "Page", library: Lineage) -> None:
    page.goto(f"{ui.url}/assets/registered_images")
    page.get_by_role("link", name="library_status", exact=True).first.click()
    page.wait_for_url(containing("/assets/library_status"))
    page.get_by_role("button", name="Materialize").first.click()
    assert not waited(library, succeeded(ui, "library_status"))
    assert waited(library, succeeded(ui, "source_files"))

    page.goto(f"{ui.url}/assets/library_status")
    progress = shown_table(page, "time left")
    assert ["registered_images", "photos", "27", "1"] in [row[:4] for row in progress]
    assert ["image_embeddings", "photos × tiny-b", "0", "25"] in [row[:4] for row in progress]
    stale = shown_table(page, "reason")
    assert ["registered_images", "photos-00002", "source_files: 1 new or changed image"] in stale
    assert shown_table(page, "kind")[1:] == [["photos", ".mov", "1"]]
    page.get_by_text("progress", exact=True).first.evaluate("entry => entry.scrollIntoView()")
    screenshot(page, "library_status")

    page.get_by_text("[Show Markdown]").last.click()
    picture = page.get_by_role("dialog").get_by_alt_text("Covers of the newest events")
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 400


def test_a_failure_on_the_page_links_to_its_check(ui: DagsterUi, page: "Page") -> None:
    page.goto(f"{ui.url}/assets/library_status")
    page.get_by_role("link", name="embedding_files of image_embeddings").click()
    page.get_by_text(containing("tiny-a|photos-00000: 3 files, 1 problems")).first.wait_for()


def test_one_job_refreshes_what_is_stale(ui: DagsterUi, page: "Page", library: Lineage) -> None:
    library.miscount("tiny-a|photos-00000", by=-1)
    page.goto(f"{ui.url}/locations/photolineage/jobs/refresh_stale/playground")
    page.get_by_role("button", name="Launch Run").click()
    ui.wait_for_run(
        lambda run: run.job == "refresh_stale" and run.status == "SUCCESS", seconds=120, what="it"
    )
    (backfill,) = library.instance.get_backfills()
    page.goto(f"{ui.url}/runs/b/{backfill.backfill_id}")
    page.get_by_role("link", name="image_events").first.wait_for()

    def result() -> str | None:
        status = library.instance.get_backfills()[0].status.value
        return status if status.startswith("COMPLETED") else None

    assert ui.wait_for(result, seconds=600, what="the backfill") == "COMPLETED_SUCCESS"
    page.reload()
    page.get_by_text("100% completed").nth(3).wait_for()
    for asset in ("registered_images", "image_embeddings", "vector_index", "image_events"):
        show_check(ui, page, asset)
        page.get_by_text("Every partition was made from its current inputs.").first.wait_for()
