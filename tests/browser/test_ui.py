"""The daily work in the Dagster UI, in a real browser."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.dagster_ui import DagsterUi, running_ui
from tests.lineage import Lineage, copy_library, open_lineage

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = Path("/usr/bin/chromium")
SCREENSHOTS = "PHOTOLINEAGE_SCREENSHOTS"
ASSETS = [
    "catalog_schema",
    "source_files",
    "registered_images",
    "image_embeddings",
    "vector_index",
    "image_events",
    "serving_model",
]
PARTITION = "tiny-b|photos-00000"

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="there is no /usr/bin/chromium: apt-get install chromium"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, built_library_folder: Path) -> Iterator[Lineage]:
    """A built library, two of whose tables have drifted so that a check of them failed."""
    folder = tmp_path_factory.mktemp("ui-library")
    with open_lineage(copy_library(built_library_folder, folder)) as lineage:
        lineage.execute("ALTER TABLE event DROP COLUMN cohesion", "DROP INDEX ix_event_image_image_id")
        assert not lineage.materialize("image_events", "tiny-a").success
        yield lineage


@pytest.fixture(scope="module")
def ui(library: Lineage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUi]:
    with running_ui(library.config_file, tmp_path_factory.mktemp("ui") / "ui.log") as ui:
        yield ui


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: "sync_api.Browser") -> Iterator["sync_api.Page"]:
    page = browser.new_page(viewport={"width": 1500, "height": 900})
    page.set_default_timeout(60_000)
    yield page
    page.close()


def screenshot(page: "sync_api.Page", name: str) -> None:
    """Save the page for the documentation, where its folder is named."""
    folder = os.environ.get(SCREENSHOTS)
    if folder:
        page.wait_for_timeout(1500)  # the layout and the fonts settle
        page.screenshot(path=Path(folder) / name)


def test_the_graph_shows_the_lineage_in_order(ui: DagsterUi, page: "sync_api.Page") -> None:
    page.goto(f"{ui.url}/asset-groups")
    boxes = {}
    for asset in ASSETS:
        node = page.locator("foreignObject").get_by_text(asset, exact=True).first
        node.wait_for()
        boxes[asset] = node.bounding_box()
    screenshot(page, "lineage.png")

    places = [(box["x"], box["y"]) for box in boxes.values() if box is not None]
    assert len(places) == len(ASSETS)
    chain = places[:5]
    along = 0 if chain[-1][0] - chain[0][0] > chain[-1][1] - chain[0][1] else 1
    assert [place[along] for place in chain] == sorted(place[along] for place in chain)
    assert places[5][along] > places[4][along]
    assert places[6][along] > places[4][along]


def metadata_on_page(page: "sync_api.Page", name: str) -> str:
    """The value beside a metadata entry's name."""
    cells = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True)).get_by_role("cell")
    cells.first.wait_for()
    return str(cells.nth(1).inner_text()).strip()


def test_a_partition_is_materialized_by_clicking(
    ui: DagsterUi, page: "sync_api.Page", library: Lineage
) -> None:
    assert PARTITION not in library.materialized_partitions("image_embeddings")
    address = f"{ui.url}/assets/image_embeddings?view=partitions&partition={quote(PARTITION)}"
    page.goto(address)
    page.get_by_role("button", name="Materialize…").click()
    page.get_by_role("dialog").get_by_role("button", name="Launch 1 run").click()
    ui.wait_for(
        lambda: PARTITION in library.materialized_partitions("image_embeddings") or None,
        seconds=180,
        what=PARTITION,
    )

    page.goto(address)
    assert metadata_on_page(page, "images") == "10"
    assert metadata_on_page(page, "embedded_now") == "10"
    assert metadata_on_page(page, "embedding_dim") == "24"
    screenshot(page, "partition.png")
    assert library.library.live("tiny-b").missing == 16


def test_a_failed_check_shows_its_table_of_differences(ui: DagsterUi, page: "sync_api.Page") -> None:
    page.goto(f"{ui.url}/assets/image_events?view=checks&checkDetail=catalog_contract")
    summary = re.compile(
        r"^2 differences \(\d errors\) between the ORM and the database in event, event_image\.$"
    )
    page.get_by_text(summary).first.wait_for()
    page.get_by_text("[Show Markdown]").first.click()
    rows = page.get_by_role("dialog").get_by_role("row")
    rows.first.wait_for()
    shown = [[str(cell) for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()]

    assert shown[0] == ["what", "where", "the model says", "the database says", "severity", "fix"]
    fixes = {(row[0], row[1]): row[5] for row in shown[1:]}
    assert fixes == {
        ("missing column", "event.cohesion"): "ALTER TABLE event ADD COLUMN cohesion DOUBLE;",
        ("index missing", "event_image.ix_event_image_image_id"): (
            "CREATE INDEX ix_event_image_image_id ON event_image (image_id);"
        ),
    }
    screenshot(page, "failed_check.png")
