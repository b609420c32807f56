"""The comparison of a candidate with the serving model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine

from photolineage.catalog.coverage import tally_images
from photolineage.catalog.engine import reading
from photolineage.catalog.queries import ModelRow, committed_files, serving_model_key
from photolineage.catalog.vocabulary import FileKind
from photolineage.errors import PhotolineageError
from photolineage.models.loading import way_of
from photolineage.models.registry import load_recorded, require_model
from photolineage.settings import ComparisonSettings, ModelSettings
from photolineage.steps.embed import Stores
from photolineage.stores.pictures import read_previews
from photolineage.stores.vector_index import Hit, VectorIndex, VectorIndexes
from photolineage.upgrade.comparing.figures import Answers, ModelFigures, answers, search_near_duplicates

SEED = 0


class NothingToCompareError(PhotolineageError):
    """The models cannot be compared; the message says what to do first."""


@dataclass(frozen=True, slots=True)
class ComparedQuery:
    """A text, and the hits of each model, best first."""

    text: str
    serving: tuple[Hit, ...]
    candidate: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models compared on the same texts and on `sample` of the `embeddable` images; both indexes contain these.

    `neighbours_in_common` and `hits_in_common`: the mean share of the ten nearest images of an image, and of a text,
    that both models find. `labels_in_common`: the share of images for which both models choose the same text.
    """

    serving: ModelFigures
    candidate: ModelFigures
    embeddable: int
    sample: int
    neighbours_in_common: float
    hits_in_common: float
    labels_in_common: float
    queries: tuple[ComparedQuery, ...]


def compare_models(
    engine: Engine,
    stores: Stores,
    indexes: VectorIndexes,
    models: Mapping[str, ModelSettings],
    candidate_key: str,
    settings: ComparisonSettings,
) -> Comparison:
    """Compare a model with the serving model. Each searches its own index; they are loaded one after the other.

    Raises NothingToCompareError, ModelNotLoadedError, VectorIndexError, ModelUnavailableError, ModelChangedError.
    """
    serving_key = _require_serving(engine, models, candidate_key)
    with reading(engine) as connection:
        rows = {key: require_model(connection, key) for key in (serving_key, candidate_key)}
        embeddable = sum(tally.embeddable for tally in tally_images(connection))
    opened = {key: indexes.open(key, row.embedding_dim) for key, row in rows.items()}
    sample = _sample(opened[serving_key], opened[candidate_key], settings.sample)
    previews = read_previews(engine, stores.previews, sample)
    figures, said = {}, {}
    for key, index in opened.items():
        figures[key] = _measure(engine, rows[key], models[key], index, previews)
        said[key] = answers(
            index, load_recorded(rows[key], models[key], way_of(engine, rows[key])), sample, settings.queries
        )
    return _compared(
        figures[serving_key],
        figures[candidate_key],
        said[serving_key],
        said[candidate_key],
        embeddable,
        settings.queries,
    )


def _require_serving(engine: Engine, models: Mapping[str, ModelSettings], candidate_key: str) -> str:
    with reading(engine) as connection:
        serving_key = serving_model_key(connection)
    if serving_key is None:
        raise NothingToCompareError("no model serves yet: materialize serving_model first.")
    if serving_key == candidate_key:
        others = ", ".join(key for key in models if key != serving_key) or "none is configured"
        raise NothingToCompareError(
            f"{candidate_key} is the serving model: choose another model to compare it with: {others}."
        )
    if serving_key not in models:
        raise NothingToCompareError(
            f"the serving model {serving_key} is not configured, so it cannot be loaded: restore "
            f"[models.{serving_key}]."
        )
    return serving_key


def _sample(first: VectorIndex, second: VectorIndex, size: int) -> list[int]:
    common = np.intersect1d(*(index.live_rows()["image_id"].to_numpy() for index in (first, second)))
    if not len(common):
        raise NothingToCompareError(
            f"no image is in the indexes of both {first.model_key} and {second.model_key}: "
            "materialize image_embeddings and vector_index for both."
        )
    chosen = np.random.default_rng(SEED).choice(common, size=min(size, len(common)), replace=False)
    return [int(image_id) for image_id in np.sort(chosen)]


def _measure(
    engine: Engine,
    model: ModelRow,
    settings: ModelSettings,
    index: VectorIndex,
    previews: Mapping[int, bytes],
) -> ModelFigures:
    embedder = load_recorded(model, settings, way_of(engine, model))
    search = search_near_duplicates(index, embedder, previews)
    with reading(engine) as connection:
        files = committed_files(connection, FileKind.EMBEDDING, model_id=model.id)
    description = index.describe()
    return ModelFigures(
        model_key=model.key,
        architecture=" ".join(filter(None, (model.architecture, model.pretrained))),
        embedding_dim=model.embedding_dim,
        image_size=model.image_size,
        parameters=embedder.parameters,
        images=description.rows,
        index_bytes=description.bytes,
        embedding_bytes=sum(file.size_bytes for file in files),
        varied=search.varied,
        found_first=search.found_first,
        found=search.found,
        images_per_second=search.images_per_second,
    )


def _compared(
    serving: ModelFigures,
    candidate: ModelFigures,
    old: Answers,
    new: Answers,
    embeddable: int,
    texts: Sequence[str],
) -> Comparison:
    queries = tuple(
        ComparedQuery(text, before, after)
        for text, before, after in zip(texts, old.hits, new.hits, strict=True)
    )
    return Comparison(
        serving=serving,
        candidate=candidate,
        embeddable=embeddable,
        sample=len(old.neighbours),
        neighbours_in_common=float(np.mean([*map(share_in_common, old.neighbours, new.neighbours)])),
        hits_in_common=float(np.mean([share_in_common(ids(q.serving), ids(q.candidate)) for q in queries])),
        labels_in_common=float(np.mean(old.labels == new.labels)),
        queries=queries,
    )


def ids(hits: Sequence[Hit]) -> frozenset[int]:
    """The images that the hits show."""
    return frozenset(hit.shown_id for hit in hits)


def share_in_common(first: frozenset[int], second: frozenset[int]) -> float:
    """The size of the intersection divided by the size of the larger set; 1 if both sets are empty."""
    return len(first & second) / max(len(first), len(second)) if first or second else 1.0
