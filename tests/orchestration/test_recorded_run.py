"""Runs of this process: the UI shows them like its own, and one that somebody ends says so in one line."""

import logging

import pytest
from dagster import DagsterRunStatus, Definitions, RunsFilter, asset, in_process_executor

from assets.orchestration.recorded_run import cause, cause_class, execute_recorded, was_interrupted
from photolineage.errors import PhotolineageError
from photolineage.models.embedder import unload
from resources.failures import StoppedError, failure_reason, reported
from tests.lineage import Lineage

IN_THE_TIMELINE = {".dagster/repository": "__repository__@photolineage"}
"""The timeline asks for the runs of each repository."""


def test_a_run_has_the_code_location_of_the_ui(new_lineage: Lineage) -> None:
    execute_recorded(new_lineage.definitions, new_lineage.instance, "materialize_catalog_schema", None, {})
    result = execute_recorded(
        new_lineage.definitions, new_lineage.instance, "materialize_source_files", "photos", {}
    )
    assert result.success
    assert new_lineage.materialized_partitions("source_files") == {"photos"}
    runs = new_lineage.instance.get_runs(RunsFilter(tags=IN_THE_TIMELINE))
    assert [run.job_name for run in runs] == ["materialize_source_files", "materialize_catalog_schema"]
    (run, _) = runs
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "photolineage"
    assert run.remote_job_origin.job_name == run.job_name
    assert run.tags["dagster/partition"] == "photos"
    assert run.tags["dagster/max_retries"] == "0"


def test_a_run_that_somebody_ends_shows_one_line_and_no_stack_trace(new_lineage: Lineage) -> None:
    @asset
    def photos() -> None:
        raise StoppedError("stopped at a checkpoint, 4 of 10 images; materialize again to continue")

    definitions = Definitions(assets=[photos], executor=in_process_executor)
    result = execute_recorded(definitions, new_lineage.instance, "__ASSET_JOB", None, {})
    assert was_interrupted(result)
    assert cause(result) == "stopped at a checkpoint, 4 of 10 images; materialize again to continue"
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    errors += [event.job_failure_data.error for event in result.all_events if event.is_run_failure]
    assert [(error.message, error.stack, error.cause) for error in errors if error is not None] == [
        (cause(result), [], None)
    ] * 2
    assert result.dagster_run.status is DagsterRunStatus.FAILURE  # nobody has asked Dagster to cancel it


def test_a_refused_run_shows_what_to_do_and_no_stack_trace(new_lineage: Lineage) -> None:
    @asset
    def photos() -> None:
        with reported():
            raise PhotolineageError("this disk is full; free some space")

    definitions = Definitions(assets=[photos], executor=in_process_executor)
    result = execute_recorded(definitions, new_lineage.instance, "__ASSET_JOB", None, {})
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failure_reason(result.all_events) == "this disk is full; free some space"
    assert failed.step_failure_data.user_failure_data is not None  # the UI shows its metadata
    error = failed.step_failure_data.error
    assert error is not None
    assert (error.message, error.stack, error.cause) == ("this disk is full; free some space", [], None)
    assert cause_class(result) == "PhotolineageError"


def test_the_log_of_a_run_says_that_a_model_is_loaded(
    new_lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photolineage.models.embedder.LOG_INTERVAL_SECONDS", 0.01)
    new_lineage.must_materialize("catalog_schema")
    new_lineage.must_materialize("source_files", "photos")
    new_lineage.must_materialize("registered_images", "photos-00000")
    unload()
    run = new_lineage.materialize_embeddings("tiny-a", "photos-00000")
    assert run.success
    said = [
        entry.user_message
        for entry in new_lineage.instance.all_logs(run.run_id)
        if entry.level == logging.INFO and "tiny-a" in entry.user_message
    ]
    folder = new_lineage.library.settings.models["tiny-a"].architecture
    assert f"loading tiny-a ({folder}) …" in said
    assert "loading tiny-a …, 0 s" in said
    (loaded,) = [text for text in said if text.startswith("loaded tiny-a")][:1]
    assert loaded.startswith("loaded tiny-a, ")
    assert " MB, " in loaded
