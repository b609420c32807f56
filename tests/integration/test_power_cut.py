"""The power is cut with a backfill in flight; after the restart everything completes without a hand."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from photolineage.catalog.orm import ShardFile
from photolineage.catalog.vocabulary import FileKind, JobState
from photolineage.lineage import JobKind
from tests.library import draw_photo
from tests.lineage import Lineage, open_lineage, write_configuration
from workloads.dagster_ui import running_ui

PHOTOS = 240
SHARD = 40


@pytest.fixture
def registered(tmp_path: Path, tiny_models: Mapping[str, Path]) -> Iterator[Lineage]:
    """A library of 240 photos in six shards, registered and not embedded; two partitions make a run."""
    for number in range(PHOTOS):
        draw_photo(tmp_path / f"photos/{number:03}.jpg", number)
    models = {"tiny-a": tiny_models["tiny-a"]}
    config = write_configuration(tmp_path, models, extra="partitions_per_run = 2\n")
    config.write_text(config.read_text().replace("shard_capacity = 10", f"shard_capacity = {SHARD}"))
    with open_lineage(config) as lineage:
        lineage.must_materialize("catalog_schema")
        lineage.must_materialize("source_files", "photos")
        lineage.library.register_all()
        yield lineage


def committed(lineage: Lineage) -> int:
    """How many embeddings are committed."""
    with lineage.library.engine.connect() as connection:
        rows = select(func.coalesce(func.sum(ShardFile.row_count), 0)).where(
            ShardFile.kind == FileKind.EMBEDDING
        )
        return int(connection.execute(rows).scalar_one())


def half_done(lineage: Lineage) -> set[str]:
    """The partitions of which a run has committed a part."""
    return {
        job.subject
        for job in lineage.library.jobs(JobKind.EMBED)
        if job.state == JobState.RUNNING and 0 < job.done < job.total
    }


def test_a_power_cut_in_the_middle_of_a_backfill(registered: Lineage, tmp_path: Path) -> None:
    keys = [f"tiny-a|{shard}" for shard in registered.shards]
    assert len(keys) == PHOTOS // SHARD
    with running_ui(registered.config_file, tmp_path / "before.log") as ui:
        backfill = ui.launch_backfill("image_embeddings", keys)

        def frozen_in_the_middle() -> list[psutil.Process] | None:
            if not committed(registered):
                return None
            frozen = ui.freeze()
            if half_done(registered):
                return frozen
            ui.thaw(frozen)
            return None

        frozen = ui.wait_for(frozen_in_the_middle, seconds=240, what="a checkpoint in the middle", every=0.02)
        ui.cut_power(frozen)
    interrupted = half_done(registered)
    assert 0 < committed(registered) < PHOTOS

    with running_ui(registered.config_file, tmp_path / "after.log") as ui:
        ended = ui.wait_for(lambda: ui.end_of_backfill(backfill), seconds=400, what="the backfill")
        unfinished = [run for run in ui.runs() if run.status not in {"SUCCESS", "FAILURE"}]

    assert ended == "COMPLETED_SUCCESS"
    assert unfinished == []
    assert registered.materialized_partitions("image_embeddings") == set(keys)
    live = registered.library.live()
    assert (committed(registered), len(live.rows), live.missing) == (PHOTOS, PHOTOS, 0)
    attempts = defaultdict(list)
    for job in registered.library.jobs(JobKind.EMBED):
        attempts[job.subject].append(job)
    assert set(attempts) == set(keys)
    for jobs in attempts.values():
        assert [job.state for job in jobs[:-1]] == [JobState.INTERRUPTED] * (len(jobs) - 1)
        assert (jobs[-1].state, jobs[-1].done) == (JobState.SUCCEEDED, SHARD)
        # Each went on where the one before it had committed: the open checkpoint is all that was done again.
        assert [job.resumed for job in jobs] == [0, *(job.done for job in jobs[:-1])]
    assert {subject for subject, jobs in attempts.items() if len(jobs) > 1} >= interrupted
