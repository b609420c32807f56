"""The asset checks that are steps of their own: one for each table of the catalog, and those of the stores."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    Output,
    PartitionsDefinition,
    ResourceParam,
    asset_check,
    multi_asset_check,
)

from photolineage.catalog.engine import reading
from photolineage.catalog.orm import Base
from photolineage.lineage import CATALOG_SCHEMA, SERVING_MODEL, Step
from photolineage.settings import Settings
from resources.failures import reported
from resources.home import CatalogResource, StorageResource
from schema_checks.evaluations import evaluation, record_newest
from schema_checks.partition_checks import (
    PARTITION_CHECKS,
    SERVING_EVENTS_CHECK,
    CheckInputs,
    PartitionCheck,
    serving_events_result,
)

LISTED_FAILURES = 20


def catalog_table_checks() -> AssetChecksDefinition:
    """One blocking check for each table of the catalog, so that the UI shows which table failed."""
    tables = sorted(Base.metadata.tables)

    @multi_asset_check(
        name="catalog_tables",
        can_subset=True,  # the UI can run a single check
        specs=[
            AssetCheckSpec(
                f"table_{table}",
                asset=CATALOG_SCHEMA.name,
                blocking=True,
                description=f"The table `{table}` in the database matches the code.",
            )
            for table in tables
        ],
    )
    def catalog_tables(
        context: AssetCheckExecutionContext, catalog: ResourceParam[CatalogResource]
    ) -> Iterator[AssetCheckResult]:
        from photolineage.checks.catalog_contract import report_of
        from schema_checks.check_metadata import contract_result

        selected = {key.name for key in context.selected_asset_check_keys}
        with reported(), reading(catalog.engine) as connection:
            report = report_of(connection)
            for table in (table for table in tables if f"table_{table}" in selected):
                yield contract_result(report.of_table(table), CATALOG_SCHEMA.name, f"table_{table}")

    return catalog_tables


def store_checks(
    partitions_of: Callable[[Step], PartitionsDefinition[Any] | None],
) -> Sequence[AssetChecksDefinition]:
    """The checks of embedding files, index and events, with the partitions of their assets."""

    @asset_check(
        asset=SERVING_MODEL.name,
        name=SERVING_EVENTS_CHECK,
        description="The events of the serving model were computed from its current index.",
    )
    def events_are_current(
        context: AssetCheckExecutionContext, catalog: ResourceParam[CatalogResource]
    ) -> AssetCheckResult:
        result = serving_events_result(catalog)
        record_newest(context.instance, result, context.run.run_id)
        return result

    return [
        *(_partition_check(check, partitions_of(check.step)) for check in PARTITION_CHECKS),
        events_are_current,
    ]


def _partition_check(
    check: PartitionCheck, partitions: PartitionsDefinition[Any] | None
) -> AssetChecksDefinition:
    assert partitions is not None

    @asset_check(  # type: ignore[arg-type]  # Dagster runs a generator too, its type omits it
        asset=check.step.name,
        name=check.name,
        partitions_def=partitions,
        description=check.description,
    )
    def evaluate(
        context: AssetCheckExecutionContext,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
        settings: ResourceParam[Settings],
    ) -> Iterator[AssetCheckResult | AssetCheckEvaluation | Output[None]]:
        inputs = CheckInputs(catalog, storage, settings)
        if context.has_partition_key:
            yield check.result(inputs, context.partition_key)
            return
        if context.has_partition_key_range:
            keys = list(context.partition_keys)
        else:  # "Execute all" in the UI names no partition: it means those that are materialized
            materialized = context.instance.get_materialized_partitions(AssetKey(check.step.name))
            known = partitions.get_partition_keys(dynamic_partitions_store=context.instance)
            keys = [key for key in known if key in materialized]
        failed = []
        for key in keys:
            result = check.result(inputs, key)
            yield evaluation(context.instance, check.step.name, result, key)
            if not result.passed:
                failed.append(f"{key}: {result.description}")
        summary = _summary(len(keys), failed)._replace(check_name=check.name)
        yield evaluation(context.instance, check.step.name, summary, None)
        yield Output(None)

    return evaluate


def _summary(partitions: int, failed: Sequence[str]) -> AssetCheckResult:
    if not partitions:
        return AssetCheckResult(
            passed=False,
            severity=AssetCheckSeverity.WARN,
            description="Not evaluated, because no partition is materialized yet.",
        )
    return AssetCheckResult(
        passed=not failed,
        description=f"{len(failed)} of {partitions} partitions failed: {failed[0]}"
        if failed
        else f"All {partitions} partitions passed.",
        metadata={"partitions": partitions, "failed": "\n".join(failed[:LISTED_FAILURES]) or "none"},
    )
