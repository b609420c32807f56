"""The check `up_to_date` of each asset: whether its partitions were made from the current inputs, and if not, why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    DagsterInstance,
    MetadataValue,
    ResourceParam,
    TableColumn,
    TableRecord,
    TableSchema,
    multi_asset_check,
)

from photolineage.catalog.engine import reading
from photolineage.catalog.queries import has_succeeded, serving_model_key
from photolineage.errors import PhotolineageError
from photolineage.lineage import AUTOMATIC_STEPS, IMAGE_EVENTS, VECTOR_INDEX, JobKind, PartitionedBy, Step
from photolineage.plain_text import without_links
from photolineage.settings import Settings
from resources.failures import require_migrated
from resources.home import CatalogResource, StorageResource
from schema_checks.evaluations import record_change, record_newest
from schema_checks.partition_checks import CheckInputs, serving_events_result

if TYPE_CHECKING:
    from photolineage.steps.stale_reasons import StalePartition

FRESHNESS_CHECK = "up_to_date"
LISTED = 100
NOTHING_YET = "No partition is materialized yet."
NAMED = 2
"""How many stale partitions the description names; the table lists more."""
STALE_COLUMNS = TableSchema(
    [TableColumn("partition", "string"), TableColumn("reason", "string"), TableColumn("images", "int")]
)
WHAT_TO_DO = (
    "Materialize the listed partitions, launch the job refresh_stale, or turn on the sensor stale_partitions."
)


def freshness_checks() -> AssetChecksDefinition:
    """One check for each asset; a failed check is a warning, and blocks no run.

    A partition is stale if its inputs have changed since it was materialized, or if its files are lost. A partition
    that was never materialized is missing, which Dagster shows anyway.
    """

    @multi_asset_check(
        name="freshness",
        can_subset=True,
        specs=[
            AssetCheckSpec(
                FRESHNESS_CHECK,
                asset=step.name,
                description="Every partition was made from its current inputs, and all its files exist. The table "
                "lists the stale partitions and why they are stale. To make them again, launch the job "
                "`refresh_stale`, or turn on the sensor `stale_partitions`.",
            )
            for step in AUTOMATIC_STEPS
        ],
    )
    def freshness(
        context: AssetCheckExecutionContext,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
        settings: ResourceParam[Settings],
    ) -> Iterator[AssetCheckResult]:
        asked = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        steps = [step for step in AUTOMATIC_STEPS if step.name in asked]
        inputs = CheckInputs(catalog, storage, settings)
        yield from freshness_in_run(context.instance, context.run.run_id, inputs, steps)

    return freshness


def freshness_in_run(
    instance: DagsterInstance, run_id: str, inputs: CheckInputs, steps: Sequence[Step]
) -> Iterator[AssetCheckResult]:
    """The results for the steps that a run materializes or checks.

    The steps after them may be stale now. Their results are recorded at once, outside of the run.
    """
    later = [step for step in AUTOMATIC_STEPS if step not in steps and step.comes_after(steps)]
    for result in freshness_of(inputs, [*steps, *later]):
        if result.asset_key in {AssetKey(step.name) for step in steps}:
            record_newest(instance, result, run_id)
            yield result
        elif result.description != NOTHING_YET:
            record_change(instance, result)
    with reading(inputs.catalog.engine) as connection:
        serving = serving_model_key(connection)
    if serving is not None and {VECTOR_INDEX, IMAGE_EVENTS}.intersection(steps):
        record_change(instance, serving_events_result(inputs.catalog))


def freshness_of(inputs: CheckInputs, steps: Sequence[Step]) -> Iterator[AssetCheckResult]:
    """The result of `up_to_date` for each of these steps. Raises Failure if the catalog is of another revision."""
    require_migrated(inputs.catalog)
    try:
        stale = _stale_partitions(inputs, steps)
    except PhotolineageError as error:
        yield from (_failed(step, without_links(str(error)), AssetCheckSeverity.ERROR) for step in steps)
        return
    for step in steps:
        if step.job is not None and not _is_materialized(inputs, step.job):
            yield _failed(step, NOTHING_YET, AssetCheckSeverity.WARN)
        else:
            yield _result(step, stale[step], _stale_before(step, stale))


def _is_materialized(inputs: CheckInputs, kind: JobKind) -> bool:
    with reading(inputs.catalog.engine) as connection:
        return has_succeeded(connection, kind)


def _failed(step: Step, description: str, severity: AssetCheckSeverity) -> AssetCheckResult:
    return AssetCheckResult(
        asset_key=AssetKey(step.name),
        check_name=FRESHNESS_CHECK,
        passed=False,
        severity=severity,
        description=description,
    )


def _stale_partitions(
    inputs: CheckInputs, asked: Sequence[Step]
) -> "Mapping[Step, Sequence[StalePartition]]":
    """The stale partitions by step. If no asked step needs a model, the lists of the steps with a model are empty."""
    from photolineage.steps.lost_files import find_lost_files
    from photolineage.steps.stale_reasons import find_outdated

    storage, settings = inputs.storage, inputs.settings
    with reading(inputs.catalog.engine) as connection:
        models = list(settings.models) if any(step.needs_model for step in asked) else []
        lost = find_lost_files(connection, storage.files, storage.indexes, models)
        return find_outdated(connection, list(settings.sources), models, lost)


def _stale_before(step: Step, stale: "Mapping[Step, Sequence[StalePartition]]") -> str | None:
    """The first stale step before this one. Scans don't count: they are due by the clock."""
    steps = list(AUTOMATIC_STEPS)
    before = [one for one in steps[: steps.index(step)] if one.partitioned_by is not PartitionedBy.SOURCE]
    return next((one.name for one in before if stale[one]), None)


def _result(step: Step, stale: "Sequence[StalePartition]", upstream: str | None) -> AssetCheckResult:
    if stale:
        described = f"{len(stale)} stale: {_named(stale)}. {WHAT_TO_DO}"
    elif upstream is not None:
        described = f"Waits for {upstream}, which is stale."
    else:
        described = "Every partition was made from its current inputs."
    images = sum(one.images or 0 for one in stale)
    metadata = {"stale": MetadataValue.int(len(stale)), "images": MetadataValue.int(images)}
    records = [TableRecord(asdict(one)) for one in stale[:LISTED]]
    return AssetCheckResult(
        asset_key=AssetKey(step.name),
        check_name=FRESHNESS_CHECK,
        passed=not stale and upstream is None,
        severity=AssetCheckSeverity.WARN,
        description=described,
        metadata=metadata | {"partitions": MetadataValue.table(records, STALE_COLUMNS)},
    )


def _named(stale: "Sequence[StalePartition]") -> str:
    named = "; ".join(f"{one.partition} ({one.reason})" for one in stale[:NAMED])
    return f"{named}; and {len(stale) - NAMED} more" if len(stale) > NAMED else named
