"""The sensor `stale_partitions`: it launches the assets' jobs for new and changed photos."""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from assets.orchestration.partitions import SHARDS, dagster_key
from photolineage.catalog.migrate import UnmigratedCatalogError, require_current
from photolineage.catalog.queries import shard_keys
from photolineage.lineage import JOB_STEPS, STEPS, PartitionedBy, Step
from photolineage.settings import Settings
from resources.dagster_internals import UnresolvedAssetJobDefinition
from resources.home import CatalogResource, StorageResource

if TYPE_CHECKING:
    from photolineage.steps.freshness import StaleSubject, StaleWork

VERSION_TAG = "photolineage/version"
"""The tag of the sensor's runs and their retries: the step, the partition and its version."""
ATTEMPTS_COUNTED = 8
"""With a scan every ten minutes, a partition that always fails is tried about once a day in the end."""
RUNS_ASKED_FOR_AT_ONCE = 100
"""A limit per tick: Dagster looks up each partition in its storage and queues each run, so a tick with thousands would
take longer than the interval. A hundred runs don't finish before the next tick."""


def stale_partitions_sensor(
    jobs: Mapping[Step, UnresolvedAssetJobDefinition], settings: Settings
) -> SensorDefinition:
    """Launches the asset's job for each stale partition: once for each version, and again after failures.

    A failed partition is tried again after the next scan of its source, because an unplugged disk may be back by then.
    A canceled partition is tried again only when its inputs change; a canceled scan is tried again when it is due.
    """

    @sensor(
        name="stale_partitions",
        jobs=[jobs[step] for step in JOB_STEPS.values()],
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=DefaultSensorStatus.STOPPED,
        description="Processes new, changed and missing photos automatically, from the scan to the events: it scans "
        "the sources every `rescan_minutes`, and launches runs for the partitions whose inputs have changed or whose "
        "files are lost. **Needs** `catalog_schema`. **Next:** turn it on.",
    )
    def stale_partitions(
        context: SensorEvaluationContext,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
        settings: ResourceParam[Settings],
    ) -> SensorResult | SkipReason:
        from photolineage.steps.freshness import find_stale_work
        from photolineage.steps.lost_files import find_lost_files
        from photolineage.steps.tree_walk import why_unavailable

        try:
            require_current(catalog.engine)
        except UnmigratedCatalogError as error:
            return SkipReason(str(error))
        rescan_after = timedelta(minutes=settings.rescan_minutes)
        with catalog.engine.connect() as connection:
            work = find_stale_work(
                connection,
                [key for key, source in settings.sources.items() if why_unavailable(source.root) is None],
                list(settings.models),
                rescan_after,
                find_lost_files(connection, storage.files, storage.indexes, list(settings.models)),
            )
            shards = shard_keys(connection)
        if not work.count():
            return SkipReason("Everything is up to date.")
        known = set(context.instance.get_dynamic_partitions(str(SHARDS.name)))
        unknown = [shard for shard in shards if shard not in known]
        asked = _next_after(context.cursor, work)
        return SensorResult(
            run_requests=[
                _request(step, stale, run_key)
                for step, stale in asked
                if (run_key := _run_key(context.instance, step, stale, rescan_after)) is not None
            ],
            dynamic_partitions_requests=[SHARDS.build_add_request(unknown)] if unknown else [],
            cursor=_position(*asked[-1]),
        )

    return stale_partitions


def _next_after(cursor: str | None, work: "StaleWork") -> "list[tuple[Step, StaleSubject]]":
    """The next partitions after those of the last tick. All get a turn, even if some fail every time."""
    stale = [(step, subject) for step, subjects in work.by_step().items() for subject in subjects]
    ordered = sorted(stale, key=lambda one: _position(*one))
    begin = bisect_right(ordered, cursor or "", key=lambda one: _position(*one))
    return (ordered[begin:] + ordered[:begin])[:RUNS_ASKED_FOR_AT_ONCE]


def _position(step: Step, stale: "StaleSubject") -> str:
    """A sort key: steps in the order of the lineage, then subjects."""
    return f"{STEPS.index(step):02d} {stale.subject}"


def _run_key(
    instance: DagsterInstance, step: Step, stale: "StaleSubject", rescan_after: timedelta
) -> str | None:
    """The run key for the next attempt at a version; None while an attempt is in progress or none is due.

    The second attempt is due after the next scan; each further attempt waits twice as long, up to a day.
    """
    attempts = instance.get_run_records(
        RunsFilter(tags={VERSION_TAG: _version(step, stale)}), limit=ATTEMPTS_COUNTED
    )
    if not attempts:
        return _version(step, stale)
    run, ended_at = attempts[0].dagster_run, datetime.fromtimestamp(attempts[0].end_time or 0.0, UTC)
    is_scan = step.partitioned_by is PartitionedBy.SOURCE
    waits = timedelta(0) if is_scan else rescan_after * (2 ** (len(attempts) - 1) - 1)
    is_due = (
        stale.retry_before is not None
        and ended_at < stale.retry_before
        and ended_at + waits <= datetime.now(UTC)
    )
    may_be_repeated = run.is_finished and (run.status != DagsterRunStatus.CANCELED or is_scan)
    return f"{_version(step, stale)}:after-{run.run_id}" if may_be_repeated and is_due else None


def _version(step: Step, stale: "StaleSubject") -> str:
    return f"{step.name}:{stale.subject}:{stale.version}"


def _request(step: Step, stale: "StaleSubject", run_key: str) -> RunRequest:
    return RunRequest(
        run_key=run_key,
        job_name=step.job_name,
        partition_key=dagster_key(step, stale.subject),
        tags={VERSION_TAG: _version(step, stale)},
    )
