"""The sensor `library_status_page`: it refreshes the asset `library_status` by the clock and when runs have ended."""

import time

from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterRunStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from assets.library_status import AllChecks, status_metadata
from photolineage.catalog.migrate import UnmigratedCatalogError, require_current
from photolineage.lineage import LIBRARY_STATUS
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource

SECONDS_BETWEEN_LOOKS = 30
SECONDS_WHILE_RUNS_GO_ON = 900
SECONDS_OTHERWISE = 3600
"""The oldest that the page gets. Each refresh adds about 100 kB to Dagster's event log, because of the pictures."""
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def status_page_sensor() -> SensorDefinition:
    """Refreshes the page without a run, so that it doesn't wait in the queue and doesn't fill the list of runs."""

    @sensor(
        name="library_status_page",
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Refreshes the page library_status every hour, as soon as the last run has ended, and every 15 "
        "minutes while runs go on. Needs: catalog_schema. Next: open the asset library_status.",
    )
    def library_status_page(
        context: SensorEvaluationContext,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
        settings: ResourceParam[Settings],
        all_checks: ResourceParam[AllChecks],
    ) -> SensorResult | SkipReason:
        try:
            require_current(catalog.engine)
        except UnmigratedCatalogError as error:
            return SkipReason(str(error))
        if not _is_due(context):
            return SkipReason("The page is up to date.")
        metadata = status_metadata(context.instance, catalog, storage, settings, all_checks.keys)
        return SensorResult(
            asset_events=[AssetMaterialization(AssetKey(LIBRARY_STATUS.name), metadata=dict(metadata))]
        )

    return library_status_page


def _is_due(context: SensorEvaluationContext) -> bool:
    """Whether the page is old, or a run has ended since it was made and no other run is going on."""
    event = context.instance.get_latest_materialization_event(AssetKey(LIBRARY_STATUS.name))
    age = time.time() - event.timestamp if event is not None else float("inf")
    if age >= SECONDS_OTHERWISE:
        return True
    if context.instance.get_runs(RunsFilter(statuses=UNFINISHED), limit=1):
        return age >= SECONDS_WHILE_RUNS_GO_ON
    newest = context.instance.get_run_records(limit=1, order_by="update_timestamp")
    ended_at = newest[0].end_time if newest else None
    return ended_at is not None and event is not None and ended_at > event.timestamp
