"""The check `up_to_date` of each asset: whether its partitions have seen the inputs that there are now."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from dagster import (
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

from assets.running import require_migrated
from catalog.queries import find_model
from pipeline.freshness import StaleSubject, find_stale_work
from resources.dagster_resources import CatalogResource
from resources.settings import Settings

FRESHNESS_CHECK = "up_to_date"
UNSCANNED_FOR = timedelta(days=2)
LISTED = 100


def freshness_checks() -> AssetChecksDefinition:
    """One check an asset; they warn, and block nothing. A model that was never used is missing, not stale."""
    assets = ("source_files", "registered_images", "image_embeddings", "vector_index", "image_events")

    @multi_asset_check(
        name="freshness",
        specs=[
            AssetCheckSpec(
                FRESHNESS_CHECK,
                asset=asset,
                description="Every partition has seen its present inputs. Where it has not, the table names those "
                "to materialize; the sensor `stale_partitions` does it by itself.",
            )
            for asset in assets
        ],
    )
    def freshness(catalog: CatalogResource, settings: ResourceParam[Settings]) -> Iterator[AssetCheckResult]:
        require_migrated(catalog)
        with catalog.engine.connect() as connection:
            models = [key for key in settings.models if find_model(connection, key) is not None]
            work = find_stale_work(connection, list(settings.sources), models, UNSCANNED_FOR)
        upstream = None
        for asset, stale in zip(
            assets, (work.sources, work.shards, work.embeddings, work.indexes, work.events), strict=True
        ):
            yield _result(asset, stale, upstream)
            if stale and asset != "source_files":
                upstream = upstream or asset

    return freshness


def _result(asset: str, stale: Sequence[StaleSubject], upstream: str | None) -> AssetCheckResult:
    if stale:
        described = f"{len(stale)} stale: materialize what the table lists, or turn on stale_partitions."
    elif upstream is not None:
        described = f"Waits for {upstream}, which is stale."
    else:
        described = "Every partition has seen its present inputs."
    listed = MetadataValue.table([TableRecord({"partition": subject.subject}) for subject in stale[:LISTED]])
    return AssetCheckResult(
        asset_key=AssetKey(asset),
        check_name=FRESHNESS_CHECK,
        passed=not stale and upstream is None,
        severity=AssetCheckSeverity.WARN,
        description=described,
        metadata={"stale": len(stale)} | ({"partitions": listed} if stale else {}),
    )


def check_freshness_job(checks: AssetChecksDefinition) -> UnresolvedAssetJobDefinition:
    """The job that asks every asset whether it is stale."""
    return define_asset_job(
        "check_freshness",
        selection=AssetSelection.checks(checks),
        description="Asks every asset whether its partitions have seen the files, images and embeddings that there "
        "are now; changes nothing. **Next:** materialize what its checks `up_to_date` list.",
    )
