"""`model_comparison`: a candidate compared with the current serving model."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetExecutionContext,
    MetadataValue,
    ResourceParam,
)
from sqlalchemy import Engine

from assets.orchestration.checked_run import Recorded, checked_run
from assets.orchestration.step_asset import step_asset
from photolineage.catalog.engine import reading
from photolineage.catalog.queries import serving_model_key
from photolineage.lineage import MODEL_COMPARISON
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource
from schema_checks.partition_checks import CheckInputs

if TYPE_CHECKING:
    from photolineage.stores.previews import PreviewStore
    from photolineage.upgrade.comparing import Comparison


@step_asset(
    MODEL_COMPARISON,
    "Compares a candidate with the current serving model on the same images and texts: the hits that both find, "
    "the recall of near-duplicates, speed, size, and a contact sheet with the hits of both models. "
    "Changes nothing.\n\n**Needs** the candidate in `vector_index`, and a serving model.\n\n**Next:** read "
    "the report and the check `pinned_searches`; to promote the candidate, launch the job `promote_model`.",
)
def model_comparison(
    context: AssetExecutionContext,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
) -> Iterator[Recorded]:
    from photolineage.steps.embed import Stores
    from photolineage.upgrade.comparing import compare_models

    with checked_run(context, MODEL_COMPARISON, CheckInputs(catalog, storage, settings)) as run:
        with reading(catalog.engine) as connection:
            serving = serving_model_key(connection)
        if serving == context.partition_key:
            others = ", ".join(key for key in settings.models if key != serving) or "none is configured"
            said = f"Nothing to compare: {serving} is the serving model. Other models: {others}."
            context.log.info(said)
            yield from run.materialized(serving, {"serving_model": serving, "report": said})
            return
        comparison = compare_models(
            catalog.engine,
            Stores(storage.previews, storage.embeddings),
            storage.indexes,
            settings.models,
            context.partition_key,
            settings.comparison,
        )
        metadata = _metadata(catalog.engine, storage.previews, comparison)
        yield from run.materialized(context.partition_key, metadata)


def _metadata(
    engine: Engine, previews: "PreviewStore", comparison: "Comparison"
) -> dict[str, MetadataValue[Any]]:
    from photolineage.stores.pictures import as_markdown, read_previews
    from photolineage.upgrade.comparing import comparison_sheet, markdown_report, shown_images

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
