"""The job `refresh_stale`: it launches one backfill of every stale partition and of what depends on it."""

import time

from dagster import (
    AssetKey,
    Config,
    DagsterInstance,
    JobDefinition,
    MarkdownMetadataValue,
    MetadataValue,
    OpExecutionContext,
    Output,
    ResourceParam,
    TableRecord,
    job,
    op,
)
from pydantic import Field

from assets.orchestration.launchpad import fields_of
from assets.orchestration.partitions import dagster_key, partitions_of
from photolineage.catalog.engine import reading
from photolineage.settings import Settings
from resources.dagster_internals import (
    AssetGraphSubset,
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
    make_new_backfill_id,
)
from resources.failures import reported, require_migrated
from resources.home import CatalogResource, StorageResource

LISTED = 200
TITLE = "Stale partitions"


class RefreshStaleConfig(Config):
    """What to materialize besides the stale partitions."""

    missing: bool = Field(
        default=False,
        description="Also materialize partitions that were never materialized, such as new shards and new models.",
    )


def refresh_stale_job() -> JobDefinition:
    """The job, for the Dagster UI, whose dialogs offer only failed and missing partitions."""

    @op(description="Lists the stale partitions and what depends on them, and launches one backfill of them.")
    def launch_backfill(
        context: OpExecutionContext,
        config: RefreshStaleConfig,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
        settings: ResourceParam[Settings],
    ) -> Output[None]:
        from photolineage.steps.lost_files import find_lost_files
        from photolineage.steps.refresh import plan_refresh
        from photolineage.steps.tree_walk import why_unavailable

        require_migrated(catalog)
        if (going_on := _going_on(context.instance)) is not None:
            context.log.info(f"Backfill {going_on} goes on. Launch this job again when it has ended.")
            return Output(None, metadata={"partitions": 0, "backfill": _link(going_on)})
        there = [key for key, source in settings.sources.items() if why_unavailable(source.root) is None]
        with reported(), reading(catalog.engine) as connection:
            lost = find_lost_files(connection, storage.files, storage.indexes, list(settings.models))
            plan = plan_refresh(connection, there, list(settings.models), lost, missing=config.missing)
        if not plan:
            context.log.info("Nothing is stale.")
            return Output(None, metadata={"partitions": 0})
        subsets = {}
        for step, subjects in plan.items():
            partitions = partitions_of(step, settings)
            assert partitions is not None
            keys = [dagster_key(step, subject) for subject in subjects]
            subsets[AssetKey(step.name)] = partitions.empty_subset().with_partition_keys(keys)
        backfill_id = make_new_backfill_id()
        context.instance.add_backfill(
            PartitionBackfill.from_asset_graph_subset(
                backfill_id=backfill_id,
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=context.instance,
                asset_graph_subset=AssetGraphSubset(subsets, set()),  # type: ignore[call-arg]  # Dagster's stub
                title=TITLE,
                description="Launched by the job refresh_stale.",
                run_config=None,
            )
        )
        count = sum(map(len, plan.values()))
        context.log.info(f"Backfill {backfill_id} was launched: {count:,} partitions. See Runs → Backfills.")
        rows = [TableRecord({"asset": step.name, "partition": one}) for step in plan for one in plan[step]]
        return Output(
            None,
            metadata={
                "partitions": count,
                "backfill": _link(backfill_id),
                "stale": MetadataValue.table(rows[:LISTED]),
            },
        )

    @job(
        name="refresh_stale",
        config=fields_of("launch_backfill", RefreshStaleConfig),
        description="Launches one backfill of every stale partition, and of what depends on it, up to the events. The "
        "dialogs of the UI offer only failed and missing partitions. **Needs** `catalog_schema`. **Next:** open the "
        "backfill under Runs → Backfills.",
    )
    def refresh_stale() -> None:
        launch_backfill()

    return refresh_stale


def _going_on(instance: DagsterInstance) -> str | None:
    """The id of a backfill that this job has launched and that goes on."""
    filters = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    return next((one.backfill_id for one in instance.get_backfills(filters) if one.title == TITLE), None)


def _link(backfill_id: str) -> MarkdownMetadataValue:
    return MetadataValue.md(f"[{backfill_id}](/runs/b/{backfill_id})")
