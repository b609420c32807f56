"""Search: make one vector from weighted texts, image files and images of the library, and find its neighbours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from photolineage.errors import PhotolineageError
from photolineage.stores.vector_index import Hit, IndexNotBuiltError, SearchFilters, VectorIndex

if TYPE_CHECKING:
    from PIL.Image import Image

Value = TypeVar("Value")

PLAIN_TEXT: Final = ("{}",)
"""The prompt template that gives a text to the model unchanged."""
OUTDATED: Final = (
    "the index is older than the embeddings: images that changed since then are missing or outdated in it"
)
QUERY_SHORT_SIDE: Final = 1024
"""Pixels of the shorter side of a picture to search with: more than any model's input."""
SMALLEST_WEIGHT: Final = 0.01
LARGEST_WEIGHT: Final = 100.0
"""Beside a larger weight, another part would not count; and float32 cannot hold the sum of very large ones."""
_NO_DIRECTION: Final = 1e-3
"""A sum of unit vectors that is shorter than this is only float16 rounding: the vectors cancel each other."""


class QueryError(PhotolineageError):
    """A query cannot be answered. The message names the part of the query, its value, and what to change."""


class TextEncoder(Protocol):
    """Embeds texts in the space of a model's images."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings of the texts, (n, dim), of unit length."""

    def truncates(self, text: str) -> bool:
        """Whether the text is too long for the model, so that its end is ignored."""


class ImageEncoder(Protocol):
    """Embeds pictures in the space of a model's images."""

    def encode_images(self, images: "Sequence[Image]") -> NDArray[np.float32]:
        """The embeddings of upright RGB images, (n, dim), of unit length."""


@dataclass(frozen=True, slots=True)
class Encoders:
    """Functions that load the encoders of one model. Each is called only if the query has a part for it."""

    text: Callable[[], TextEncoder]
    image: Callable[[], ImageEncoder]


@dataclass(frozen=True, slots=True)
class Weighted(Generic[Value]):
    """A part of a query. A weight of 2 counts double; a weight below 0 finds images that differ from the part."""

    value: Value
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not SMALLEST_WEIGHT <= abs(self.weight) <= LARGEST_WEIGHT:  # not a number is neither
            raise QueryError(
                f"weight {self.weight:g} of {self.value!r}: give a number from {SMALLEST_WEIGHT:g} to "
                f"{LARGEST_WEIGHT:g}, or the same below 0, such as 2 or -0.5"
            )


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for: texts, image files, and ids of images in the library. At least one is required."""

    texts: tuple[Weighted[str], ...] = ()
    image_files: tuple[Weighted[Path], ...] = ()
    image_ids: tuple[Weighted[int], ...] = ()

    def __post_init__(self) -> None:
        if not (self.texts or self.image_files or self.image_ids):
            raise QueryError("the query is empty. Give a text, an image file or an image of the library")
        if any(not text.value.strip() for text in self.texts):
            raise QueryError("the text is empty. Describe what the images show")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page of hits, best first. `notes` are sentences to show with the hits."""

    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()


def search(
    index: VectorIndex,
    encoders: Encoders,
    query: Query,
    *,
    has_embeddings: bool,
    is_outdated: bool = False,
    filters: SearchFilters | None = None,
    k: int = 10,
    page: int = 1,
    templates: Sequence[str] = PLAIN_TEXT,
) -> SearchResult:
    """The hits of the query: page number `page` (from 1), with `k` hits on a page.

    Each text replaces the "{}" of every template, and its vector is the mean over the templates. `has_embeddings`:
    whether the model has embeddings; if not, a missing index is no error. `is_outdated`: whether the embeddings have
    changed since the index was built.

    Raises QueryError, ImageNotIndexedError for an image of the library that is not in the index, and
    IndexNotBuiltError.
    """
    if page < 1 or k < 1:
        raise QueryError(f"page {page} of {k} hits: both numbers must be at least 1")
    _require_placeholders(templates)
    if not index.exists():
        if not has_embeddings:
            return SearchResult((), (f"model {index.model_key!r} has no embeddings yet",))
        raise IndexNotBuiltError(index.model_key, index.directory)
    if index.row_count() == 0:
        return SearchResult((), (OUTDATED,) if is_outdated else ())
    vector, notes = query_vector(index, encoders, query, templates)
    if is_outdated:
        notes.append(OUTDATED)
    hits = index.search(vector, k, filters=filters, offset=(page - 1) * k)
    return SearchResult(tuple(hits), tuple(notes))


def query_vector(
    index: VectorIndex, encoders: Encoders, query: Query, templates: Sequence[str] = PLAIN_TEXT
) -> tuple[NDArray[np.float32], list[str]]:
    """The query as one vector (dim,) of unit length, and notes to show. The vector is the weighted sum of the parts.

    Raises QueryError if the parts cancel each other.
    """
    parts: list[NDArray[np.float32]] = []
    notes: list[str] = []
    if query.texts:
        text_encoder = encoders.text()
        parts.extend(
            text.weight * _text_vector(text_encoder, text.value.strip(), templates, notes)
            for text in query.texts
        )
    if query.image_files:
        pictures = [_open_image(file.value) for file in query.image_files]
        vectors = encoders.image().encode_images(pictures)
        parts.extend(file.weight * vector for file, vector in zip(query.image_files, vectors, strict=True))
    if query.image_ids:
        vectors = _unit(index.vectors_of([image.value for image in query.image_ids]))
        parts.extend(image.weight * vector for image, vector in zip(query.image_ids, vectors, strict=True))
    _require_dimensions(index, parts)
    total: NDArray[np.float32] = np.stack(parts).sum(axis=0, dtype=np.float32)
    if np.linalg.norm(total) < _NO_DIRECTION:
        raise QueryError("the parts of the query cancel each other. Change their weights")
    return _unit(total), notes


def _text_vector(
    encoder: TextEncoder, text: str, templates: Sequence[str], notes: list[str]
) -> NDArray[np.float32]:
    """The mean of the text's embeddings over all templates, of unit length: CLIP's prompt ensembling."""
    prompts = [template.replace("{}", text) for template in templates]
    if any(encoder.truncates(prompt) for prompt in prompts):
        notes.append(f"the text {_shortened(text)!r} is too long for the model: its end is ignored")
    return _unit(encoder.encode_text(prompts).mean(axis=0, dtype=np.float32))


def _open_image(path: Path) -> "Image":
    """The picture, scaled down to a size from which every model's input can be made."""
    from photolineage.media import UnreadableImageError, open_picture

    try:
        return open_picture(path, QUERY_SHORT_SIDE)
    except UnreadableImageError as error:
        raise QueryError(f"cannot open image file {path} ({error}). Give another file") from error


def _require_placeholders(templates: Sequence[str]) -> None:
    for template in templates:
        if template.count("{}") != 1:
            raise QueryError(
                f"prompt template {template!r}: must contain {{}} exactly once, where the text goes"
            )
    if not templates:
        raise QueryError(
            'prompt templates: the list is empty. Use "{}" to give the text to the model unchanged'
        )


def _require_dimensions(index: VectorIndex, parts: Sequence[NDArray[np.float32]]) -> None:
    for part in parts:
        if part.shape != (index.dim,):
            raise QueryError(
                f"the encoder returns vectors of shape {part.shape}, but the index of model {index.model_key!r} has "
                f"{index.dim} dimensions. Search with the model that the index was built for"
            )


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _shortened(text: str, length: int = 40) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
