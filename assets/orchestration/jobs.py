"""The jobs of the assets, and the sensor that carries new photos through the lineage by them."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import (
    AssetSelection,
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
    define_asset_job,
    sensor,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.orchestration.partitions import SHARDS, model_shard_key
from photolineage.catalog.migrate import UnmigratedCatalogError, require_current
from photolineage.catalog.queries import shard_keys
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource

if TYPE_CHECKING:
    from photolineage.steps.freshness import StaleSubject, StaleWork

VERSION_TAG = "photolineage/version"
"""On a run that the sensor asked for, and on those that retry it: the partition and the version that it is for."""
ATTEMPTS_COUNTED = 8
"""With a scan every ten minutes, what fails each time is tried once a day in the end."""
RUNS_ASKED_FOR_AT_ONCE = 100
"""Dagster looks each partition up in its storage, and each run takes a moment to be queued: a tick of thousands would
take longer than the interval. A hundred partitions are far more than are done before the next tick."""

SCAN = "source_files"
STALE_ASSETS = (SCAN, "registered_images", "image_embeddings", "vector_index", "image_events")
ASSETS = ("catalog_schema", *STALE_ASSETS, "model_comparison", "serving_model")


def lineage_jobs() -> dict[str, UnresolvedAssetJobDefinition]:
    """One job an asset, by the asset's name."""
    return {
        asset: define_asset_job(
            f"materialize_{asset}",
            selection=[asset],
            description=f"Materializes `{asset}` and runs its checks: what a launch from the asset's own page does. "
            f"**Needs** and **next:** see the asset.",
        )
        for asset in ASSETS
    }


def check_contract_job() -> UnresolvedAssetJobDefinition:
    """The job that holds every table of the catalog against the ORM."""
    return define_asset_job(
        "check_contract",
        selection=AssetSelection.checks_for_assets("catalog_schema"),
        description="Holds every table of the catalog against the ORM; changes nothing. **Needs** "
        "`catalog_schema`. **Next:** each failed check opens on a table that says what differs and what mends it.",
    )


def stale_partitions_sensor(
    jobs: Mapping[str, UnresolvedAssetJobDefinition], settings: Settings
) -> SensorDefinition:
    """Asks for what is stale, by the asset's job: each version of it once, and once more where that did not help.

    However its run failed, it is asked for again when its source was scanned since: a disk that was unplugged is back
    then. What somebody has canceled waits for its inputs to change.
    """

    @sensor(
        name="stale_partitions",
        jobs=[jobs[asset] for asset in STALE_ASSETS],
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=DefaultSensorStatus.STOPPED,
        description="Turn it on, and new, changed and gone photos go through to events by themselves: it scans "
        "the sources every `rescan_minutes`, and asks for exactly the partitions whose inputs have changed, each "
        "version of them once, or whose files are lost. **Needs** `catalog_schema`.",
    )
    def stale_partitions(
        context: SensorEvaluationContext,
        catalog: CatalogResource,
        storage: StorageResource,
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
                find_lost_files(connection, Path(storage.home), list(settings.models)),
            )
            shards = shard_keys(connection)
        if not work.count():
            return SkipReason("Everything is up to date.")
        known = set(context.instance.get_dynamic_partitions(str(SHARDS.name)))
        unknown = [shard for shard in shards if shard not in known]
        asked = _next_after(context.cursor, _in_lineage_order(work))
        return SensorResult(
            run_requests=[
                _request(STALE_ASSETS[step], stale, run_key)
                for step, stale in asked
                if (run_key := _run_key(context.instance, STALE_ASSETS[step], stale, rescan_after))
                is not None
            ],
            dynamic_partitions_requests=[SHARDS.build_add_request(unknown)] if unknown else [],
            cursor=_position(*asked[-1]),
        )

    return stale_partitions


def _in_lineage_order(work: "StaleWork") -> "list[tuple[int, StaleSubject]]":
    """What is stale, each with the place of its asset in `STALE_ASSETS`."""
    steps = (work.sources, work.shards, work.embeddings, work.indexes, work.events)
    return [(step, subject) for step, stale in enumerate(steps) for subject in stale]


def _next_after(
    cursor: str | None, stale: "Sequence[tuple[int, StaleSubject]]"
) -> "list[tuple[int, StaleSubject]]":
    """The next to be asked for after those of the last tick, all in turn: one that fails again holds up no other."""
    ordered = sorted(stale, key=lambda one: _position(*one))
    begin = bisect_right(ordered, cursor or "", key=lambda one: _position(*one))
    return (ordered[begin:] + ordered[:begin])[:RUNS_ASKED_FOR_AT_ONCE]


def _position(step: int, stale: "StaleSubject") -> str:
    return f"{step} {stale.subject}"


def _run_key(
    instance: DagsterInstance, asset: str, stale: "StaleSubject", rescan_after: timedelta
) -> str | None:
    """What to ask by for the next attempt at a version; None while one is queued or at it, or no other is due.

    The next scan makes a second attempt due; each one more waits twice as long, up to a day.
    """
    attempts = instance.get_run_records(
        RunsFilter(tags={VERSION_TAG: _version(asset, stale)}), limit=ATTEMPTS_COUNTED
    )
    if not attempts:
        return _version(asset, stale)
    run, ended_at = attempts[0].dagster_run, datetime.fromtimestamp(attempts[0].end_time or 0.0, UTC)
    waits = timedelta(0) if asset == SCAN else rescan_after * (2 ** (len(attempts) - 1) - 1)
    is_due = (
        stale.retry_before is not None
        and ended_at < stale.retry_before
        and ended_at + waits <= datetime.now(UTC)
    )
    may_be_repeated = run.is_finished and (run.status != DagsterRunStatus.CANCELED or asset == SCAN)
    return f"{_version(asset, stale)}:after-{run.run_id}" if may_be_repeated and is_due else None


def _version(asset: str, stale: "StaleSubject") -> str:
    return f"{asset}:{stale.subject}:{stale.version}"


def _request(asset: str, stale: "StaleSubject", run_key: str) -> RunRequest:
    model, _, shard = stale.subject.partition("|")
    return RunRequest(
        run_key=run_key,
        job_name=f"materialize_{asset}",
        partition_key=model_shard_key(model, shard) if shard else stale.subject,
        tags={VERSION_TAG: _version(asset, stale)},
    )
