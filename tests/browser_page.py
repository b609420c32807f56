"""What a person does on the pages of the Dagster UI, and the pictures that the documentation shows."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from workloads.dagster_ui import DagsterUi, Run

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CHROMIUM = Path("/usr/bin/chromium")
SCREENSHOTS = "PHOTOLINEAGE_SCREENSHOTS"
"""Names the folder into which the tests save their pictures (`make screenshots`); without it they save none."""


def screenshot(page: "Page", name: str) -> None:
    """Save the page for the documentation, where it is asked for."""
    folder = os.environ.get(SCREENSHOTS)
    if folder:
        page.wait_for_timeout(2000)  # the layout, the fonts and the animations settle
        page.screenshot(path=Path(folder) / f"{name}.png")


def partition_address(ui: DagsterUi, asset: str, partition: str) -> str:
    return f"{ui.url}/assets/{asset}?view=partitions&partition={quote(partition)}"


def materialize_partition(
    ui: DagsterUi, page: "Page", asset: str, partition: str, *, before_its_inputs: bool = False
) -> None:
    """Choose a partition of an asset and press Materialize; Dagster asks again where its inputs are not there yet."""
    page.goto(partition_address(ui, asset, partition))
    chosen = page.get_by_text(partition, exact=True).locator("visible=true")
    listed_too = "|" not in partition  # a key of one dimension is in the list and above its metadata
    chosen.nth(int(listed_too)).wait_for()
    page.get_by_role("button", name="Materialize…").click()
    if before_its_inputs:
        page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    page.get_by_role("dialog").get_by_role("button", name="Launch 1 run").click()


def metadata_on_page(page: "Page", name: str) -> str:
    """The value beside a metadata entry's name."""
    cells = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True)).get_by_role("cell")
    cells.first.wait_for()
    return str(cells.nth(1).inner_text()).strip()


def filter_log(page: "Page", ui: DagsterUi, run_id: str, text: str) -> None:
    """Open a run and show the entries of its log that contain a text."""
    page.goto(f"{ui.url}/runs/{run_id}")
    page.get_by_placeholder("Filter…").fill(text)


def shown_table(page: "Page", first_column: str) -> list[list[str]]:
    """The rows of the table on the page whose first column has this name."""
    tables = page.get_by_role("table").filter(
        has=page.get_by_role("columnheader", name=first_column, exact=True)
    )
    rows = tables.last.get_by_role("row")
    rows.first.wait_for()
    return [[str(cell) for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()]


def containing(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text))


def open_groups(page: "Page", assets: Sequence[str]) -> None:
    """Show the assets of all groups in the lineage: at first, Dagster shows only the groups."""
    page.get_by_text("catalog", exact=True).first.wait_for()
    page.keyboard.press("Alt+KeyE")
    for asset in assets:
        page.locator("foreignObject").get_by_text(asset, exact=True).first.wait_for()


def open_launchpad(ui: DagsterUi, page: "Page", job: str) -> "Locator":
    """The launchpad of a job of assets, which opens as a dialog."""
    page.goto(f"{ui.url}/locations/photolineage/jobs/{job}")
    page.get_by_role("button", name="Materialize").locator("xpath=following::button[1]").click()
    page.get_by_text("Open launchpad").click()
    return page.get_by_role("dialog")


def configuration(page: "Page", within: "Page | Locator") -> list[str]:
    """The lines of the launchpad's editor."""
    lines = within.locator(".CodeMirror-line")
    lines.first.wait_for()
    page.wait_for_timeout(500)  # the defaults come after the editor
    return [text for line in lines.all_inner_texts() if (text := line.strip("\u200b"))]


def write_configuration(page: "Page", within: "Page | Locator", *lines: str) -> None:
    within.locator(".CodeMirror-lines").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("\n".join(lines))


def ended(ui: DagsterUi, job: str, already: list[Run]) -> Run:
    known = {run.run_id for run in already}
    return ui.wait_for_run(
        lambda run: run.job == job and run.run_id not in known and run.status in {"SUCCESS", "FAILURE"},
        seconds=180,
        what=job,
    )
