"""The jobs of upkeep, through Dagster, over a real library."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from dagster import ExecuteInProcessResult, TableMetadataValue

from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from photolineage.steps.freshness import find_stale_models
from photolineage.upgrade.retire import ModelStores, retire_model
from tests.lineage import Lineage, failure_of

TWO_DAYS = 2 * 86_400


def run(lineage: Lineage, job: str, config: dict[str, Any] | None = None) -> ExecuteInProcessResult:
    return lineage.definitions.resolve_job_def(job).execute_in_process(
        instance=lineage.instance, run_config=config, raise_on_error=False
    )


def outputs(result: ExecuteInProcessResult) -> dict[str, Any]:
    assert result.success, failure_of(result)
    (output,) = [event for event in result.all_events if event.is_successful_output]
    return {
        name: [record.data for record in value.records]
        if isinstance(value, TableMetadataValue)
        else value.value
        for name, value in output.step_output_data.metadata.items()
    }


def leave_behind(lineage: Lineage, name: str, *, age: float) -> Path:
    """A file beside the committed ones, as a killed run leaves it."""
    path = lineage.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half a file")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_the_sweep_removes_what_no_row_names_and_is_old(lineage: Lineage) -> None:
    before = set(lineage.files())
    old = [
        leave_behind(lineage, "embeddings/tiny-a/photos-00000/.partial-7.parquet", age=TWO_DAYS),
        leave_behind(lineage, "previews/gone-00000/1.arrow", age=TWO_DAYS),
    ]
    young = leave_behind(lineage, "embeddings/tiny-a/photos-00001/9.parquet", age=0)
    dry_run = {"dry_run": True}

    said = outputs(run(lineage, "sweep_files", dry_run))
    assert (said["removed"], sorted(said["garbage"])) == (0, sorted(map(str, old)))
    assert all(path.exists() for path in old)

    assert outputs(run(lineage, "sweep_files"))["removed"] == 2
    assert set(lineage.files()) == before | {str(young.relative_to(lineage.home))}
    assert outputs(run(lineage, "sweep_files"))["removed"] == 0


def test_the_sweep_removes_an_old_export_that_was_killed(lineage: Lineage) -> None:
    exports = [f"text_encoders/.partial-tiny-b-{'d' * 16}.{name}" for name in ("left", "at_work")]
    left, at_work = (
        leave_behind(lineage, f"{export}/made/text.onnx", age=age)
        for export, age in zip(exports, (TWO_DAYS, 0), strict=True)
    )

    said = outputs(run(lineage, "sweep_files"))

    assert (said["removed"], said["garbage"]) == (1, [str(left)])
    assert not left.parents[1].exists()
    assert at_work.exists()


def test_exports_that_were_killed_do_not_make_the_sweep_refuse_a_small_library(lineage: Lineage) -> None:
    names = ("text.onnx", "tokenizer.json", "facts.json")
    for number in range(6):
        for name in names:
            leave_behind(lineage, f"text_encoders/.partial-tiny-b.{number}/made/{name}", age=TWO_DAYS)
    files = [path for path in lineage.files() if path.startswith(("previews/", "embeddings/"))]
    assert 0 < len(files) < 18

    assert outputs(run(lineage, "sweep_files"))["removed"] == 18


def test_the_sweep_refuses_the_catalog_of_another_home(lineage: Lineage) -> None:
    files = lineage.files()
    for path in files:
        os.utime(lineage.home / path, (time.time() - TWO_DAYS, time.time() - TWO_DAYS))
    lineage.execute("DELETE FROM shard_file")
    result = run(lineage, "sweep_files")
    assert "have no row in the catalog" in failure_of(result)
    assert lineage.files() == files


def test_indexes_are_made_compact_and_stay_as_new(lineage: Lineage) -> None:
    (row,) = outputs(run(lineage, "maintain_indexes"))["indexes"]
    assert (row["model"], row["rows"], row["approximate index"]) == (
        "tiny-a",
        26,
        "not needed",
    )
    assert row["fragments"] == 1
    with lineage.library.engine.connect() as connection:
        assert find_stale_models(connection, ["tiny-a"], JobKind.INDEX) == []


def test_an_index_that_is_being_built_is_left_alone(lineage: Lineage) -> None:
    timeout = lineage.library.context().lease_timeout
    acquire_lease(
        lineage.library.engine, JobKind.INDEX, "tiny-a", run_id="another", input_version="", timeout=timeout
    )
    assert outputs(run(lineage, "maintain_indexes")) == {}


@pytest.mark.parametrize("change", ["lost", "retired and configured again"])
def test_an_index_that_is_not_there_holds_up_no_other(lineage: Lineage, change: str) -> None:
    for shard in lineage.shards:
        lineage.materialize_embeddings("tiny-b", shard)
    lineage.must_materialize("vector_index", "tiny-b")
    if change == "lost":
        shutil.rmtree(lineage.home / "index/tiny-a.lance")
    else:
        assert lineage.materialize("serving_model", config={"model": "tiny-b"}).success
        stores = ModelStores(lineage.library.files, lineage.library.indexes)
        retire_model(lineage.library.context(), stores, "tiny-a", configured=())
    (row,) = outputs(run(lineage, "maintain_indexes"))["indexes"]
    assert row["model"] == "tiny-b"
    assert JobState.FAILED not in [job.state for job in lineage.library.jobs(JobKind.INDEX)]


@pytest.mark.parametrize("job", ["sweep_files", "maintain_indexes", "check_freshness"])
def test_without_a_catalog_the_first_step_is_named(new_lineage: Lineage, job: str) -> None:
    result = run(new_lineage, job)
    assert "has no tables yet. Materialize catalog_schema, or run `photolineage migrate`." in failure_of(
        result
    )
