"""`model_comparison`: a model that may serve next, beside the one that serves."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckResult,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    Failure,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    asset,
)
from sqlalchemy import Engine

from assets.partitions import model_partitions
from assets.running import contract_check, guard, reported
from resources.dagster_resources import CatalogResource, StorageResource
from resources.settings import Settings

if TYPE_CHECKING:
    from pipeline.comparing import Comparison
    from resources.preview_store import PreviewStore

TABLES = frozenset({"shard", "image", "ml_model", "shard_file"})


def model_comparison_asset(settings: Settings) -> AssetsDefinition:
    """The asset over the configured models, as candidates."""

    @asset(
        partitions_def=model_partitions(settings),
        deps=[AssetDep("vector_index")],
        check_specs=[contract_check("model_comparison", model_partitions(settings))],
        group_name="photolineage",
        kinds={"torch", "lancedb"},
        description="A candidate beside the serving model, on the same images and texts: what they find in common, "
        "whether near-duplicates find their originals, speed and size, and a contact sheet of the hits of both. "
        "It changes nothing.\n\n**Needs** the candidate in `vector_index`, and a model that serves.\n\n**Next:** read "
        "it, and promote the candidate by `serving_model`.",
    )
    def model_comparison(
        context: AssetExecutionContext,
        catalog: CatalogResource,
        storage: StorageResource,
        settings: ResourceParam[Settings],
    ) -> Iterator[AssetCheckResult | MaterializeResult[None]]:
        from pipeline.comparing import NothingToCompareError, compare_models
        from pipeline.embedding import Stores
        from resources.vector_index import IndexNotBuiltError

        yield from guard(catalog, "model_comparison", TABLES)
        try:
            with reported():
                comparison = compare_models(
                    catalog.engine,
                    Stores(storage.previews, storage.embeddings),
                    storage.indexes,
                    settings.models,
                    context.partition_key,
                    settings.comparison,
                )
        except (NothingToCompareError, IndexNotBuiltError) as error:
            raise Failure(description=str(error), allow_retries=False) from error
        yield MaterializeResult(metadata=_metadata(catalog.engine, storage.previews, comparison))

    return model_comparison


def _metadata(
    engine: Engine, previews: "PreviewStore", comparison: "Comparison"
) -> dict[str, MetadataValue[Any]]:
    from pipeline.comparing import comparison_sheet, markdown_report, shown_images
    from pipeline.pictures import as_markdown, read_previews

    old, new = comparison.serving, comparison.candidate
    sheet = comparison_sheet(comparison, read_previews(engine, previews, shown_images(comparison)))
    return {
        "serving_model": MetadataValue.text(old.model_key),
        "report": MetadataValue.md(markdown_report(comparison)),
        "hits_of_both": MetadataValue.md(as_markdown(sheet, "The hits of both models")),
        "neighbours_in_common": MetadataValue.float(round(comparison.neighbours_in_common, 3)),
        "hits_in_common": MetadataValue.float(round(comparison.hits_in_common, 3)),
        "labels_in_common": MetadataValue.float(round(comparison.labels_in_common, 3)),
        "near_duplicate_recall": MetadataValue.float(round(new.near_duplicate_recall, 3)),
        "near_duplicate_recall_of_serving": MetadataValue.float(round(old.near_duplicate_recall, 3)),
        "images_per_second": MetadataValue.float(round(new.images_per_second, 1)),
        "images_per_second_of_serving": MetadataValue.float(round(old.images_per_second, 1)),
        "sample": MetadataValue.int(comparison.sample),
    }
