"""What must hold in a library that is up to date, found out by other means than those of the steps."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, select

from photolineage.catalog.orm import Image, ImageNote, ShardFile, Source
from photolineage.catalog.queries import find_model, serving_model_key
from photolineage.catalog.vocabulary import ImageState, WrittenField
from photolineage.checks.library import check_library
from photolineage.events.cluster import cluster_events
from photolineage.events.stored import members_of_events
from photolineage.media import content_hash
from photolineage.models.registry import require_model
from photolineage.search.by_notes import list_images
from photolineage.search.query import QueryError
from photolineage.search.scope import Scope
from photolineage.settings import Settings
from photolineage.steps.cluster import read_images
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from photolineage.stores.live_embeddings import find_live_embeddings
from photolineage.stores.vector_index import VectorIndexes
from workloads.stateful.disk import KEYWORDS, NO_PICTURE, SEEDS, Place, drawn_photo

LEAST_COSINE = 0.9999

Vectors = Mapping[str, NDArray[np.float32]]
"""The embedding of each content, by its hash."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the library must be: the photos that it has seen, the disk of each source by its key, the embeddings of an
    undisturbed library by model, the serving model, and the keywords of the photos that have any.
    """

    photos: Mapping[Place, bytes]
    folders: Mapping[str, str]
    vectors: Mapping[str, Vectors]
    serving: str | None
    keywords: Mapping[Place, frozenset[str]] = field(default_factory=dict)

    def shown_instead(self) -> Mapping[str, str]:
        """The contents that do not show, each with the one that shows: an edited copy beside its original."""
        return {
            content_hash(original): content_hash(content)
            for place, content in self.photos.items()
            if (original := _original_of(content)) is not None
            if any(beside.edited == place and found == original for beside, found in self.photos.items())
        }


def _original_of(content: bytes) -> bytes | None:
    """The photo of which this is the edited copy; None for any other photo."""
    return {drawn_photo(seed, is_edited=True): drawn_photo(seed) for seed in range(SEEDS)}.get(content)


def violations(settings: Settings, engine: Engine, expected: Expected) -> list[str]:
    """Everything in which a library that was just brought up to date is not as expected, as sentences."""
    with engine.connect() as connection:
        rows = images_by_place(connection, expected.folders)
        found = [
            *_images(rows, expected.photos),
            *_duplicates(rows),
            *_stacks(rows, expected),
            *_keywords(connection, rows, expected),
            *_files(connection, settings.home),
        ]
        serving = serving_model_key(connection)
        if serving != expected.serving:
            found.append(f"{serving} serves instead of {expected.serving}")
        for model in settings.models:
            found += [
                f"{model}: {one}"
                for one in _of_model(connection, settings, model, rows, expected.vectors[model])
            ]
    found += _searches(settings, engine, rows, expected)
    found += [
        f"check {finding.name} failed: {finding.description}"
        for finding in check_library(settings, engine)
        if not finding.passed
    ]
    return found


def images_by_place(connection: Connection, folders: Mapping[str, str]) -> dict[Place, Row[Any]]:
    """The rows of the images that are not missing. `folders`: the folder of each source by its key."""
    rows = connection.execute(
        select(Image.__table__, Source.key.label("source"))
        .join(Source, Source.id == Image.source_id)
        .where(Image.state != ImageState.MISSING)
    )
    return {Place(folders[row.source], row.path): row for row in rows}


def embeddings_of(
    connection: Connection, settings: Settings, model: str
) -> tuple[dict[int, NDArray[np.float32]], pa.Table]:
    """The current embedding of each image, as the index and the events read them; also as a table."""
    recorded = require_model(connection, model)
    store = EmbeddingStore(open_files(settings))
    table = find_live_embeddings(connection, store, recorded.id, recorded.embedding_dim).vectors()
    vectors = (np.array(vector, np.float32) for vector in table["vector"].to_pylist())
    return dict(zip(table["image_id"].to_pylist(), vectors, strict=True)), table


def _images(rows: Mapping[Place, Row[Any]], photos: Mapping[Place, bytes]) -> Iterator[str]:
    for place in rows.keys() - photos.keys():
        yield f"{place} is in the catalog, but not on the disk"
    for place, content in photos.items():
        wanted = ImageState.FAILED if content == NO_PICTURE else ImageState.REGISTERED
        row = rows.get(place)
        if row is None or row.state != wanted:
            yield f"{place} is {row and row.state} instead of {wanted}"
        elif wanted == ImageState.REGISTERED and row.content_hash != content_hash(content):
            yield f"{place} has the hash of another content"


def _duplicates(rows: Mapping[Place, Row[Any]]) -> Iterator[str]:
    representatives: dict[str, list[int]] = {}
    for row in rows.values():
        if row.state == ImageState.REGISTERED:
            found = representatives.setdefault(row.content_hash, [])
            found += [row.id] if row.duplicate_of_id is None else []
    for content, found in representatives.items():
        if len(found) != 1:
            yield f"content {content[:8]} is embedded for the images {found}"
    of = {row.id: row for row in rows.values()}
    for row in rows.values():
        if row.duplicate_of_id is not None and (
            row.duplicate_of_id not in of or of[row.duplicate_of_id].content_hash != row.content_hash
        ):
            yield f"{row.path} is called a duplicate of image {row.duplicate_of_id}, which has another content"


def _stacks(rows: Mapping[Place, Row[Any]], expected: Expected) -> Iterator[str]:
    first = {row.content_hash: row.id for row in rows.values() if row.duplicate_of_id is None}
    instead = expected.shown_instead()
    for place, row in rows.items():
        wanted = first.get(instead.get(row.content_hash, "")) if row.state == ImageState.REGISTERED else None
        if row.stack_of_id != wanted:
            yield f"{place} shows the image {row.stack_of_id} instead, but should show {wanted}"


def _keywords(connection: Connection, rows: Mapping[Place, Row[Any]], expected: Expected) -> Iterator[str]:
    """What people wrote is stored with each image."""
    stored = defaultdict(set)
    notes = select(ImageNote.image_id, ImageNote.value).where(ImageNote.field == WrittenField.KEYWORD)
    for image, keyword in connection.execute(notes):
        stored[image].add(keyword)
    for place, row in rows.items():
        is_read = row.state == ImageState.REGISTERED
        wanted = expected.keywords.get(place, frozenset()) if is_read else frozenset()
        if stored[row.id] != wanted:
            yield f"{place} has the keywords {sorted(stored[row.id])} instead of {sorted(wanted)}"


def _searches(
    settings: Settings, engine: Engine, rows: Mapping[Place, Row[Any]], expected: Expected
) -> Iterator[str]:
    """The images, or those that their stacks show, are found by their keywords, and by nothing else."""
    wanted = defaultdict(set)
    for place, keywords in expected.keywords.items():
        row = rows.get(place)
        if row is not None and row.state == ImageState.REGISTERED:
            for keyword in keywords:
                wanted[keyword].add(row.stack_of_id or row.duplicate_of_id or row.id)
    for keyword in KEYWORDS:
        try:
            hits = list_images(settings, engine, "", Scope(keywords=(keyword,)), k=len(rows) + 1).hits
        except QueryError:  # no image has it
            hits = []
        found = {hit.image_id for hit in hits}
        if found != wanted[keyword]:
            yield f"a search for the keyword {keyword} finds the images {found} instead of {wanted[keyword]}"


def _files(connection: Connection, home: Path) -> Iterator[str]:
    for path, size in connection.execute(select(ShardFile.path, ShardFile.size_bytes)):
        file = home / path
        if not file.is_file() or file.stat().st_size != size:
            yield f"{path} is committed, but not on the disk as it was written"


def _of_model(
    connection: Connection, settings: Settings, model: str, rows: Mapping[Place, Row[Any]], vectors: Vectors
) -> Iterator[str]:
    contents = {
        row.id: str(row.content_hash)
        for row in rows.values()
        if row.state == ImageState.REGISTERED and row.duplicate_of_id is None
    }
    if find_model(connection, model) is None:
        if contents:
            yield f"the images {sorted(contents)} should be embedded"
        return
    embedded, table = embeddings_of(connection, settings, model)
    yield from _compared(contents, embedded, vectors, "embedded")
    index = VectorIndexes(settings.home).open(model, require_model(connection, model).embedding_dim)
    live = index.live_rows()
    indexed: Sequence[int] = live["image_id"].to_pylist()
    if len(set(indexed)) != len(indexed):
        yield "the index has an image twice"
    stacks = {row.id: row.stack_of_id for row in rows.values()}
    for image, shown in zip(indexed, live["stack_of"].to_pylist(), strict=True):
        if shown != stacks.get(image):
            yield f"the index shows the image {shown} instead of image {image}, but should show {stacks.get(image)}"
    at = dict(zip(indexed, index.vectors_of(indexed), strict=True)) if indexed else {}
    yield from _compared(contents, at, vectors, "indexed")
    for image, content in contents.items():
        found = [hit.image_id for hit in index.search(vectors[content], k=1)] if content in vectors else []
        if found != [image]:
            yield f"a search for image {image} finds {found}"
    yield from _events(connection, settings, model, table)


def _compared(
    contents: Mapping[int, str], found: Mapping[int, NDArray[np.float32]], vectors: Vectors, verb: str
) -> Iterator[str]:
    if contents.keys() != found.keys():
        yield f"the images {sorted(contents.keys() ^ found.keys())} should, or should not, be {verb}"
    for image in contents.keys() & found.keys():
        if contents[image] not in vectors:
            yield f"image {image} is {verb} with the content {contents[image][:8]}, which no photo has"
            continue
        cosine = _cosine(found[image], vectors[contents[image]])
        if cosine < LEAST_COSINE:
            yield f"image {image} is {verb} with another vector (cosine {cosine:.6f})"


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def _events(connection: Connection, settings: Settings, model: str, vectors: pa.Table) -> Iterator[str]:
    """The stored events must be those of a clustering that keeps nothing from former ones."""
    recorded = require_model(connection, model)
    fresh = cluster_events(read_images(connection), vectors, settings.events, previous=None)
    wanted = {frozenset(event.members) for event in fresh.events}
    stored = {frozenset(members) for members in members_of_events(connection, recorded.id).values()}
    if wanted != stored:
        yield (
            f"the events {sorted(map(sorted, stored - wanted))} should be {sorted(map(sorted, wanted - stored))}"
        )
