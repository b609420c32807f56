"""The review list: groups of near-duplicates, the best of each, and what would be lost with the others."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, select

from photolineage.catalog.engine import reading
from photolineage.catalog.notes import fields_of
from photolineage.catalog.orm import Image, Source
from photolineage.catalog.queries import IS_EMBEDDABLE, SHOWN_ID
from photolineage.catalog.vocabulary import TakenAtPrecision, WrittenField
from photolineage.media.formats import RAW
from photolineage.media.perceptual_hash import differing_bits
from photolineage.models.registry import require_model
from photolineage.near_duplicates.pairs import similar_hashes
from photolineage.settings import Settings
from photolineage.stacks.rules import have_same_time
from photolineage.stacks.stored import camera_time
from photolineage.stores.vector_index import ImageNotIndexedError, VectorIndex, VectorIndexes

LEAST_COSINE: Final = 0.9
"""Pictures with similar hashes whose embeddings are further apart show something else."""
SAME_SHAPE: Final = 1.03
"""How much the ratio of width to height may differ. A cropped picture is another one."""
_VECTORS_AT_ONCE: Final = 5_000
_FORMATS: Final = (RAW, "TIFF", "PSD", "PNG", "BMP", "JXL", "HEIF", "AVIF", "JPEG2000", "JPEG", "WEBP", "GIF")
"""Those that lose least of a picture first."""

Vectors = Mapping[int, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image of a group. `bits` and `cosine`: how its hash and its embedding differ from those of the best image.

    `lost`: what the group would lose without this image, and the files of its stack, if only the best were kept.
    """

    image_id: int
    source: str
    path: Path
    format: str
    width: int
    height: int
    size_bytes: int
    taken_at: datetime | None
    taken_at_precision: TakenAtPrecision | None
    bits: int
    cosine: float
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Images that show one picture: the best, and the others with the largest file first."""

    best: Candidate
    others: tuple[Candidate, ...]

    @property
    def size_bytes(self) -> int:
        """The size of all files but the best."""
        return sum(other.size_bytes for other in self.others)


@dataclass(frozen=True, slots=True)
class Review:
    """All groups, those with the most bytes besides the best first.

    `unhashed`: images that were read before their hash was recorded; they are in no group.
    """

    groups: list[NearDuplicates]
    unhashed: int


def find_near_duplicates(settings: Settings, engine: Engine, model_key: str) -> Review:
    """Groups of images with similar hashes, similar embeddings of the model, the same shape and no other time.

    Every image of a group resembles the best one. Images of one stack are no near-duplicates of each other, and copies
    with the same bytes count as one image. Raises ModelNotLoadedError and VectorIndexError.
    """
    with reading(engine) as connection:
        model = require_model(connection, model_key)
        images = _images(connection)
        stacks = _stacks(connection)
    hashed = [image for image in images if image.perceptual_hash is not None]
    ordered = sorted(hashed, key=_best_first)
    similar = _SimilarHashes(ordered)
    rows = similar.with_others()
    index = VectorIndexes(settings.home).open(model_key, model.embedding_dim)
    vectors = _vectors(index, [ordered[row].id for row in rows])
    grouped: set[int] = set()
    groups: list[NearDuplicates] = []
    for row in rows:
        best = ordered[row]
        found = {
            other: cosine
            for other in (similar.others(row) if row not in grouped else ())
            if other not in grouped
            and _may_be_one(best, ordered[other])
            and (cosine := _cosine(vectors, best.id, ordered[other].id)) >= LEAST_COSINE
        }
        if found:
            grouped |= {row, *found}
            groups.append(_group(best, [(ordered[other], cosine) for other, cosine in found.items()], stacks))
    with reading(engine) as connection:
        groups = list(_with_lost_words(connection, groups))
    return Review(
        sorted(groups, key=lambda group: (-group.size_bytes, group.best.image_id)), len(images) - len(hashed)
    )


def _images(connection: Connection) -> list[Any]:
    """The registered images, without copies, each with its source and the image that its stack shows."""
    rows = connection.execute(
        select(
            Image.id,
            Image.path,
            Image.format,
            Image.width,
            Image.height,
            Image.size_bytes,
            Image.truncated,
            Image.taken_at,
            Image.taken_at_source,
            Image.taken_at_precision,
            Image.utc_offset_minutes,
            Image.latitude,
            Image.camera,
            Image.perceptual_hash,
            SHOWN_ID.label("shown_id"),
            Source.key.label("source"),
            Source.root,
        )
        .join(Source, Source.id == Image.source_id)
        .where(IS_EMBEDDABLE)
    )
    return list(rows.all())


def _stacks(connection: Connection) -> dict[int, list[Any]]:
    """The images of each stack, by the image that it shows."""
    rows = connection.execute(
        select(Image.id, Image.format, SHOWN_ID.label("shown_id")).where(
            IS_EMBEDDABLE,
            SHOWN_ID.in_(select(Image.stack_of_id).where(Image.stack_of_id.is_not(None))),
        )
    )
    stacks: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        stacks[row.shown_id].append(row)
    return stacks


def _best_first(image: Any) -> tuple[Any, ...]:
    """Whole pictures with many pixels in a good format first, then what says most about itself, then large files."""
    format_rank = _FORMATS.index(image.format) if image.format in _FORMATS else len(_FORMATS)
    known = sum(has(image) for has in _FACTS.values())
    return image.truncated, -image.width * image.height, format_rank, -known, -image.size_bytes, image.id


_FACTS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "place": lambda image: image.latitude is not None,
    "camera's time": lambda image: camera_time(image) is not None,
    "camera": lambda image: image.camera is not None,
}
"""What a file may say about its picture."""
_WORDS: Final = {
    WrittenField.TITLE: "title",
    WrittenField.DESCRIPTION: "description",
    WrittenField.KEYWORD: "keywords",
    WrittenField.PERSON: "people",
    WrittenField.RATING: "rating",
    WrittenField.PLACE: "name of the place",
}
"""What people may have written about a picture."""


class _SimilarHashes:
    """The images by their hashes. An image is known by its position among `images`."""

    def __init__(self, images: Sequence[Any]) -> None:
        self._images = images
        self._rows: dict[int, list[int]] = defaultdict(list)
        for row, image in enumerate(images):
            self._rows[image.perceptual_hash].append(row)
        self._hashes = list(self._rows)
        self._position = {value: position for position, value in enumerate(self._hashes)}
        self._similar = similar_hashes(np.array(self._hashes, np.int64)) if images else {}

    def with_others(self) -> list[int]:
        """The images with the same hash as another one, or with a similar one, in order."""
        return sorted(
            row
            for position, value in enumerate(self._hashes)
            if position in self._similar or len(self._rows[value]) > 1
            for row in self._rows[value]
        )

    def others(self, row: int) -> list[int]:
        """The others with the same hash as an image or with a similar one, in order."""
        position = self._position[self._images[row].perceptual_hash]
        hashes = (position, *self._similar.get(position, ()))
        return sorted(other for at in hashes for other in self._rows[self._hashes[at]] if other != row)


def _may_be_one(one: Any, other: Any) -> bool:
    """Whether two images with similar hashes can show one picture: the shape and the time agree. Stacks are known."""
    shapes = one.width * other.height, other.width * one.height
    return (
        one.shown_id != other.shown_id
        and max(shapes) <= SAME_SHAPE * min(shapes)
        and have_same_time(
            camera_time(one),
            one.utc_offset_minutes is not None,
            camera_time(other),
            other.utc_offset_minutes is not None,
        )
        is not False
    )


def _vectors(index: VectorIndex, image_ids: Sequence[int]) -> Vectors:
    """The embeddings of those of the images that are in the index."""
    vectors: dict[int, NDArray[np.float32]] = {}
    for start in range(0, len(image_ids), _VECTORS_AT_ONCE):
        wanted = list(image_ids[start : start + _VECTORS_AT_ONCE])
        try:
            found = index.vectors_of(wanted)
        except ImageNotIndexedError as error:
            missing = set(error.image_ids)
            wanted = [image_id for image_id in wanted if image_id not in missing]
            found = index.vectors_of(wanted)
        vectors.update(zip(wanted, found, strict=True))
    return vectors


def _cosine(vectors: Vectors, one: int, other: int) -> float:
    """The cosine of two embeddings; -1 if one of the images has none."""
    if one not in vectors or other not in vectors:
        return -1.0
    first, second = vectors[one], vectors[other]
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def _group(best: Any, others: Sequence[tuple[Any, float]], stacks: Mapping[int, list[Any]]) -> NearDuplicates:
    candidates = [
        _candidate(
            other,
            differing_bits(best.perceptual_hash, other.perceptual_hash),
            cosine,
            tuple(_lost(best, other, stacks)),
        )
        for other, cosine in others
    ]
    return NearDuplicates(
        _candidate(best, 0, 1.0, ()),
        tuple(sorted(candidates, key=lambda other: (-other.size_bytes, other.image_id))),
    )


def _lost(best: Any, other: Any, stacks: Mapping[int, list[Any]]) -> Iterator[str]:
    """What only the other image has."""
    for fact, has in _FACTS.items():
        if has(other) and not has(best):
            yield fact
    mates = [mate for mate in stacks.get(other.shown_id, ()) if mate.id != other.id]
    kept = [best, *stacks.get(best.shown_id, ())]
    if any(mate.format == RAW for mate in (other, *mates)) and all(mate.format != RAW for mate in kept):
        yield "RAW"
    if mates:
        yield f"{len(mates)} other file{'' if len(mates) == 1 else 's'} of its stack"


def _with_lost_words(connection: Connection, groups: Sequence[NearDuplicates]) -> Iterator[NearDuplicates]:
    """The groups, with what people wrote only about an image that is not the best."""
    written = fields_of(
        connection, [image.image_id for group in groups for image in (group.best, *group.others)]
    )
    for group in groups:
        kept = written.get(group.best.image_id, frozenset())
        yield replace(
            group,
            others=tuple(
                replace(
                    other,
                    lost=(
                        *other.lost,
                        *(
                            _WORDS[field]
                            for field in _WORDS
                            if field in written.get(other.image_id, ()) and field not in kept
                        ),
                    ),
                )
                for other in group.others
            ),
        )


def _candidate(image: Any, bits: int, cosine: float, lost: tuple[str, ...]) -> Candidate:
    return Candidate(
        image_id=image.id,
        source=image.source,
        path=Path(image.root, image.path),
        format=image.format,
        width=image.width,
        height=image.height,
        size_bytes=image.size_bytes,
        taken_at=image.taken_at,
        taken_at_precision=image.taken_at_precision,
        bits=bits,
        cosine=round(cosine, 4),
        lost=lost,
    )
