"""What the demo shows: the library's truth beside what the lineage made of it."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

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
    """A hit of a demo search, and the scene that was really drawn there."""

    path: Path
    score: float
    scene: str


@dataclass(frozen=True, slots=True)
class Showcase:
    """What came out of the demo library. `events_found` are of the model that searches."""

    model_key: str
    events_found: int
    events_true: int
    searches: dict[str, list[ShownHit]]


def show(settings: Settings, engine: Engine, truth: LibraryTruth, model_key: str) -> Showcase:
    """The demo's events and searches beside the truth."""
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
    with engine.connect() as connection:
        found = list_events(connection, require_model(connection, model_key).id)
    return Showcase(model_key, len(found), len(truth.events), searches)


def _shown(found: FoundImages, folder: Path, scene_of: dict[str, str | None]) -> list[ShownHit]:
    return [ShownHit(hit.path, hit.score, _scene(hit.path, folder, scene_of)) for hit in found.hits]


def _scene(path: Path, folder: Path, scene_of: dict[str, str | None]) -> str:
    if not path.is_relative_to(folder):
        return ""
    return scene_of.get(path.relative_to(folder).as_posix()) or ""
