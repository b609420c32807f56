"""`image_events`: a model's images, clustered into events."""

from collections.abc import Iterator, Sequence

from dagster import (
    AssetCheckResult,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    TableColumn,
    TableRecord,
    TableSchema,
    asset,
)
from sqlalchemy import Engine

from assets.partitions import model_partitions
from assets.progress import ProgressSink
from assets.running import contract_check, guard, job_context, reported_failures
from pipeline.clustering import cluster_model
from pipeline.listing import ListedEvent, list_events
from pipeline.model_registry import require_model
from pipeline.pictures import Picture, as_markdown, contact_sheet, read_previews
from resources.dagster_resources import CatalogResource, StorageResource
from resources.embedder import load_embedder
from resources.preview_store import PreviewStore
from resources.settings import Settings

TABLES = frozenset({"image", "ml_model", "ml_job", "event", "event_image"})
SHOWN_EVENTS = 20
EVENT_COLUMNS = TableSchema(
    columns=[
        TableColumn("title", "string"),
        TableColumn("from", "string"),
        TableColumn("to", "string"),
        TableColumn("images", "int"),
        TableColumn("confidence", "float"),
    ]
)


def image_events_asset(settings: Settings) -> AssetsDefinition:
    """The asset over the configured models."""

    @asset(
        partitions_def=model_partitions(settings),
        deps=[AssetDep("vector_index")],
        check_specs=[contract_check("image_events", model_partitions(settings))],
        group_name="photolineage",
        kinds={"duckdb"},
        description="Images that belong together in time, place and looks, as albums with a title and a cover. "
        "An event that keeps most of its images keeps its id.",
    )
    def image_events(
        context: AssetExecutionContext,
        catalog: CatalogResource,
        storage: StorageResource,
        settings: ResourceParam[Settings],
        progress: ResourceParam[ProgressSink],
    ) -> Iterator[AssetCheckResult | MaterializeResult[None]]:
        yield from guard(catalog, "image_events", TABLES)
        model_key = context.partition_key
        with reported_failures(context):
            report = cluster_model(
                job_context(context, catalog),
                storage.embeddings,
                model_key,
                lambda texts: load_embedder(model_key, settings.models[model_key]).encode_text(texts),
                settings.events,
                on_progress=progress.track(context, model_key),
            )
        with catalog.engine.connect() as connection:
            newest = list_events(connection, require_model(connection, model_key).id, limit=SHOWN_EVENTS)
        yield MaterializeResult(
            metadata={
                "events": report.events,
                "images_in_events": report.images,
                "undated_images": report.undated,
                "created": len(report.matching.created),
                "grown": len(report.matching.grown),
                "vanished": len(report.matching.vanished),
                "clock_offsets": [
                    f"{offset.camera}: {offset.correction_seconds:+d} s against {offset.reference}"
                    for offset in report.clock_offsets
                ],
                "seconds": round(report.seconds, 1),
                "newest_events": MetadataValue.table(
                    [_record(event) for event in newest], schema=EVENT_COLUMNS
                ),
                "covers": MetadataValue.md(_covers(catalog.engine, storage.previews, newest)),
            }
        )

    return image_events


def _record(event: ListedEvent) -> TableRecord:
    return TableRecord(
        {
            "title": event.title,
            "from": f"{event.starts_at:%Y-%m-%d %H:%M}",
            "to": f"{event.ends_at:%Y-%m-%d %H:%M}",
            "images": event.image_count,
            "confidence": round(event.confidence, 2),
        }
    )


def _covers(engine: Engine, previews: PreviewStore, events: Sequence[ListedEvent]) -> str:
    jpegs = read_previews(
        engine, previews, [event.cover_image_id for event in events if event.cover_image_id]
    )
    pictures = [
        Picture(jpegs[event.cover_image_id], f"{event.title} ({event.image_count})")
        for event in events
        if event.cover_image_id in jpegs
    ]
    return (
        as_markdown(contact_sheet(pictures), "Covers of the newest events") if pictures else "No events yet."
    )
