"""Promoting a model: a new model must pass every test; a former model can serve again at any time."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from photolineage.catalog.coverage import tally_images
from photolineage.catalog.engine import reading, run_in_transaction
from photolineage.catalog.orm import MlModel
from photolineage.catalog.queries import ModelRow, serving_model_key
from photolineage.errors import PhotolineageError
from photolineage.lineage import JobKind
from photolineage.models.registry import record_serving_model, require_model
from photolineage.steps.freshness import find_stale_models
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.live_embeddings import find_live_embeddings
from photolineage.stores.vector_index import RecallReport, VectorIndexes


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a model can serve: only if `refusals` is empty. `warnings` don't prevent it.

    `embeddable` counts images, without duplicates. `recall` is None if it was not measured.
    """

    model_key: str
    embeddable: int
    embedded: int
    indexed: int
    recall: RecallReport | None
    refusals: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class NotReadyToServeError(PhotolineageError):
    """A model cannot serve; the message gives every reason with its figures."""


def assess_readiness(
    engine: Engine, embeddings: EmbeddingStore, indexes: VectorIndexes, model_key: str, recall_bar: float
) -> Readiness:
    """Coverage and recall of a model. Raises ModelNotLoadedError if it has no embeddings yet."""
    with reading(engine) as connection:
        model = require_model(connection, model_key)
        live = find_live_embeddings(connection, embeddings, model.id, model.embedding_dim)
    index = indexes.open(model_key, model.embedding_dim)
    indexed = index.row_count()
    outdated = live.count_outdated(index.live_rows()) if indexed else len(live.rows)
    recall = index.recall_at_k() if indexed else None
    embeddable = len(live.rows) + live.missing
    refusals = []
    if live.missing:
        refusals.append(_not_embedded(model_key, live.missing, embeddable))
    if outdated:
        refusals.append(
            f"its index has {indexed} rows for {len(live.rows)} embeddings, and {outdated} images are out of date: "
            f"materialize vector_index for {model_key}"
        )
    if recall is not None and recall.recall < recall_bar:
        refusals.append(
            f"its recall@{recall.k} is {recall.recall:.3f}, less than the required {recall_bar} (recall_bar)"
        )
    return Readiness(model_key, embeddable, len(live.rows), indexed, recall, tuple(refusals))


def has_served(engine: Engine, model_key: str) -> bool:
    """Whether the model was the serving model before. It was tested then."""
    with reading(engine) as connection:
        model = require_model(connection, model_key)
    return model.serving_since is not None and not model.serving


def former_model_key(connection: Connection) -> str | None:
    """The model that served before the serving model: the way back. None if no other model has served."""
    return connection.execute(
        select(MlModel.key)
        .where(MlModel.serving_since.is_not(None), ~MlModel.serving)
        .order_by(MlModel.serving_since.desc())
        .limit(1)
    ).scalar_one_or_none()


def count_coverage(connection: Connection, model: ModelRow) -> tuple[int, int]:
    """How many images the model could embed, without duplicates, and how many of them it has embedded."""
    tallies = tally_images(connection)
    return (
        sum(tally.embeddable for tally in tallies),
        sum(tally.embedded(model.embedded_bit) for tally in tallies),
    )


def assess_former(engine: Engine, indexes: VectorIndexes, model_key: str) -> Readiness:
    """The readiness of a model that has served before, from the catalog alone, without reading any vectors.

    Missing embeddings and an outdated index are warnings; only a missing index is a refusal. Raises
    ModelNotLoadedError, and VectorIndexError if the index cannot be opened.
    """
    with reading(engine) as connection:
        model = require_model(connection, model_key)
        embeddable, embedded = count_coverage(connection, model)
        is_outdated = bool(find_stale_models(connection, [model_key], JobKind.INDEX))
    index = indexes.open(model_key, model.embedding_dim)
    rebuild = f"materialize vector_index for {model_key}"
    refusals = [f"it has no index: {rebuild}"] if embedded and not index.exists() else []
    warnings = []
    if embedded < embeddable:
        warnings.append(_not_embedded(model_key, embeddable - embedded, embeddable))
    if is_outdated:
        warnings.append(f"its index is out of date: {rebuild}")
    return Readiness(
        model_key, embeddable, embedded, index.row_count(), None, tuple(refusals), tuple(warnings)
    )


def _not_embedded(model_key: str, missing: int, embeddable: int) -> str:
    return (
        f"{missing} of {embeddable} images have no embedding yet: materialize the missing partitions "
        f"of image_embeddings for {model_key}"
    )


def promote(engine: Engine, readiness: Readiness) -> str | None:
    """Promote the model, and return the key of the one that served before.

    Raises NotReadyToServeError, and changes nothing, if the readiness has refusals.
    """
    if readiness.refusals:
        raise refusal(readiness.model_key, readiness.refusals)
    return run_in_transaction(
        engine, lambda connection: record_serving_model(connection, readiness.model_key)
    )


def refusal(model_key: str, reasons: Sequence[str]) -> NotReadyToServeError:
    """The error for a model that cannot serve, with every reason."""
    return NotReadyToServeError(
        f"{model_key} cannot serve: {'; '.join(reasons)}. The serving model was not changed."
    )


def choose_candidate(engine: Engine, model_keys: list[str], wanted: str | None) -> str:
    """The wanted model, else the serving model, else the first of `model_keys` that has been loaded.

    Raises NotReadyToServeError for a key that is not configured, or if no model has been loaded yet.
    """
    if wanted is not None:
        if wanted not in model_keys:
            raise NotReadyToServeError(
                f"model {wanted!r} is not configured. Configured models: {', '.join(model_keys) or 'none'}"
            )
        return wanted
    with reading(engine) as connection:
        serving = serving_model_key(connection)
        loaded = set(connection.execute(select(MlModel.key)).scalars())
    candidates = [key for key in (serving, *model_keys) if key is not None and key in loaded]
    if not candidates:
        raise NotReadyToServeError("no model has embeddings yet: materialize image_embeddings first.")
    return candidates[0]
