"""The sensor `library_status_page`: it refreshes the asset `library_status` by the clock and when runs have ended."""

import time
from collections.abc import Mapping

from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    TableMetadataValue,
    sensor,
)

from assets.library_status import RATE_COLUMNS, AllChecks, status_metadata
from photolineage.catalog.migrate import UnmigratedCatalogError, require_current
from photolineage.lineage import LIBRARY_STATUS
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource

SECONDS_BETWEEN_LOOKS = 30
SECONDS_WHILE_RUNS_GO_ON = 900
SECONDS_OTHERWISE = 3600
SECONDS_WITHOUT_CHANGE = 86_400
"""A page on which nothing has changed is recorded again only after a day: each one adds about 100 kB to Dagster's event
log, because of the pictures."""
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
        description="Refreshes the page library_status as soon as the last run has ended, every 15 minutes while runs "
        "go on, and every hour, if anything on it has changed. Needs: catalog_schema. Next: open the asset "
        "library_status.",
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
        event = context.instance.get_latest_materialization_event(AssetKey(LIBRARY_STATUS.name))
        made_at = event.timestamp if event is not None else 0.0
        if not _is_due(context.instance, max(made_at, float(context.cursor or 0))):
            return SkipReason("The page is up to date.")
        now = time.time()
        metadata = dict(status_metadata(context.instance, catalog, storage, settings, all_checks.keys))
        page = AssetMaterialization(AssetKey(LIBRARY_STATUS.name), metadata=metadata)
        changed = event is None or _content(event.asset_materialization) != _content(page)
        if not changed and now - made_at < SECONDS_WITHOUT_CHANGE:
            return SensorResult(skip_reason="Nothing on the page has changed.", cursor=str(now))
        return SensorResult(asset_events=[page], cursor=str(now))

    return library_status_page


def _content(page: AssetMaterialization | None) -> Mapping[str, object]:
    """What the page shows, without rates and times, which differ after each scan."""
    if page is None:
        return {}
    return {
        name: [
            {column: cell for column, cell in record.data.items() if column not in RATE_COLUMNS}
            for record in value.records
        ]
        if isinstance(value, TableMetadataValue)
        else value.value
        for name, value in page.metadata.items()
    }


def _is_due(instance: DagsterInstance, looked_at: float) -> bool:
    """Whether nobody has looked for long, or a run has ended since then and no other run is going on."""
    age = time.time() - looked_at
    if age >= SECONDS_OTHERWISE:
        return True
    if instance.get_runs(RunsFilter(statuses=UNFINISHED), limit=1):
        return age >= SECONDS_WHILE_RUNS_GO_ON
    newest = instance.get_run_records(limit=1, order_by="update_timestamp")
    ended_at = newest[0].end_time if newest else None
    return ended_at is not None and ended_at > looked_at
