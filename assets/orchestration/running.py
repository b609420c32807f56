"""What every asset does around its plain function: check the contract, record partitions, report failures."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    DagsterExecutionInterruptedError,
    Failure,
    MaterializeResult,
    MetadataValue,
)

from assets.orchestration.dagster_internals import RETRY_NUMBER_TAG, ROOT_RUN_ID_TAG
from photolineage.lineage import Step
from resources.failures import reported
from resources.home import CatalogResource

if TYPE_CHECKING:
    from photolineage.steps.jobs import JobContext

CONTRACT_CHECK = "catalog_contract"


def job_context(context: AssetExecutionContext, catalog: CatalogResource) -> "JobContext":
    """The context in which this run's jobs work."""
    from photolineage.steps.jobs import JobContext

    return JobContext(catalog.engine, context.run.run_id, catalog.lease_timeout)


def first_attempt(context: AssetExecutionContext) -> str:
    """The id of the run that a person or the sensor launched: this run, or the first run if this is a retry."""
    tags = context.run.tags
    return tags[ROOT_RUN_ID_TAG] if RETRY_NUMBER_TAG in tags else context.run.run_id


def guard(catalog: CatalogResource, step: Step) -> Iterator[AssetCheckResult]:
    """Yields the result of the step's contract check; raises Failure if the check failed."""
    from photolineage.checks.catalog_contract import contract_report
    from schema_checks.check_metadata import contract_metadata, difference_table

    with reported():
        report = contract_report(catalog.engine, step.tables)
    yield AssetCheckResult(
        check_name=CONTRACT_CHECK,
        asset_key=AssetKey(step.name),
        passed=report.holds,
        severity=AssetCheckSeverity.ERROR,
        description=report.summary,
        metadata=contract_metadata(report),
    )
    if not report.holds:
        raise Failure(
            description=f"{report.summary} Nothing was written.",
            metadata={"differences": difference_table(report.drifts)},
            allow_retries=False,
        )


def materialized(
    context: AssetExecutionContext,
    step: Step,
    partition_key: str,
    metadata: Mapping[str, MetadataValue[Any]],
) -> Iterator[MaterializeResult[None]]:
    """Records a partition as materialized when it is done, so that it is kept if the run is killed later.

    In a run of one partition, the result is yielded, so that Dagster runs the asset's checks. In a run of several, the
    asset must be skippable.
    """
    if len(context.partition_keys) == 1:
        yield MaterializeResult(asset_key=step.name, metadata=metadata)
    else:
        context.log_event(AssetMaterialization(step.name, partition=partition_key, metadata=metadata))


class PartitionFailures:
    """Collects the failures of a run of several partitions, so that the other partitions go on.

    An interruption ends the run at once. All other errors are kept, and fail the run at its end.
    """

    def __init__(self, context: AssetExecutionContext) -> None:
        self._context = context
        self._reasons: dict[str, list[str]] = {}
        self._only_error: Exception | None = None

    @contextmanager
    def kept(self, partition_keys: Sequence[str]) -> Iterator[None]:
        """Keeps an error that the block raises as the failure of these partitions."""
        try:
            with reported_failures(self._context):
                yield
        except Exception as error:
            if len(self._context.partition_keys) == 1:
                self._only_error = error
                return
            # Keep only the text: the traceback of the error would keep the model in memory.
            reason = str(
                error.description if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
            )
            self._reasons.setdefault(reason, []).extend(partition_keys)
            self._context.log.error(f"{', '.join(partition_keys)}: {reason}", exc_info=error)

    def raise_at_end(self) -> None:
        """Raises the error of the run's only partition, or a Failure that lists all failed partitions and reasons."""
        if self._only_error is not None:
            raise self._only_error
        if self._reasons:
            failed, partitions = sum(map(len, self._reasons.values())), len(self._context.partition_keys)
            others = "The other partitions are materialized." if failed < partitions else ""
            reasons = "\n".join(f"- {', '.join(keys)}: {reason}" for reason, keys in self._reasons.items())
            raise Failure(
                description=f"{failed} of {partitions} partitions failed. {others}\n{reasons}",
                metadata={"failed_partitions": failed},
                allow_retries=False,
            )


@contextmanager
def reported_failures(context: AssetExecutionContext) -> Iterator[None]:
    """`reported`, and turns an interruption at a checkpoint into DagsterExecutionInterruptedError."""
    from photolineage.steps.jobs import InterruptedAtCheckpointError

    try:
        with reported():
            yield
    except InterruptedAtCheckpointError as interruption:
        context.log.info(str(interruption))
        raise DagsterExecutionInterruptedError(str(interruption)) from interruption
