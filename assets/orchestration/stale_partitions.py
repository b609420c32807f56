"""The sensor `stale_partitions`: it launches the assets' jobs for new and changed photos."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from photolineage.catalog.engine import reading
from photolineage.catalog.migrate import UnmigratedCatalogError, require_current
from photolineage.catalog.queries import shard_keys
from photolineage.lineage import AUTOMATIC_STEPS, STEPS, PartitionedBy, Step
from photolineage.settings import Settings
from resources.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    UnresolvedAssetJobDefinition,
)
from resources.home import CatalogResource, StorageResource

if TYPE_CHECKING:
    from photolineage.steps.freshness import StaleSubject, StaleWork

VERSION_TAG = ".dagster/photolineage-version-"
"""The prefix of the tags of the sensor's runs and their retries: one for each partition, with its version. The UI does
not show tags that begin with `.dagster/`."""
ATTEMPTS_COUNTED = 8
"""With a scan every ten minutes, a partition that always fails is tried about once a day in the end."""
PARTITIONS_PER_TICK = 400
RUNS_PER_TICK = 100
"""Limits per tick: the sensor looks up each partition in Dagster's storage, and Dagster queues each run, so a tick with
thousands would take longer than the interval. A hundred runs don't finish before the next tick."""


def stale_partitions_sensor(
    jobs: Mapping[Step, UnresolvedAssetJobDefinition], settings: Settings
) -> SensorDefinition:
    """Launches the asset's job for the stale partitions: once for each version, and again after failures.

    One run takes up to `partitions_per_run` shards of one source, for embeddings with one model. It records each
    partition when it is done, so if one of them fails, only that one is asked for again.
    After each failure a run takes half as many, so a partition that kills its process holds up no other for long.
    A failed partition is tried again after the next scan of its source, because an unplugged disk may be back by then.
    A canceled partition is tried again only when its inputs change; a canceled scan is tried again when it is due.
    """

    @sensor(
        name="stale_partitions",
        jobs=[jobs[step] for step in AUTOMATIC_STEPS],
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=DefaultSensorStatus.STOPPED,
        description="Processes new, changed and missing photos automatically, from the scan to the events: it scans "
        "the sources every few minutes (rescan_minutes in photolineage.toml), and launches runs for the partitions "
        "whose inputs have changed or whose files are lost. Materialize catalog_schema first, then turn the sensor on.",
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
        with reading(catalog.engine) as connection:
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
        known = context.instance.get_dynamic_partitions(str(SHARDS.name))
        unknown = sorted(set(shards).difference(known))
        asked = _next_after(context.cursor, work)
        attempts = [
            attempt
            for step, stale in asked
            if (attempt := _next_attempt(context.instance, step, stale, rescan_after)) is not None
        ]
        batches = _batches(attempts, [*known, *unknown], settings.partitions_per_run)
        if len(batches) > RUNS_PER_TICK:
            batches = batches[:RUNS_PER_TICK]
            asked = [(attempt.step, attempt.stale) for attempt in batches[-1]]
        return SensorResult(
            run_requests=[_request(batch) for batch in batches],
            dynamic_partitions_requests=[SHARDS.build_add_request(unknown)] if unknown else [],
            cursor=_position(*asked[-1]),
        )

    return stale_partitions


def _next_after(cursor: str | None, work: "StaleWork") -> "list[tuple[Step, StaleSubject]]":
    """The next partitions after those of the last tick. All get a turn, even if some fail every time."""
    stale = [(step, subject) for step, subjects in work.by_step().items() for subject in subjects]
    ordered = sorted(stale, key=lambda one: _position(*one))
    begin = bisect_right(ordered, cursor or "", key=lambda one: _position(*one))
    return (ordered[begin:] + ordered[:begin])[:PARTITIONS_PER_TICK]


def _position(step: Step, stale: "StaleSubject") -> str:
    """A sort key: steps in the order of the lineage, then subjects."""
    return f"{STEPS.index(step):02d} {stale.subject}"


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A partition to ask for now. `run_key`: of a run of it alone. `former`: how often it was tried before."""

    step: Step
    stale: "StaleSubject"
    run_key: str
    former: int


def _next_attempt(
    instance: DagsterInstance, step: Step, stale: "StaleSubject", rescan_after: timedelta
) -> _Attempt | None:
    """The next attempt at a version; None while an attempt is in progress or none is due.

    The second attempt is due after the next scan; each further attempt waits twice as long, up to a day.
    """
    attempts = instance.get_run_records(RunsFilter(tags=_version_tag(step, stale)), limit=ATTEMPTS_COUNTED)
    if not attempts:
        return _Attempt(step, stale, _version(step, stale), 0)
    run, ended_at = attempts[0].dagster_run, datetime.fromtimestamp(attempts[0].end_time or 0.0, UTC)
    is_scan = step.partitioned_by is PartitionedBy.SOURCE
    waits = timedelta(0) if is_scan else rescan_after * (2 ** (len(attempts) - 1) - 1)
    is_due = (
        stale.retry_before is not None
        and ended_at < stale.retry_before
        and ended_at + waits <= datetime.now(UTC)
    )
    may_be_repeated = run.is_finished and (run.status != DagsterRunStatus.CANCELED or is_scan)
    if not (may_be_repeated and is_due):
        return None
    return _Attempt(step, stale, f"{_version(step, stale)}:after-{run.run_id}", len(attempts))


def _version(step: Step, stale: "StaleSubject") -> str:
    return f"{step.name}:{stale.subject}:{stale.version}"


def _version_tag(step: Step, stale: "StaleSubject") -> dict[str, str]:
    """A tag of its own for each partition: Dagster finds runs by whole tags, and a run has one value for each key."""
    partition = hashlib.sha256(f"{step.name}:{stale.subject}".encode()).hexdigest()[:16]
    return {f"{VERSION_TAG}{partition}": _version(step, stale)}


def _batches(attempts: Iterable[_Attempt], shards: Sequence[str], size: int) -> list[list[_Attempt]]:
    """The partitions of each run: at most `size`, of one step, model and source, tried as often, without a gap.

    Dagster describes the partitions of a run as a range of `shards`, which are in the order in which they were added.
    """
    places = {shard: place for place, shard in enumerate(shards)}
    batches: list[list[_Attempt]] = []
    last = None
    for attempt in attempts:
        subject = attempt.step.subject(attempt.stale.subject)
        group = (attempt.step, subject.model, subject.source, attempt.former)
        place = places[subject.shard] if attempt.step.fails_alone and subject.shard is not None else None
        if place is not None and last == (group, place - 1) and len(batches[-1]) < size >> attempt.former:
            batches[-1].append(attempt)
        else:
            batches.append([attempt])
        last = (group, place)
    return batches


def _request(batch: Sequence[_Attempt]) -> RunRequest:
    """The request for one run. The same partitions, versions and former attempts have the same run key."""
    step, first, last = batch[0].step, batch[0].stale.subject, batch[-1].stale.subject
    tags: dict[str, str] = {}
    for attempt in batch:
        tags |= _version_tag(step, attempt.stale)
    if len(batch) == 1:
        return RunRequest(
            run_key=batch[0].run_key,
            job_name=step.job_name,
            partition_key=dagster_key(step, first),
            tags=tags,
        )
    keys = hashlib.sha256("\n".join(attempt.run_key for attempt in batch).encode()).hexdigest()[:16]
    return RunRequest(
        run_key=f"{step.name}:{first}…{last}:{keys}",
        job_name=step.job_name,
        tags=tags | {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last},
    )
