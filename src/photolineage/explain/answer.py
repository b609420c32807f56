"""The whole answer: where a photo stands in the lineage and why; and, with a query, why a search finds it or not."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row

from photolineage.catalog.engine import reading
from photolineage.catalog.queries import serving_model_key
from photolineage.explain.by_model import event_finding, model_findings
from photolineage.explain.content import content_findings
from photolineage.explain.disk import SOURCE, file_finding, source_finding
from photolineage.explain.findings import Finding
from photolineage.explain.in_search import STAGE, Question, Ranking, search_findings
from photolineage.explain.passed_over import why_unsupported
from photolineage.explain.places import (
    KnownSource,
    Place,
    absolute_path,
    closest_sources,
    find_image,
    find_places,
    known_sources,
)
from photolineage.explain.scanned import scan_finding
from photolineage.search.query import QueryError
from photolineage.settings import Settings


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where one photo stands. `source` is None if the path is below no source, `image_id` if no scan has seen it."""

    path: Path
    source: str | None
    image_id: int | None
    findings: tuple[Finding, ...]
    ranking: Ranking | None = None


def explain_photo(
    settings: Settings,
    engine: Engine,
    asked: str,
    *,
    folder: Path | None = None,
    question: Question | None = None,
    model_key: str | None = None,
) -> list[Explanation]:
    """Where a photo stands in the lineage: one answer for each source that contains it, or one if none does.

    `asked` is a path or the id of an image; relative paths are looked for in `folder`, then below each source.
    `model_key`: the model of the event and the search; None for the serving one. Only reads, and loads a model only
    for a question. Raises UnknownPhotoError, QueryError, and what loading a model raises.
    """
    with reading(engine) as connection:
        sources = known_sources(settings, connection)
        key = model_key or serving_model_key(connection) or next(iter(settings.models), None)
        if question is not None and key is None:
            raise QueryError(
                f"no model is configured. Add a [models.<key>] section to {settings.config_name}"
            )
        places = find_places(connection, sources, asked, folder)
        if not places:
            return [_below_no_source(absolute_path(asked, folder), sources)]
        return [_explanation(connection, settings, place, key, question) for place in places]


def _below_no_source(path: Path, sources: list[KnownSource]) -> Explanation:
    closest = closest_sources(sources, path)
    below = Finding(
        SOURCE,
        "none",
        "the path is not below any source. "
        + (f"The closest: {closest}" if closest else "No source is configured"),
        "To add its folder, run `photolineage run --photos <folder>`, or add a [sources.<key>] section.",
    )
    unsupported = why_unsupported(path.name)
    suffix = (
        []
        if unsupported is None
        else [Finding("format", unsupported.state, unsupported.reason, unsupported.remedy)]
    )
    return Explanation(path, None, None, (file_finding(path), below, *suffix))


def _explanation(
    connection: Connection, settings: Settings, place: Place, model_key: str | None, question: Question | None
) -> Explanation:
    findings = list(_findings(connection, settings, place, model_key))
    ranking = None
    if question is not None and model_key is not None:
        if place.image is None:
            findings.append(
                Finding(STAGE, "not found", "the photo is not in the catalog", "See the rows above.")
            )
        else:
            original = _original(connection, place.image)
            searched, ranking = search_findings(connection, settings, original, model_key, question)
            findings += searched
    image_id = None if place.image is None else place.image.id
    return Explanation(place.file, place.source.key, image_id, tuple(findings), ranking)


def _findings(
    connection: Connection, settings: Settings, place: Place, model_key: str | None
) -> Iterator[Finding]:
    on_disk = file_finding(place.file)
    yield on_disk
    yield source_finding(connection, place.source)
    yield scan_finding(connection, place, on_disk)
    if place.image is None:
        return
    yield from content_findings(connection, place, place.image)
    yield from model_findings(connection, settings, _original(connection, place.image))
    if model_key is not None:
        yield event_finding(connection, settings, place.image, model_key)


def _original(connection: Connection, image: Row[Any]) -> Row[Any]:
    """The image that is embedded and found instead of a copy; any other image itself."""
    original = None if image.duplicate_of_id is None else find_image(connection, image.duplicate_of_id)
    return image if original is None else original
