"""The daily work in the Dagster UI, in a real browser, over a library that has been used for a while."""

import os
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from tests.browser_page import (
    containing,
    filter_log,
    materialize_partition,
    metadata_on_page,
    open_groups,
    partition_address,
    screenshot,
    shown_table,
)
from tests.library import draw_photo
from tests.lineage import Lineage, copy_library, open_lineage
from workloads.dagster_ui import DagsterUi, Run, running_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ASSETS = [
    "catalog_schema",
    "source_files",
    "registered_images",
    "image_embeddings",
    "vector_index",
    "image_events",
    "serving_model",
]
GROUPS = ["catalog", "photos", "models", "events"]
LARGE_SHARD = "photos-00003"
NEW_PHOTOS = 120
"""Two of them fill the last small shard; the rest makes thirty checkpoints, so that a kill finds some to be done."""


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory, built_library_folder: Path, browser: "Browser"
) -> Iterator[Lineage]:
    """A library built by one model, and then a holiday: a large shard that no model has seen."""
    folder = tmp_path_factory.mktemp("daily-work")
    config = copy_library(built_library_folder, folder)
    config.write_text(config.read_text().replace("shard_capacity = 10", "shard_capacity = 1000"))
    for number in range(NEW_PHOTOS):
        taken_at = datetime(2025, 7, 1, 9, tzinfo=UTC) + timedelta(minutes=number)
        draw_photo(folder / f"photos/2025/{number:03}.jpg", 500 + number, taken_at=taken_at)
    with open_lineage(config) as lineage:
        lineage.must_materialize("source_files", "photos")
        for shard in ("photos-00002", LARGE_SHARD):
            lineage.must_materialize("registered_images", shard)
        yield lineage


@pytest.fixture(scope="module")
def ui(library: Lineage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUi]:
    with running_ui(library.config_file, tmp_path_factory.mktemp("daily-work-ui") / "ui.log") as ui:
        yield ui


def test_the_graph_shows_the_lineage_in_order(ui: DagsterUi, page: "Page") -> None:
    page.goto(f"{ui.url}/asset-groups")
    for group in GROUPS:
        page.locator("foreignObject").get_by_text(group, exact=True).first.wait_for()
    open_groups(page, ASSETS)
    boxes = {}
    for asset in ASSETS:
        node = page.locator("foreignObject").get_by_text(asset, exact=True).first
        node.wait_for()
        boxes[asset] = node.bounding_box()
    screenshot(page, "lineage")

    places = [(box["x"], box["y"]) for box in boxes.values() if box is not None]
    assert len(places) == len(ASSETS)
    chain = places[:5]
    along = 0 if chain[-1][0] - chain[0][0] > chain[-1][1] - chain[0][1] else 1
    assert [place[along] for place in chain] == sorted(place[along] for place in chain)
    assert places[5][along] > places[4][along]
    assert places[6][along] > places[4][along]


def from_the_page(run: Run, partition: str) -> bool:
    """Whether a page of the UI has started the run, and not the test that made the library."""
    return run.job == "__ASSET_JOB" and run.tags.get("dagster/partition") == partition


def wait_for_partitions(ui: DagsterUi, library: Lineage, asset: str, partitions: set[str]) -> None:
    ui.wait_for(
        lambda: True if partitions <= library.materialized_partitions(asset) else None,
        seconds=240,
        what=f"{asset} {partitions}",
    )


def test_a_partition_is_materialized_by_clicking(ui: DagsterUi, page: "Page", library: Lineage) -> None:
    partition = "tiny-a|photos-00002"
    materialize_partition(ui, page, "image_embeddings", partition)
    run = ui.wait_for_run(
        lambda run: from_the_page(run, partition) and run.status == "SUCCESS", seconds=180, what=partition
    )
    assert run.tags["asset"] == "image_embeddings"
    page.goto(partition_address(ui, "image_embeddings", partition))
    assert metadata_on_page(page, "images") == "10"
    assert metadata_on_page(page, "embedded_now") == "2"
    assert metadata_on_page(page, "embedding_dim") == "16"
    screenshot(page, "partition")


def test_some_partitions_are_chosen_and_materialized_together(
    ui: DagsterUi, page: "Page", library: Lineage
) -> None:
    def registered() -> Counter[str]:
        return Counter(job.subject for job in library.library.jobs(JobKind.REGISTER))

    before, chosen = registered(), ["photos-00000", "photos-00001"]
    page.goto(f"{ui.url}/assets/registered_images?view=partitions")
    page.get_by_role("button", name="Materialize…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Select a partition or create one").first.click()
    for shard in chosen:
        page.get_by_role("menuitem").filter(has_text=shard).click()
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name=containing("Launch")).click()
    ui.wait_for(
        lambda: True if registered() - before == Counter(chosen) else None, seconds=240, what="both shards"
    )


def test_all_missing_partitions_of_a_model_are_one_backfill(
    ui: DagsterUi, page: "Page", library: Lineage
) -> None:
    page.goto(f"{ui.url}/assets/image_embeddings?view=partitions")
    page.get_by_role("button", name="Materialize…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Select a partition or create one").first.click()
    page.get_by_role("menuitem").filter(has_text="tiny-b").click()
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="All").nth(1).click()
    dialog.get_by_text("Backfill only failed and missing partitions within selection").click()
    screenshot(page, "missing_partitions")
    dialog.get_by_role("button", name=containing("Launch")).click()
    wait_for_partitions(
        ui, library, "image_embeddings", {f"tiny-b|photos-0000{number}" for number in range(4)}
    )
    assert library.library.live("tiny-b").missing == 0


class HeldCatalog:
    """The catalog's write lock: while it is held, no worker commits a checkpoint."""

    def __init__(self, library: Lineage) -> None:
        self._connection = sqlite3.connect(library.home / "catalog.db", timeout=60, isolation_level=None)

    def running_job(self, subject: str) -> tuple[str, int, int] | None:
        """Run, process and images done of a job that has committed; the lock is held where there is one."""
        self._connection.execute("BEGIN IMMEDIATE")
        found: tuple[str, int, int] | None = self._connection.execute(
            "SELECT run_id, pid, done FROM ml_job WHERE subject = ? AND state = 'running' AND done > 0",
            [subject],
        ).fetchone()
        if found is None:
            self.release()
        return found

    def release(self) -> None:
        self._connection.execute("ROLLBACK")


def test_a_killed_worker_is_started_again_and_continues(
    ui: DagsterUi, page: "Page", library: Lineage
) -> None:
    partition = f"tiny-a|{LARGE_SHARD}"
    held = HeldCatalog(library)
    materialize_partition(ui, page, "image_embeddings", partition)
    run_id, pid, done = ui.wait_for(
        lambda: held.running_job(partition), seconds=180, what="a committed checkpoint", every=0.002
    )
    os.kill(pid, signal.SIGKILL)
    held.release()

    ui.wait_for_run(
        lambda run: run.run_id == run_id and run.status == "FAILURE",
        seconds=60,
        what="the mark of the dead run",
    )
    again = ui.wait_for_run(
        lambda run: run.tags.get("dagster/parent_run_id") == run_id, seconds=120, what="the retry"
    )
    ui.wait_for_run(
        lambda run: run.run_id == again.run_id and run.status == "SUCCESS", seconds=180, what="its end"
    )
    total = NEW_PHOTOS - 2
    filter_log(page, ui, again.run_id, "continuing")
    page.get_by_text(f"{partition}: continuing at {done} of {total} images").first.wait_for()
    screenshot(page, "continuing")

    jobs = [job for job in library.library.jobs(JobKind.EMBED) if job.subject == partition]
    assert [job.state for job in jobs] == [JobState.INTERRUPTED, JobState.SUCCEEDED]
    assert (jobs[1].resumed, jobs[1].done) == (done, total)


def test_a_failed_check_opens_on_its_table_and_turns_green_when_mended(
    ui: DagsterUi, page: "Page", library: Lineage
) -> None:
    library.execute("ALTER TABLE event DROP COLUMN cohesion", "DROP INDEX ix_event_model_id_starts_at")
    page.goto(f"{ui.url}/assets/catalog_schema?view=checks&checkDetail=table_event")
    execute = page.get_by_role("button").filter(has_text=re.compile(r"^Execute$"))
    execute.click()
    summary = "2 differences (1 error) between the code and the database, in event."
    page.get_by_text(summary).first.wait_for()
    table = shown_table(page, "what")
    screenshot(page, "failed_check")

    assert table[0] == ["what", "where", "expected → found", "fix"]
    fixes = {(row[0], row[1]): row[3] for row in table[1:]}
    assert fixes == {
        ("error: missing column", "event.cohesion"): "ALTER TABLE event ADD COLUMN cohesion DOUBLE;",
        ("warning: index missing", "event.ix_event_model_id_starts_at"): (
            "CREATE INDEX main.ix_event_model_id_starts_at ON event (model_id, starts_at);"
        ),
    }
    library.execute(*fixes.values())
    execute.click()
    page.get_by_text(containing("The database matches the code")).first.wait_for()
    page.get_by_text("Passed", exact=True).first.wait_for()


def open_check_of_partition(ui: DagsterUi, page: "Page", failed: int) -> None:
    """The result of `embedding_files` for one partition, as its own tab shows it."""
    page.goto(f"{ui.url}/assets/image_embeddings?view=checks&checkDetail=embedding_files")
    page.get_by_role("tab", name="Partitions").nth(1).click()  # the first is of the asset
    page.get_by_text(f"Failed ({failed})", exact=True).wait_for()
    for key in ("tiny-a", "photos-00000"):
        page.get_by_text(key, exact=True).locator("visible=true").first.click()


def test_a_check_of_one_partition_leads_to_it(ui: DagsterUi, page: "Page", library: Lineage) -> None:
    library.miscount("tiny-a|photos-00000", by=1)
    for shard in ("photos-00000", "photos-00001"):  # the later one passes
        library.run_check("image_embeddings", "embedding_files", f"tiny-a|{shard}")
    open_check_of_partition(ui, page, failed=1)
    page.get_by_text(containing("tiny-a|photos-00000: 3 files, 1 problems")).first.wait_for()
    screenshot(page, "failed_partition")

    assert library.materialize_embeddings("tiny-a", "photos-00000").success
    open_check_of_partition(ui, page, failed=0)
    page.get_by_text(containing("tiny-a|photos-00000: 3 files, no problems")).first.wait_for()
