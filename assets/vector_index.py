"""`vector_index`: a model's embeddings, searchable."""

from collections.abc import Iterator

from dagster import (
    AssetCheckResult,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    MaterializeResult,
    ResourceParam,
    asset,
)

from assets.orchestration.partitions import model_partitions
from assets.orchestration.running import contract_check, guard, job_context, reported_failures
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource
from resources.progress import ProgressSink

TABLES = frozenset({"image", "ml_model", "ml_job", "shard_file"})


def vector_index_asset(settings: Settings) -> AssetsDefinition:
    """The asset over the configured models."""

    @asset(
        partitions_def=model_partitions(settings),
        deps=[AssetDep("image_embeddings")],
        check_specs=[contract_check("vector_index", model_partitions(settings))],
        group_name="photolineage",
        kinds={"lancedb"},
        description="One row for each distinct image, with what search filters by. Brought up to date by what "
        "changed; a new model gets a table of its own.\n\n**Needs** the model in `image_embeddings`; what is not "
        "embedded yet is left out, and counted.\n\n**Next:** materialize the model in `image_events`, and "
        "`serving_model` to search with it.",
    )
    def vector_index(
        context: AssetExecutionContext,
        catalog: CatalogResource,
        storage: StorageResource,
        progress: ResourceParam[ProgressSink],
    ) -> Iterator[AssetCheckResult | MaterializeResult[None]]:
        from photolineage.steps.index import build_index

        yield from guard(catalog, "vector_index", TABLES)
        model_key = context.partition_key
        with reported_failures(context):
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
        yield MaterializeResult(
            metadata={
                "rows": report.description.rows,
                "added": report.change.added,
                "replaced": report.change.replaced,
                "removed": report.change.removed,
                "not_embedded": report.missing,
                "ann_index": report.description.ann_kind or "none (exact search)",
                "megabytes": round(report.description.bytes / 1e6, 2),
                "seconds": round(report.seconds, 1),
            }
        )

    return vector_index
