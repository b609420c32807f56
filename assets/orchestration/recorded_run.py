"""A run that this process executes, recorded like a run that the UI has launched; and why it failed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from dagster import DagsterEventType, DagsterInstance, Definitions, JobExecutionResult

from assets.orchestration.dead_runs import process_tag
from resources.dagster_internals import (
    MAX_RETRIES_TAG,
    InMemoryJob,
    RemoteRepositoryOrigin,
    RunFailureReason,
    execute_run,
    location_origins_from_yaml_paths,
)
from resources.failures import failure_reason

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def execute_recorded(
    definitions: Definitions,
    instance: DagsterInstance,
    job_name: str,
    partition_key: str | None,
    run_config: Mapping[str, Any],
) -> JobExecutionResult:
    """Execute a job in this process, without log lines on the terminal.

    The run has the code location of `workspace.yaml`, so the UI shows it in the timeline and can re-execute it. It is
    not retried automatically.
    """
    job = definitions.resolve_job_def(job_name)
    (location,) = location_origins_from_yaml_paths([str(WORKSPACE)])
    repository = RemoteRepositoryOrigin(location, definitions.get_repository_def().name)
    run_id = str(uuid4())
    run = instance.create_run_for_job(
        job,
        run_id=run_id,
        run_config={**QUIET, **run_config},
        tags={
            **job.run_tags,
            **({} if partition_key is None else job.get_tags_for_partition_key(partition_key, None)),
            **process_tag(run_id),
            MAX_RETRIES_TAG: "0",
        },
        remote_job_origin=repository.get_job_origin(job_name),
    )
    return execute_run(InMemoryJob(job), run, instance)


def was_interrupted(result: JobExecutionResult) -> bool:
    """Whether somebody asked the run to end."""
    return any(
        event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION
        for event in result.all_events
        if event.event_type is DagsterEventType.RUN_FAILURE
    )


def cause_class(result: JobExecutionResult) -> str | None:
    """The class of the error that made the step fail."""
    errors = (event.step_failure_data.error for event in result.all_events if event.is_step_failure)
    return next(((error.cause or error).cls_name for error in errors if error is not None), None)


def cause(result: JobExecutionResult) -> str:
    """Why the run failed: the message of the failed step, or else the failed checks."""
    if reason := failure_reason(event for event in result.all_events if event.is_step_failure):
        return reason
    failed = [
        f"{evaluation.check_name}: {evaluation.description}"
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed
    ]
    return "; ".join(failed) or "failed; see the run in the Dagster UI"
