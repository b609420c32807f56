"""`vector_index`: the searchable index of a model's embeddings."""

from collections.abc import Iterator

from dagster import (
    AssetExecutionContext,
    ResourceParam,
)

from assets.orchestration.checked_run import Recorded, checked_run
from assets.orchestration.running import job_context
from assets.orchestration.step_asset import step_asset
from photolineage.lineage import VECTOR_INDEX
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource
from resources.progress import ProgressSink
from schema_checks.partition_checks import CheckInputs


@step_asset(
    VECTOR_INDEX,
    "The vector index of a model: one row for each distinct image, with its embedding and the columns that search "
    "filters by. Only changed rows are written; each model has a table of its own.\n\n**Needs** the model in "
    "`image_embeddings`; images without an embedding are left out, and `not_embedded` counts them.\n\n**Next:** "
    "materialize the model in `image_events`; to search with the model, materialize `serving_model`.",
)
def vector_index(
    context: AssetExecutionContext,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
    progress: ResourceParam[ProgressSink],
) -> Iterator[Recorded]:
    from photolineage.steps.index import build_index

    with checked_run(context, VECTOR_INDEX, CheckInputs(catalog, storage, settings)) as run:
        model_key = context.partition_key
        report = build_index(
            job_context(context, catalog),
            storage.embeddings,
            storage.indexes,
            model_key,
            on_progress=progress.track(context, model_key),
        )
        if report.missing:
            context.log.warning(
                f"{model_key}: {report.missing} images have no embedding yet and are not in the index"
            )
        yield from run.materialized(
            model_key,
            {
                "rows": report.description.rows,
                "added": report.change.added,
                "replaced": report.change.replaced,
                "removed": report.change.removed,
                "restacked": report.restacked,
                "not_embedded": report.missing,
                "ann_index": report.description.ann_kind or "none (exact search)",
                "megabytes": round(report.description.bytes / 1e6, 2),
                "seconds": round(report.seconds, 1),
            },
        )
