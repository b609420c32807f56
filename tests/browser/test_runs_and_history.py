"""A run of the command line in the Dagster UI: it is listed, re-executed, retried, and ended by a person."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from photolineage.settings import CONFIG_VARIABLE
from tests.browser_page import screenshot
from tests.lineage import Lineage, registered_shard
from workloads.dagster_ui import PHOTOLINEAGE, DagsterUi, Run, running_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHOTOS = 1200
JOB = "materialize_image_embeddings"
OWN_TAGS = "photolineage-"


@pytest.fixture
def library(tmp_path: Path, tiny_models: Mapping[str, Path], browser: "Browser") -> Iterator[Lineage]:
    """One shard of 1,200 photos, registered and not embedded."""
    with registered_shard(tmp_path, tiny_models["tiny-a"], PHOTOS) as lineage:
        yield lineage


def process_that_embeds(library: Lineage, ui: DagsterUi | None, run_id: str | None = None) -> int:
    """The process of the run that has just committed a checkpoint."""

    def embedding() -> int | None:
        for job in library.library.jobs(JobKind.EMBED):
            if job.state == JobState.RUNNING and job.done > job.resumed and run_id in {None, job.run_id}:
                return int(job.pid)
        return None

    waiting = ui or DagsterUi("", psutil.Process())
    return waiting.wait_for(embedding, seconds=180, what="a checkpoint", every=0.02)


def run_on_the_command_line_until_it_is_ended(library: Lineage) -> None:
    environment = os.environ | {CONFIG_VARIABLE: str(library.config_file)}
    command = subprocess.Popen([PHOTOLINEAGE, "run"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        process_that_embeds(library, None)
        command.send_signal(signal.SIGTERM)
        _, said = command.communicate(timeout=120)
    finally:
        command.kill()
    assert "Interrupted: stopped at a checkpoint, " in " ".join(said.split())


def child_of(ui: DagsterUi, parent: Run) -> Run:
    return ui.wait_for_run(
        lambda run: run.tags.get("dagster/parent_run_id") == parent.run_id,
        seconds=120,
        what=f"a run that repeats {parent.run_id}",
    )


def test_a_run_of_the_command_line_is_re_executed_retried_and_ended(
    library: Lineage, page: "Page", tmp_path: Path
) -> None:
    run_on_the_command_line_until_it_is_ended(library)
    with running_ui(library.config_file, tmp_path / "ui.log") as ui:
        failed = ui.wait_for_run(
            lambda run: run.status == "FAILURE" and run.job == JOB, seconds=60, what="the run"
        )
        page.goto(f"{ui.url}/overview/activity/timeline")
        page.get_by_role("link", name=JOB).first.wait_for()
        page.goto(f"{ui.url}/runs")
        page.get_by_text(JOB).first.wait_for()
        page.get_by_text("tiny-a|photos-00000").first.wait_for()
        assert OWN_TAGS not in page.inner_text("body")

        page.goto(f"{ui.url}/runs/{failed.run_id}")
        page.get_by_role("button", name="Re-execute all").click()
        again = child_of(ui, failed)
        os.kill(process_that_embeds(library, ui, again.run_id), signal.SIGKILL)
        retry = child_of(ui, again)
        assert "dagster/retry_number" not in again.tags
        assert "dagster/retry_number" in retry.tags

        process = psutil.Process(process_that_embeds(library, ui, retry.run_id))
        page.goto(f"{ui.url}/runs/{retry.run_id}")
        page.get_by_role("button", name="Terminate").first.click()
        process.suspend()  # or it might be done before it is asked
        page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
        ui.wait_for_run(
            lambda run: run.run_id == retry.run_id and run.status == "CANCELING",
            seconds=60,
            what="the request",
        )
        process.resume()
        ui.wait_for_run(
            lambda run: run.run_id == retry.run_id and run.status == "CANCELED", seconds=120, what="the end"
        )
        page.goto(f"{ui.url}/runs/{retry.run_id}")
        job = library.library.jobs(JobKind.EMBED)[-1]
        line = f"stopped at a checkpoint, {job.done:,} of {PHOTOS:,} images; materialize again to continue"
        page.get_by_text(line).first.wait_for()
        assert 0 < job.done < PHOTOS
        assert "Traceback" not in page.inner_text("body")
        assert "Stack Trace" not in page.inner_text("body")
        screenshot(page, "stopped")
