"""The check `up_to_date` of each asset: whether its partitions have seen the inputs that there are now."""

from collections.abc import Iterator, Sequence, Set
from datetime import timedelta
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    AssetSelection,
    MetadataValue,
    ResourceParam,
    TableRecord,
    define_asset_job,
    multi_asset_check,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from photolineage.catalog.orm import JobKind
from photolineage.catalog.queries import materialized_versions
from photolineage.settings import Settings
from resources.failures import require_migrated
from resources.home import CatalogResource, StorageResource

FRESHNESS_CHECK = "up_to_date"
UNSCANNED_FOR = timedelta(days=2)
LISTED = 100
JOB_KINDS = {
    "source_files": JobKind.SCAN,
    "registered_images": JobKind.REGISTER,
    "image_embeddings": JobKind.EMBED,
    "vector_index": JobKind.INDEX,
    "image_events": JobKind.CLUSTER,
}


def freshness_checks() -> AssetChecksDefinition:
    """One check an asset; they warn, and block nothing.

    A partition is stale when it was materialized from other inputs than there are now; one that never was is
    missing, which Dagster shows by itself.
    """

    @multi_asset_check(
        name="freshness",
        can_subset=True,
        specs=[
            AssetCheckSpec(
                FRESHNESS_CHECK,
                asset=asset,
                description="No partition was made from other inputs than there are now, and no file of one is "
                "lost. Where there is such a partition, the table names it: materialize it, or turn on the sensor "
                "`stale_partitions`.",
            )
            for asset in JOB_KINDS
        ],
    )
    def freshness(
        context: AssetCheckExecutionContext,
        catalog: CatalogResource,
        storage: StorageResource,
        settings: ResourceParam[Settings],
    ) -> Iterator[AssetCheckResult]:
        require_migrated(catalog)
        asked = {key.asset_key.to_user_string() for key in context.selected_asset_check_keys}
        stale = _stale_partitions(catalog, storage, settings, asked)
        for position, asset in enumerate(JOB_KINDS):
            if asset in asked:
                upstream = next((name for name in list(JOB_KINDS)[1:position] if stale[name]), None)
                yield _result(asset, stale[asset], upstream)

    return freshness


def _stale_partitions(
    catalog: CatalogResource, storage: StorageResource, settings: Settings, asked: Set[str]
) -> dict[str, list[str]]:
    """By asset; what lies behind all the assets that are asked about is not looked at, and left empty."""
    from photolineage.steps.freshness import find_stale_work
    from photolineage.steps.lost_files import find_lost_files

    with catalog.engine.connect() as connection:
        models = list(settings.models) if asked - {"source_files", "registered_images"} else []
        lost = find_lost_files(connection, Path(storage.home), models)
        work = find_stale_work(connection, list(settings.sources), models, UNSCANNED_FOR, lost)
        outdated = (work.sources, work.shards, work.embeddings, work.indexes, work.events)
        known = {
            asset: materialized_versions(connection, kind) if stale else {}
            for (asset, kind), stale in zip(JOB_KINDS.items(), outdated, strict=True)
        }
    return {
        asset: [stale.subject for stale in subjects if stale.subject in known[asset]]
        for asset, subjects in zip(JOB_KINDS, outdated, strict=True)
    }


def _result(asset: str, stale: Sequence[str], upstream: str | None) -> AssetCheckResult:
    if stale:
        described = f"{len(stale)} stale: materialize what the table lists, or turn on stale_partitions."
    elif upstream is not None:
        described = f"Waits for {upstream}, which is stale."
    else:
        described = "Every partition has seen its present inputs."
    metadata: dict[str, MetadataValue[Any]] = {"stale": MetadataValue.int(len(stale))}
    if stale:
        records = [TableRecord({"partition": subject}) for subject in stale[:LISTED]]
        metadata["partitions"] = MetadataValue.table(records)
    return AssetCheckResult(
        asset_key=AssetKey(asset),
        check_name=FRESHNESS_CHECK,
        passed=not stale and upstream is None,
        severity=AssetCheckSeverity.WARN,
        description=described,
        metadata=metadata,
    )


def check_freshness_job(checks: AssetChecksDefinition) -> UnresolvedAssetJobDefinition:
    """The job that asks every asset whether it is stale."""
    return define_asset_job(
        "check_freshness",
        selection=AssetSelection.checks(checks),
        description="Asks every asset whether its partitions have seen the files, images and embeddings that there "
        "are now; changes nothing. **Needs** `catalog_schema`. **Next:** materialize what the checks `up_to_date` "
        "list.",
    )
