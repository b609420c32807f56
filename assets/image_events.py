"""`image_events`: the indexed images of a model, clustered into events."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagster import (
    AssetExecutionContext,
    MetadataValue,
    ResourceParam,
    TableColumn,
    TableRecord,
    TableSchema,
)

from assets.orchestration.checked_run import Recorded, checked_run
from assets.orchestration.running import job_context
from assets.orchestration.step_asset import step_asset
from photolineage.catalog.engine import reading
from photolineage.lineage import IMAGE_EVENTS
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource
from resources.progress import ProgressSink
from schema_checks.partition_checks import CheckInputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from photolineage.catalog.listing import ListedEvent

SHOWN_EVENTS = 20
NO_EVENTS = "No events yet."
EVENT_COLUMNS = TableSchema(
    columns=[
        TableColumn("title", "string"),
        TableColumn("from", "string"),
        TableColumn("to", "string"),
        TableColumn("images", "int"),
        TableColumn("confidence", "float"),
    ]
)


@step_asset(
    IMAGE_EVENTS,
    "Events: images that belong together in time, place and looks, each event with a title and a cover. "
    "An event that keeps most of its images keeps its id.\n\n**Needs** the model in `vector_index`.\n\n"
    "**Next:** open `covers` in the metadata; `photolineage events` lists all events.",
)
def image_events(
    context: AssetExecutionContext,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
    progress: ResourceParam[ProgressSink],
) -> Iterator[Recorded]:
    from photolineage.catalog.listing import list_events
    from photolineage.events.pictures import cover_sheet, timeline_plot
    from photolineage.models.registry import load_recorded, require_model
    from photolineage.steps.cluster import cluster_model
    from photolineage.stores.pictures import as_markdown

    with checked_run(context, IMAGE_EVENTS, CheckInputs(catalog, storage, settings)) as run:
        model_key = context.partition_key

        def encode_text(texts: list[str]) -> "NDArray[np.float32]":
            with reading(catalog.engine) as connection:
                model = require_model(connection, model_key)
            return load_recorded(model, settings.models[model_key]).encode_text(texts)

        report = cluster_model(
            job_context(context, catalog),
            storage.embeddings,
            storage.segments,
            model_key,
            encode_text,
            settings.events,
            on_progress=progress.track(context, model_key),
        )
        with reading(catalog.engine) as connection:
            events = list_events(connection, require_model(connection, model_key).id)
        newest = events[:SHOWN_EVENTS]
        covers = cover_sheet(catalog.engine, storage.previews, newest)
        yield from run.materialized(
            model_key,
            {
                "events": report.events,
                "covers": MetadataValue.md(
                    as_markdown(covers, "Covers of the newest events") if covers else NO_EVENTS
                ),
                "newest_events": MetadataValue.table(
                    [_record(event) for event in newest], schema=EVENT_COLUMNS
                ),
                "timeline": MetadataValue.md(
                    as_markdown(timeline_plot(events), "Events over time") if events else NO_EVENTS
                ),
                "images_in_events": report.images,
                "undated_images": report.undated,
                "undated_images_joined": report.joined,
                "lowest_confidence_of_joined": report.least_confidence,
                "images_clustered": report.clustered,
                "images_reused": report.taken_over,
                "nothing_reused_because": report.nothing_kept or "–",
                "created": len(report.matching.created),
                "grown": len(report.matching.grown),
                "shrunk": len(report.matching.shrunk),
                "split": len(report.matching.split),
                "merged": len(report.matching.merged),
                "vanished": len(report.matching.vanished),
                "clock_offsets": [
                    f"{offset.camera}: {offset.correction_seconds:+d} s compared with {offset.reference}"
                    for offset in report.clock_offsets
                ],
                "seconds": round(report.seconds, 1),
            },
        )


def _record(event: "ListedEvent") -> TableRecord:
    return TableRecord(
        {
            "title": event.title,
            "from": f"{event.starts_at:%Y-%m-%d %H:%M}",
            "to": f"{event.ends_at:%Y-%m-%d %H:%M}",
            "images": event.image_count,
            "confidence": round(event.confidence, 2),
        }
    )
