"""The results that the demo shows: events and searches, compared with what was drawn."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from photolineage.catalog.engine import reading
from photolineage.catalog.listing import list_events
from photolineage.demo.configuration import SOURCE
from photolineage.demo.library import LibraryTruth
from photolineage.models.registry import require_model
from photolineage.search.find import FoundImages, find_images
from photolineage.search.query import Query, Weighted
from photolineage.settings import Settings

QUERIES = ("snowy mountains", "beach at sunset", "birthday table")
HITS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class ShownHit:
    """A hit of a demo search, and the scene that was drawn in it."""

    path: Path
    score: float
    scene: str


@dataclass(frozen=True, slots=True)
class Showcase:
    """The results on the demo library. `events_found` and `searches` are from the same model."""

    model_key: str
    events_found: int
    events_true: int
    searches: dict[str, list[ShownHit]]


def show(settings: Settings, engine: Engine, truth: LibraryTruth, model_key: str) -> Showcase:
    """Count the events and run the demo's searches, with the truth for both."""
    scene_of = {image.path: image.scene for image in truth.images}
    folder = settings.sources[SOURCE].root
    searches = {
        query: _shown(
            find_images(settings, engine, model_key, Query(texts=(Weighted(query),)), k=HITS_SHOWN),
            folder,
            scene_of,
        )
        for query in QUERIES
    }
    with reading(engine) as connection:
        found = list_events(connection, require_model(connection, model_key).id)
    return Showcase(model_key, len(found), len(truth.events), searches)


def _shown(found: FoundImages, folder: Path, scene_of: dict[str, str | None]) -> list[ShownHit]:
    return [ShownHit(hit.path, hit.score or 0.0, _scene(hit.path, folder, scene_of)) for hit in found.hits]


def _scene(path: Path, folder: Path, scene_of: dict[str, str | None]) -> str:
    if not path.is_relative_to(folder):
        return ""
    return scene_of.get(path.relative_to(folder).as_posix()) or ""
