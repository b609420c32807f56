"""Finding images for a person: a query, its hits with their paths, and their pictures."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from catalog.models import FileKind
from catalog.queries import newest_file_id
from pipeline.model_registry import require_model
from pipeline.pictures import Picture, contact_sheet, locate_images, read_previews, save_picture
from pipeline.search import Query, QueryError, Weighted, search
from resources.embedder import load_embedder
from resources.preview_store import PreviewStore
from resources.settings import Settings
from resources.vector_index_home import VectorIndexes


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that a query found: the cosine with the query, and where its original is."""

    image_id: int
    score: float
    source: str
    path: Path
    taken_at: datetime | None


@dataclass(frozen=True, slots=True)
class FoundImages:
    """The hits of a query, the best first, and what a person should know about them."""

    hits: list[FoundImage]
    notes: tuple[str, ...]
    engine: Engine
    previews: PreviewStore

    def write_sheet(self, path: Path) -> None:
        """Write the hits as a contact sheet; the suffix of `path` names the format. Raises StorageError."""
        jpegs = read_previews(self.engine, self.previews, [hit.image_id for hit in self.hits])
        pictures = [
            Picture(jpegs[hit.image_id], f"{hit.score:.3f}  {hit.path.name}")
            for hit in self.hits
            if hit.image_id in jpegs
        ]
        save_picture(contact_sheet(pictures), path)


def find_images(
    settings: Settings,
    engine: Engine,
    model_key: str,
    *,
    text: str | None = None,
    image: Path | None = None,
    image_id: int | None = None,
    k: int = 10,
) -> FoundImages:
    """The images nearest to a text, an image file, an image of the library, or their sum.

    The model is loaded only for a text or a file. Raises QueryError, ModelNotLoadedError, VectorIndexError.
    """
    if text is None and image is None and image_id is None:
        raise QueryError("nothing to look for: give a text, --image <file> or --image-id <id>")
    query = Query(
        texts=() if text is None else (Weighted(text),),
        image_files=() if image is None else (Weighted(image),),
        image_ids=() if image_id is None else (Weighted(image_id),),
    )
    with engine.connect() as connection:
        model = require_model(connection, model_key)
        newest = newest_file_id(connection, FileKind.EMBEDDING, model.id)
    index = VectorIndexes(settings.home).open(model_key, model.embedding_dim)
    result = search(
        index,
        lambda: load_embedder(model_key, settings.models[model_key], model.precision),
        query,
        newest_committed_file=newest,
        k=k,
    )
    places = locate_images(engine, [hit.image_id for hit in result.hits])
    hits = [
        FoundImage(hit.image_id, hit.score, hit.source, places[hit.image_id].path, hit.taken_at)
        for hit in result.hits
        if hit.image_id in places
    ]
    return FoundImages(hits, result.notes, engine, PreviewStore(settings.home))
