"""What every asset does around its plain function: check the contract, record partitions, report failures."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster import (
    AssetExecutionContext,
    DagsterExecutionInterruptedError,
)

from resources.dagster_internals import PARENT_RUN_ID_TAG, RETRY_NUMBER_TAG
from resources.failures import reported
from resources.home import CatalogResource
from resources.own_server import warning

if TYPE_CHECKING:
    from photolineage.steps.jobs import JobContext


def job_context(context: AssetExecutionContext, catalog: CatalogResource) -> "JobContext":
    """The context in which this run's jobs work."""
    from photolineage.steps.jobs import JobContext

    return JobContext(catalog.engine, context.run.run_id, catalog.lease_timeout)


def warn_of_plain_server(context: AssetExecutionContext) -> None:
    """Say in the log of the run if its server forgets it, and has no guard and no limits."""
    if (unprotected := warning()) is not None:
        context.log.warning(unprotected)


def first_attempt(context: AssetExecutionContext) -> str:
    """The id of the run that a person or the sensor launched: this run, or the one that it automatically retries."""
    run = context.run
    while RETRY_NUMBER_TAG in run.tags:
        parent = context.instance.get_run_by_id(run.tags[PARENT_RUN_ID_TAG])
        if parent is None:  # somebody deleted it
            break
        run = parent
    return run.run_id


@contextmanager
def reported_failures() -> Iterator[None]:
    """`reported`, and turns an interruption at a checkpoint into DagsterExecutionInterruptedError."""
    from photolineage.steps.jobs import InterruptedAtCheckpointError

    try:
        with reported():
            yield
    except InterruptedAtCheckpointError as interruption:
        raise DagsterExecutionInterruptedError(str(interruption)) from interruption
