"""`source_files`: the image files of each source, recorded in the catalog."""

from collections.abc import Iterator

from dagster import (
    AssetExecutionContext,
    FreshnessPolicy,
    ResourceParam,
)

from assets.orchestration.checked_run import Recorded, checked_run
from assets.orchestration.partitions import adjust_shards
from assets.orchestration.running import job_context
from assets.orchestration.step_asset import step_asset
from photolineage.catalog.engine import reading
from photolineage.catalog.queries import shard_keys
from photolineage.catalog.sources import find_same_sources
from photolineage.lineage import SOURCE_FILES, JobKind
from photolineage.settings import Settings
from photolineage.steps.freshness import UNSCANNED_FOR
from resources.home import CatalogResource, StorageResource
from resources.progress import ProgressSink
from schema_checks.partition_checks import CheckInputs


@step_asset(
    SOURCE_FILES,
    "Scans a source and records new, changed, missing and returned images, in shards. It only lists the folders; "
    "it does not open the files.\n\n**Needs** `catalog_schema`, and the source's disk.\n\n**Next:** "
    "materialize the missing partitions of `registered_images`. When you add photos, materialize `source_files` "
    "again, or turn on the sensor `stale_partitions`, which runs this and all later steps automatically.",
    freshness_policy=FreshnessPolicy.time_window(fail_window=UNSCANNED_FOR),
)
def source_files(
    context: AssetExecutionContext,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
    progress: ResourceParam[ProgressSink],
) -> Iterator[Recorded]:
    from photolineage.steps.absences import explain_links_left, explain_places_away, explain_unreadable
    from photolineage.steps.jobs import running_job
    from photolineage.steps.scan import ensure_source, scan_source, walk_of

    with checked_run(context, SOURCE_FILES, CheckInputs(catalog, storage, settings)) as run:
        key = context.partition_key
        source = settings.sources[key]
        walk = walk_of(source)
        source_id = ensure_source(catalog.engine, key, source.root)
        with running_job(job_context(context, catalog), JobKind.SCAN, key, input_version="") as lease:
            report = scan_source(
                lease,
                source_id,
                walk,
                shard_capacity=settings.shard_capacity,
                on_progress=progress.track(context, key),
            )
        with reading(catalog.engine) as connection:
            shards = shard_keys(connection, [key])
        added, removed = adjust_shards(context.instance, catalog.engine, settings)
        if added:
            context.log.info(
                f"new partitions of registered_images: {', '.join(added)}. Materialize them, or turn on the sensor "
                "stale_partitions. A backfill that was launched before this scan leaves them out."
            )
        for name in removed:
            context.log.warning(f"removed the partition {name}: the catalog has no shard of this name")
        with reading(catalog.engine) as connection:
            roots = {name: configured.root for name, configured in settings.sources.items()}
            renamed = " ".join(
                str(same) for same in find_same_sources(connection, roots) if same.current == key
            )
        if renamed:
            context.log.warning(renamed)
        unreadable = explain_unreadable(report.unreadable) if report.unreadable else ""
        if unreadable:
            context.log.warning(unreadable)
        away = explain_places_away(report.away) if report.away else ""
        if away:
            context.log.warning(away)
        if report.time_shift:
            context.log.info(report.time_shift)
        links = explain_links_left(walk, key) if walk.links_left else ""
        if links:
            context.log.warning(links)
        yield from run.materialized(
            key,
            {
                "files": report.files,
                "new": report.new,
                "changed": report.changed,
                "missing": report.missing,
                "moved": report.moved,
                "returned": report.returned,
                "sidecars": report.sidecars,
                "retimed": report.retimed,
                "time_shift": report.time_shift,
                "shards": len(shards),
                "unreadable_places": len(report.unreadable),
                "unreadable": unreadable,
                "away": away,
                "links_left": walk.links_left,
                "links": links,
                "passed_over": report.passed_over,
                "root": str(source.root),
                "renamed": renamed,
            },
        )
