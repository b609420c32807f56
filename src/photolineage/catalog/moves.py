"""Moved files: if a missing image and a new image of a source have the same content, they are one image."""

from collections import defaultdict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from posixpath import basename
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from photolineage.catalog.duplicates import DUPLICATES_LOCK
from photolineage.catalog.engine import advisory_lock
from photolineage.catalog.orm import EventImage, Image, ImageNote, Shard, Source
from photolineage.catalog.vocabulary import ImageState

IDS_PER_QUERY = 500

KEPT = frozenset(
    {"id", "source_id", "shard_id", "discovered_at", "embedded_models", "stack_of_id", "stack_rule"}
)
"""The columns that an image keeps for life. All other columns are taken from the found file."""


@dataclass(frozen=True, slots=True)
class _Image:
    """An image, with the `facts` that another image takes over if both are the same image."""

    id: int
    source_id: int
    shard_id: int
    path: str
    content_hash: str
    facts: Mapping[str, Any]


def reunite_moved_images(connection: Connection, new_images: Collection[int]) -> int:
    """Match `new_images` with missing images whose files were moved. Returns the number of matches.

    `new_images` have no embeddings: they were registered for the first time in this transaction, or are duplicates.
    If a missing image of the same source has the same content, the new image is deleted, and the missing image takes
    over its path and its facts. The missing image keeps its id and its shard, and so its embeddings. A missing image
    with the same file name is preferred. The shards of the deleted images get a new revision.
    """
    ids = sorted(new_images)
    advisory_lock(connection, DUPLICATES_LOCK)
    return sum(
        _reunite(connection, ids[start : start + IDS_PER_QUERY])
        for start in range(0, len(ids), IDS_PER_QUERY)
    )


def reunite_missing_images(connection: Connection, source_id: int, content_hashes: Collection[str]) -> int:
    """Match images that go missing in this transaction with files found since the last complete scan.

    A scan commits new paths before it marks images as missing. If the new paths were registered in between, or after
    the scan was killed, they became duplicates of images that were not missing yet. Call this before
    `refresh_duplicates`.
    """
    advisory_lock(connection, DUPLICATES_LOCK)
    hashes = sorted(content_hashes)
    found: list[int] = []
    for start in range(0, len(hashes), IDS_PER_QUERY):
        found += connection.execute(
            select(Image.id)
            .join(Source, Source.id == Image.source_id)
            .where(
                Image.source_id == source_id,
                Image.content_hash.in_(hashes[start : start + IDS_PER_QUERY]),
                Image.state == ImageState.REGISTERED,
                Image.duplicate_of_id.is_not(None),
                Image.discovered_at > Source.scanned_at,
            )
        ).scalars()
    return reunite_moved_images(connection, found)


def _reunite(connection: Connection, new_images: list[int]) -> int:
    new = _images(connection, Image.id.in_(new_images), ImageState.REGISTERED)
    missing = _missing_by_content(connection, {image.content_hash for image in new})
    pairs = []
    for image in new:
        former = missing.get((image.source_id, image.content_hash))
        if former:
            pairs.append((_most_alike(former, image), image))
    for former_image, image in pairs:
        _take_over(connection, former_image, image)
    return len(pairs)


def _images(connection: Connection, condition: ColumnElement[bool], state: ImageState) -> list[_Image]:
    """The images in this state that match the condition and have a content hash, in the order of their ids."""
    rows = connection.execute(
        select(Image.__table__)
        .where(condition, Image.state == state, Image.content_hash.is_not(None))
        .order_by(Image.id)
    ).mappings()
    return [
        _Image(
            row["id"],
            row["source_id"],
            row["shard_id"],
            row["path"],
            row["content_hash"],
            {name: value for name, value in row.items() if name not in KEPT},
        )
        for row in rows
    ]


def _missing_by_content(
    connection: Connection, hashes: Collection[str]
) -> dict[tuple[int, str], deque[_Image]]:
    missing: dict[tuple[int, str], deque[_Image]] = defaultdict(deque)
    for image in _images(connection, Image.content_hash.in_(sorted(hashes)), ImageState.MISSING):
        missing[image.source_id, image.content_hash].append(image)
    return missing


def _most_alike(candidates: deque[_Image], image: _Image) -> _Image:
    """The first candidate with the same file name, or else the first. Removes it from the candidates."""
    named_alike = (row for row in candidates if basename(row.path) == basename(image.path))
    chosen = next(named_alike, candidates[0])
    candidates.remove(chosen)
    return chosen


def _take_over(connection: Connection, former: _Image, image: _Image) -> None:
    connection.execute(delete(EventImage).where(EventImage.image_id == image.id))
    connection.execute(delete(ImageNote).where(ImageNote.image_id == former.id))
    connection.execute(update(ImageNote).where(ImageNote.image_id == image.id).values(image_id=former.id))
    connection.execute(
        update(Image).where(Image.stack_of_id == image.id).values(stack_of_id=None, stack_rule=None)
    )
    connection.execute(delete(Image).where(Image.id == image.id))
    connection.execute(update(Image).where(Image.id == former.id).values(image.facts))
    connection.execute(
        update(Shard).where(Shard.id == image.shard_id).values(image_count=Shard.image_count - 1)
    )
    connection.execute(update(Shard).where(Shard.id == former.shard_id).values(revision=Shard.revision + 1))
