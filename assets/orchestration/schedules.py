"""The schedules: contract check, freshness check, maintenance, and nightly scans (off by default)."""

from collections.abc import Iterator, Mapping

from dagster import (
    DefaultScheduleStatus,
    JobDefinition,
    ResourceParam,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from photolineage.catalog.migrate import UnmigratedCatalogError, require_current
from photolineage.lineage import SOURCE_FILES, Step
from photolineage.settings import Settings
from resources.dagster_internals import UnresolvedAssetJobDefinition
from resources.home import CatalogResource

Job = JobDefinition | UnresolvedAssetJobDefinition


def clock_schedules(
    asset_jobs: Mapping[Step, Job], contract: Job, freshness: Job, indexes: Job, sweep: Job
) -> list[ScheduleDefinition]:
    """All schedules of the lineage."""
    return [
        nightly_rescan(asset_jobs[SOURCE_FILES]),
        _running(
            "daily_contract_check",
            contract,
            "0 6 * * *",
            "Compares the tables of the catalog with the code every morning.",
        ),
        _running(
            "hourly_freshness_check",
            freshness,
            "17 * * * *",
            "Looks for stale partitions of every asset every hour.",
        ),
        _running(
            "nightly_index_maintenance",
            indexes,
            "30 3 * * *",
            "Compacts the vector indexes every night.",
        ),
        _running(
            "nightly_sweep", sweep, "0 4 * * *", "Removes files that killed runs left behind every night."
        ),
    ]


def _running(name: str, job: Job, cron: str, description: str) -> ScheduleDefinition:
    """A schedule that is on by default, and skips while the catalog is not at the revision of the code."""

    @schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        default_status=DefaultScheduleStatus.RUNNING,
        description=description,
    )
    def by_the_clock(catalog: ResourceParam[CatalogResource]) -> RunRequest | SkipReason:
        try:
            require_current(catalog.engine)
        except UnmigratedCatalogError as error:
            return SkipReason(str(error))
        return RunRequest()

    return by_the_clock


def nightly_rescan(job: Job) -> ScheduleDefinition:
    """A nightly scan of every source, off by default: for users who turn off the sensor."""

    @schedule(
        name="nightly_rescan",
        job=job,
        cron_schedule="0 3 * * *",
        default_status=DefaultScheduleStatus.STOPPED,
        description="Scans every source each night. Turn it on if the sensor stale_partitions is off: new photos "
        "then show as missing or stale partitions, which you materialize yourself.",
    )
    def rescan(
        context: ScheduleEvaluationContext, settings: ResourceParam[Settings]
    ) -> Iterator[RunRequest | SkipReason]:
        present = [key for key, source in settings.sources.items() if source.root.is_dir()]
        if not present:
            yield SkipReason(
                "No source is available: plug in its disk, or add a source to photolineage.toml."
            )
        for key in present:
            at = context.scheduled_execution_time
            yield RunRequest(run_key=f"{key}:{at:%Y-%m-%dT%H:%M}", partition_key=key)

    return rescan
