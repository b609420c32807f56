"""Searches that a new model loses, and its promotion, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photolineage.catalog.queries import serving_model_key
from tests.browser_page import (
    configuration,
    containing,
    ended,
    materialize_partition,
    open_launchpad,
    shown_table,
    write_configuration,
)
from tests.lineage import copy_library, open_lineage
from tests.pinned import TEXT, Pinned
from workloads.dagster_ui import DagsterUi, running_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory, library_of_two_folder: Path, browser: "Browser"
) -> Iterator[Pinned]:
    """A library whose serving model finds two pinned photos, and whose other model loses one of them."""
    config = copy_library(library_of_two_folder, tmp_path_factory.mktemp("pinned"))
    with open_lineage(config) as lineage:
        library = Pinned(lineage)
        library.pin(library.lost())
        library.pin(library.found_by_both(), within=8)
        yield library


@pytest.fixture(scope="module")
def ui(library: Pinned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterUi]:
    log = tmp_path_factory.mktemp("pinned-ui") / "ui.log"
    with running_ui(library.lineage.config_file, log) as ui:
        yield ui


def promote(ui: DagsterUi, page: "Page", config: str) -> str:
    """Launch `promote_model` from its launchpad. Returns the state in which its run ends."""
    dialog = open_launchpad(ui, page, "promote_model")
    assert configuration(page, dialog) == ["force: false", "model: (the serving model)"]
    write_configuration(page, dialog, config)
    dialog.get_by_text("No errors").wait_for()
    before = ui.runs()
    dialog.get_by_role("button", name=containing("Materialize")).last.click()
    return ended(ui, "promote_model", before).status


def serving(library: Pinned) -> str | None:
    with library.library.engine.connect() as connection:
        return serving_model_key(connection)


def test_the_check_shows_what_the_new_model_loses(ui: DagsterUi, page: "Page", library: Pinned) -> None:
    materialize_partition(ui, page, "model_comparison", "tiny-b")
    ui.wait_for_run(
        lambda run: "model_comparison" in run.assets and run.status in {"SUCCESS", "FAILURE"},
        seconds=180,
        what="the comparison",
    )
    page.goto(f"{ui.url}/assets/model_comparison?view=checks&checkDetail=pinned_searches")
    page.get_by_text(containing("tiny-b loses 1 of 2 pinned searches that tiny-a finds")).first.wait_for()
    table = shown_table(page, "pin")
    assert table[0] == ["pin", "search", "result", "rank with tiny-a", "rank with tiny-b", "within", "photo"]
    assert [(row[0], row[2]) for row in table[1:]] == [("1", "lost"), ("2", "found")]
    assert TEXT in table[1][1]

    page.get_by_text("[Show Markdown]").last.click()
    picture = page.get_by_role("dialog").get_by_alt_text("The expected photo, and the hits in its place")
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 800


def test_a_model_that_loses_a_search_is_promoted_only_by_force(
    ui: DagsterUi, page: "Page", library: Pinned
) -> None:
    assert promote(ui, page, "model: tiny-b") == "FAILURE"
    assert serving(library) == "tiny-a"

    assert promote(ui, page, "model: tiny-b\nforce: true") == "SUCCESS"
    assert serving(library) == "tiny-b"
