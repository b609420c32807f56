"""The schedules: contract check, freshness check, maintenance; and, off by default, nightly scans and verification."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

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

from assets.orchestration.partitions import SHARDS
from photolineage.catalog.engine import reading
from photolineage.catalog.migrate import UnmigratedCatalogError, require_current
from photolineage.lineage import SOURCE_FILES, VERIFIED_ORIGINALS, Step
from photolineage.settings import Settings
from resources.dagster_internals import UnresolvedAssetJobDefinition
from resources.home import CatalogResource

LATER_THAN_OTHERS = {"dagster/priority": "-1"}
"""The queue starts other runs first."""

Job = JobDefinition | UnresolvedAssetJobDefinition


def clock_schedules(
    asset_jobs: Mapping[Step, Job], contract: Job, freshness: Job, indexes: Job, sweep: Job
) -> list[ScheduleDefinition]:
    """All schedules of the lineage."""
    return [
        nightly_rescan(asset_jobs[SOURCE_FILES]),
        nightly_verification(asset_jobs[VERIFIED_ORIGINALS]),
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


def nightly_verification(job: Job) -> ScheduleDefinition:
    """Verifies some shards of each source every night, off by default: it reads the originals again."""

    @schedule(
        name="nightly_verification",
        job=job,
        cron_schedule="0 1 * * *",
        default_status=DefaultScheduleStatus.STOPPED,
        description="Looks for bit rot: each night it reads the originals of some shards of each source again "
        "(partitions_per_run in photolineage.toml), those first that were verified longest ago, and each at most every "
        "30 days (verification.every_days). Turn it on if your disks may be read at night.",
    )
    def verification(
        context: ScheduleEvaluationContext,
        settings: ResourceParam[Settings],
        catalog: ResourceParam[CatalogResource],
    ) -> Iterator[RunRequest | SkipReason]:
        from photolineage.steps.tree_walk import why_unavailable
        from photolineage.steps.verify import find_due

        try:
            require_current(catalog.engine)
        except UnmigratedCatalogError as error:
            yield SkipReason(str(error))
            return
        known = set(context.instance.get_dynamic_partitions(str(SHARDS.name)))
        every = timedelta(days=settings.verification.every_days)
        due = []
        for key, source in settings.sources.items():
            if why_unavailable(source.root) is None:
                with reading(catalog.engine) as connection:
                    shards = [shard for shard in find_due(connection, key, every) if shard in known]
                due += shards[: settings.partitions_per_run]
        if not due:
            yield SkipReason("Every shard of the sources that are there was verified lately.")
        for shard in due:
            at = context.scheduled_execution_time
            yield RunRequest(
                run_key=f"{shard}:{at:%Y-%m-%dT%H:%M}", partition_key=shard, tags=LATER_THAN_OTHERS
            )

    return verification
