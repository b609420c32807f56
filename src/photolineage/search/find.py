"""Find images: answer a query with hits, their paths, and a contact sheet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, select

from photolineage.catalog.engine import reading
from photolineage.catalog.orm import Image
from photolineage.catalog.queries import ModelRow, find_model, newest_file_id
from photolineage.catalog.vocabulary import FileKind, TakenAtPrecision
from photolineage.lineage import JobKind
from photolineage.models.registry import load_recorded, require_model
from photolineage.models.text_encoder import find_text_encoder
from photolineage.search.query import Encoders, Query, TextEncoder, search
from photolineage.search.scope import EVERYTHING, Scope
from photolineage.settings import Settings
from photolineage.steps.freshness import find_stale_models
from photolineage.stores.files import open_files
from photolineage.stores.pictures import (
    Picture,
    contact_sheet,
    locate_copies,
    locate_images,
    locate_stacks,
    read_previews,
    save_picture,
)
from photolineage.stores.previews import PreviewStore
from photolineage.stores.vector_index import VectorIndexes

if TYPE_CHECKING:
    from photolineage.models.embedder import Embedder


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that a query found.

    `score` is its cosine with the query, and of a stack the best; None if there was no query, only filters. `copies`
    are files with the same content, and `stack` the other files of its stack.
    """

    image_id: int
    score: float | None
    source: str
    path: Path
    taken_at: datetime | None
    taken_at_precision: TakenAtPrecision | None
    latitude: float | None
    longitude: float | None
    copies: tuple[Path, ...]
    stack: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class FoundImages:
    """The hits of a query, best first. `notes` are sentences to show with the hits."""

    hits: list[FoundImage]
    notes: tuple[str, ...]
    engine: Engine
    previews: PreviewStore

    def write_sheet(self, path: Path) -> None:
        """Write a picture of the hits. The suffix of `path` selects the format. Raises StorageError."""
        jpegs = read_previews(self.engine, self.previews, [hit.image_id for hit in self.hits])
        pictures = [
            Picture(
                jpegs[hit.image_id],
                (hit.path.name if hit.score is None else f"{hit.score:.3f}  {hit.path.name}")
                + (f" +{len(hit.stack)}" if hit.stack else ""),
            )
            for hit in self.hits
            if hit.image_id in jpegs
        ]
        save_picture(contact_sheet(pictures), path)


def find_images(
    settings: Settings,
    engine: Engine,
    model_key: str,
    query: Query,
    *,
    scope: Scope = EVERYTHING,
    k: int = 10,
    page: int = 1,
) -> FoundImages:
    """The images in the scope that are nearest to the query: page number `page`, with `k` images on a page.

    A stack is one hit: the image that it shows. The model is loaded only if the query has a text or an image file. A
    copy is searched for as the first image with its content.
    Raises QueryError, VectorIndexError, and ModelNotLoadedError if the library has images but no embeddings of this
    model. Loading the model can raise ConfigurationError, ModelUnavailableError and ModelChangedError.
    """
    if query.image_files:
        from photolineage.media import limit_decoding

        limit_decoding(memory_bytes=settings.decoding.memory_bytes, seconds=settings.decoding.seconds)
    previews = PreviewStore(open_files(settings))
    with reading(engine) as connection:
        if find_model(connection, model_key) is None and _is_empty(connection):
            return FoundImages([], ("the library has no images yet",), engine, previews)
        model = require_model(connection, model_key)
        query = _of_originals(connection, query)
        filters = scope.filters(connection, model.id)
        has_embeddings = newest_file_id(connection, FileKind.EMBEDDING, model.id) is not None
        is_outdated = bool(find_stale_models(connection, [model_key], JobKind.INDEX))
    result = search(
        VectorIndexes(settings.home).open(model_key, model.embedding_dim),
        encoders_of(settings, model),
        query,
        has_embeddings=has_embeddings,
        is_outdated=is_outdated,
        filters=filters,
        k=k,
        page=page,
        templates=settings.prompt_templates_of(model_key),
    )
    hits = [(hit.shown_id, hit.score) for hit in result.hits]
    return FoundImages(located(engine, hits), result.notes, engine, previews)


def encoders_of(settings: Settings, model: ModelRow) -> Encoders:
    """The functions that load a model's encoders. A text needs only the exported text half, if there is one."""

    def whole_model() -> "Embedder":
        return load_recorded(model, settings.model_of(model.key))

    def text_encoder() -> TextEncoder:
        return find_text_encoder(open_files(settings), model.key, model.weights_digest) or whole_model()

    return Encoders(text_encoder, whole_model)


def _is_empty(connection: Connection) -> bool:
    return connection.execute(select(Image.id).limit(1)).first() is None


def _of_originals(connection: Connection, query: Query) -> Query:
    """The query with each copy replaced by the first image with the same content."""
    asked = [image.value for image in query.image_ids]
    rows = connection.execute(
        select(Image.id, Image.duplicate_of_id).where(Image.id.in_(asked), Image.duplicate_of_id.is_not(None))
    )
    original_of = {image_id: original for image_id, original in rows if original is not None}
    return replace(
        query,
        image_ids=tuple(
            replace(image, value=original_of.get(image.value, image.value)) for image in query.image_ids
        ),
    )


def located(engine: Engine, hits: Sequence[tuple[int, float | None]]) -> list[FoundImage]:
    """The hits, given by their ids and scores, with the paths and facts of their images."""
    ids = [image_id for image_id, _score in hits]
    locations, copies, stacks = (
        locate_images(engine, ids),
        locate_copies(engine, ids),
        locate_stacks(engine, ids),
    )
    return [
        FoundImage(
            image_id=image_id,
            score=score,
            source=location.source_key,
            path=location.path,
            taken_at=location.taken_at,
            taken_at_precision=location.taken_at_precision,
            latitude=location.latitude,
            longitude=location.longitude,
            copies=copies.get(image_id, ()),
            stack=stacks.get(image_id, ()),
        )
        for image_id, score in hits
        if (location := locations.get(image_id)) is not None
    ]
