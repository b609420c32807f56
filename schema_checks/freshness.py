"""The check `up_to_date` of each asset: whether its partitions were made from the current inputs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    ResourceParam,
    TableRecord,
    multi_asset_check,
)

from photolineage.catalog.engine import reading
from photolineage.catalog.queries import has_succeeded, materialized_versions
from photolineage.lineage import JOB_STEPS, JobKind, PartitionedBy, Step
from photolineage.settings import Settings
from resources.failures import require_migrated
from resources.home import CatalogResource, StorageResource
from schema_checks.partition_checks import CheckInputs

FRESHNESS_CHECK = "up_to_date"
UNSCANNED_FOR = timedelta(days=2)
LISTED = 100


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
                "lists the stale partitions: materialize them, or turn on the sensor `stale_partitions`.",
            )
            for step in JOB_STEPS.values()
        ],
    )
    def freshness(
        context: AssetCheckExecutionContext,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
        settings: ResourceParam[Settings],
    ) -> Iterator[AssetCheckResult]:
        asked = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        steps = [step for step in JOB_STEPS.values() if step.name in asked]
        yield from freshness_of(CheckInputs(catalog, storage, settings), steps)

    return freshness


def freshness_of(inputs: CheckInputs, steps: Sequence[Step]) -> Iterator[AssetCheckResult]:
    """The result of `up_to_date` for each of these steps. Raises Failure if the catalog is of another revision."""
    require_migrated(inputs.catalog)
    stale = _stale_partitions(inputs, steps)
    for step in steps:
        if step.job is not None and not _is_materialized(inputs, step.job):
            yield _nothing_yet(step)
        else:
            yield _result(step, stale[step], _stale_before(step, stale))


def _is_materialized(inputs: CheckInputs, kind: JobKind) -> bool:
    with reading(inputs.catalog.engine) as connection:
        return has_succeeded(connection, kind)


def _nothing_yet(step: Step) -> AssetCheckResult:
    return AssetCheckResult(
        asset_key=AssetKey(step.name),
        check_name=FRESHNESS_CHECK,
        passed=False,
        severity=AssetCheckSeverity.WARN,
        description="No partition is materialized yet.",
    )


def _stale_partitions(inputs: CheckInputs, asked: Sequence[Step]) -> dict[Step, list[str]]:
    """The stale partitions by step. If no asked step needs a model, the lists of the steps with a model are empty."""
    from photolineage.steps.freshness import find_stale_work
    from photolineage.steps.lost_files import find_lost_files

    storage, settings = inputs.storage, inputs.settings
    with reading(inputs.catalog.engine) as connection:
        models = list(settings.models) if any(step.needs_model for step in asked) else []
        lost = find_lost_files(connection, storage.files, storage.indexes, models)
        work = find_stale_work(connection, list(settings.sources), models, UNSCANNED_FOR, lost)
        outdated = work.by_step()
        known = {
            step: materialized_versions(connection, kind) if outdated[step] else {}
            for kind, step in JOB_STEPS.items()
        }
    return {
        step: [stale.subject for stale in subjects if stale.subject in known[step]]
        for step, subjects in outdated.items()
    }


def _stale_before(step: Step, stale: Mapping[Step, Sequence[str]]) -> str | None:
    """The first stale step before this one. Scans don't count: they are due by the clock."""
    steps = list(JOB_STEPS.values())
    before = [one for one in steps[: steps.index(step)] if one.partitioned_by is not PartitionedBy.SOURCE]
    return next((one.name for one in before if stale[one]), None)


def _result(step: Step, stale: Sequence[str], upstream: str | None) -> AssetCheckResult:
    if stale:
        described = (
            f"{len(stale)} stale: materialize the listed partitions, or turn on the sensor stale_partitions."
        )
    elif upstream is not None:
        described = f"Waits for {upstream}, which is stale."
    else:
        described = "Every partition was made from its current inputs."
    metadata: dict[str, MetadataValue[Any]] = {"stale": MetadataValue.int(len(stale))}
    if stale:
        records = [TableRecord({"partition": subject}) for subject in stale[:LISTED]]
        metadata["partitions"] = MetadataValue.table(records)
    return AssetCheckResult(
        asset_key=AssetKey(step.name),
        check_name=FRESHNESS_CHECK,
        passed=not stale and upstream is None,
        severity=AssetCheckSeverity.WARN,
        description=described,
        metadata=metadata,
    )
