"""`image_embeddings`: one model's embeddings of a shard's images, committed checkpoint by checkpoint."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    MetadataValue,
    MultiPartitionKey,
    ResourceParam,
    TableColumn,
    TableRecord,
    TableSchema,
)

from assets.orchestration.checked_run import CheckedRun, Recorded, checked_run
from assets.orchestration.running import job_context
from assets.orchestration.step_asset import step_asset
from photolineage.lineage import IMAGE_EMBEDDINGS
from photolineage.settings import ModelSettings, Settings
from resources.home import CatalogResource, StorageResource
from resources.progress import ProgressSink, rate_metadata
from schema_checks.partition_checks import CheckInputs

if TYPE_CHECKING:
    from photolineage.contract import Drift
    from photolineage.models.loading import LibraryModel
    from photolineage.models.timings import MeasuredWay
    from photolineage.steps.embed import EmbeddingReport

MODEL_CHECK = "model_contract"
MEASURED_COLUMNS = TableSchema(
    [
        TableColumn("precision", "string"),
        TableColumn("backend", "string"),
        TableColumn("images/s", "float"),
        TableColumn("cosine with float32", "float"),
        TableColumn("note", "string"),
    ]
)


@step_asset(
    IMAGE_EMBEDDINGS,
    "One unit vector for each distinct image of a shard, computed with one model. A killed run "
    "loses at most one checkpoint. Materialize the partition again to compute only the missing embeddings.\n\n"
    "**Needs** the shard in `registered_images`, and the model's weights.\n\n**Next:** when all "
    "partitions of a model are materialized, materialize that model in `vector_index`.",
    checks={
        MODEL_CHECK: "The loaded model is the one that the model's embeddings were computed with: same dimension, "
        "image size, weights and precision. The check runs before the first write: if it fails, nothing was "
        "written."
    },
)
def image_embeddings(
    context: AssetExecutionContext,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
    progress: ResourceParam[ProgressSink],
) -> Iterator[Recorded]:
    from photolineage.media import limit_decoding
    from photolineage.models.text_encoder import ensure_text_encoder
    from photolineage.steps.embed import Stores, embed_shard

    limit_decoding(memory_bytes=settings.decoding.memory_bytes, seconds=settings.decoding.seconds)
    with checked_run(context, IMAGE_EMBEDDINGS, CheckInputs(catalog, storage, settings)) as run:
        for model_key, keys in _by_model(context.partition_keys):
            with run.kept(keys):
                model = _open_model(run, keys, catalog, storage, model_key, settings.models[model_key])
                no_text_encoder = ensure_text_encoder(
                    storage.files,
                    model_key,
                    model.embedder.facts.weights_digest,
                    model.embedder.export_text_encoder,
                )
                for key in keys:
                    with run.kept([key]):
                        report = embed_shard(
                            job_context(context, catalog),
                            Stores(storage.previews, storage.embeddings),
                            model.embedder,
                            model.id,
                            key.keys_by_dimension["shard"],
                            checkpoint_images=settings.checkpoint_images,
                            checkpoint_seconds=settings.checkpoint_seconds,
                            on_progress=progress.track(context, str(key)),
                        )
                        yield from run.materialized(
                            key, _metadata(report, model, no_text_encoder), [_model_result(())]
                        )
                del model  # frees its memory before the next model is loaded
        yield from run.end()


def _model_result(drifts: "Sequence[Drift]") -> AssetCheckResult:
    from photolineage.contract.dagster_checks import difference_table

    return AssetCheckResult(
        check_name=MODEL_CHECK,
        asset_key=IMAGE_EMBEDDINGS.name,
        passed=not drifts,
        description="; ".join(drift.fix.note for drift in drifts[:1])
        or "The loaded model matches the one in the catalog.",
        metadata={
            "drifts": len(drifts),
            "differences": difference_table(drifts),
        },
    )


def _by_model(partition_keys: object) -> Iterator[tuple[str, list[MultiPartitionKey]]]:
    """The partitions grouped by model, so that each model is loaded once."""
    assert isinstance(partition_keys, list | tuple)
    keys = [key for key in partition_keys if isinstance(key, MultiPartitionKey)]
    for model_key, of_model in groupby(sorted(keys), key=lambda key: key.keys_by_dimension["model"]):
        yield model_key, list(of_model)


def _open_model(
    run: CheckedRun,
    keys: Sequence[str],
    catalog: CatalogResource,
    storage: StorageResource,
    model_key: str,
    model: ModelSettings,
) -> "LibraryModel":
    """Load a model. Raises ModelChangedError, after the check failed, if it differs from the catalog's."""
    from photolineage.checks.store_contract import compare_model
    from photolineage.models.loading import load_model
    from photolineage.models.registry import ModelChangedError

    try:
        return load_model(catalog.engine, storage.previews, model_key, model)
    except ModelChangedError as error:
        result = _model_result(compare_model(error.recorded, error.loaded, model_key))
        for key in keys:
            run.evaluate(result, key)
        raise


def _metadata(
    report: "EmbeddingReport", model: "LibraryModel", no_text_encoder: str | None
) -> dict[str, MetadataValue[Any]]:
    text_search = (
        f"loads the whole model, with torch: {no_text_encoder}" if no_text_encoder else "without torch"
    )
    return {
        "text_search": MetadataValue.text(text_search),
        "images": MetadataValue.int(report.total),
        "embedded_now": MetadataValue.int(report.embedded),
        "resumed": MetadataValue.int(report.resumed),
        "lost_files": MetadataValue.int(report.lost_files),
        "checkpoints": MetadataValue.int(report.checkpoints),
        "megabytes": MetadataValue.float(round(report.bytes_written / 1e6, 2)),
        "seconds": MetadataValue.float(round(report.seconds, 1)),
        **rate_metadata(report.embedded, report.seconds),
        "embedding_dim": MetadataValue.int(model.embedder.facts.embedding_dim),
        "device": MetadataValue.text(model.embedder.device),
        "precision": MetadataValue.text(model.precision),
        "backend": MetadataValue.text(model.embedder.way.backend.value),
        "measured": MetadataValue.table(
            [TableRecord(_as_row(way)) for way in model.measured], MEASURED_COLUMNS
        ),
        "weights_digest": MetadataValue.text(model.embedder.facts.weights_digest[:16]),
    }


def _as_row(way: "MeasuredWay") -> dict[str, str | float | None]:
    return {
        "precision": way.precision.value,
        "backend": way.backend.value,
        "images/s": way.images_per_second,
        "cosine with float32": way.cosine,
        "note": "used" if way.is_used else way.problem or "",
    }
