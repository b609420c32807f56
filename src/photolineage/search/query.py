"""Search: texts, image files and images of the library, weighted, as one vector; filtered, folded and paged."""

import math
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
"""The templates that give a text to the model as it was written."""
OUTDATED: Final = (
    "the index is older than its embeddings: images that changed since are not found, or found as they were"
)
_NO_DIRECTION: Final = 1e-3
"""Unit vectors that leave less than this have cancelled each other: what is left is float16 rounding."""


class QueryError(PhotolineageError):
    """A query that cannot be answered: the message names the part, its value, and what to change."""


class TextEncoder(Protocol):
    """What puts texts into the space of a model's images."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings of the texts, (n, dim), of unit length."""

    def truncates(self, text: str) -> bool:
        """Whether the text is longer than the model reads, so that its end does not count."""


class ImageEncoder(Protocol):
    """What puts pictures into the space of a model's images."""

    def encode_images(self, images: "Sequence[Image]") -> NDArray[np.float32]:
        """The embeddings of upright RGB images, (n, dim), of unit length."""


@dataclass(frozen=True, slots=True)
class Encoders:
    """The encoders of one model, each made where a query has a part for it, and only then."""

    text: Callable[[], TextEncoder]
    image: Callable[[], ImageEncoder]


@dataclass(frozen=True, slots=True)
class Weighted(Generic[Value]):
    """A part of a query. A weight below zero asks for what is unlike it; its size counts beside the other parts."""

    value: Value
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight) or self.weight == 0:
            raise QueryError(f"weight {self.weight} of {self.value!r}: must be a number other than 0")


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: texts, image files, and images of the library by their id; at least one of them."""

    texts: tuple[Weighted[str], ...] = ()
    image_files: tuple[Weighted[Path], ...] = ()
    image_ids: tuple[Weighted[int], ...] = ()

    def __post_init__(self) -> None:
        if not (self.texts or self.image_files or self.image_ids):
            raise QueryError("the query is empty: give a text, an image file or an image of the library")
        if any(not text.value.strip() for text in self.texts):
            raise QueryError("the text is empty: say what the pictures show")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page of hits, best first. `notes` are sentences that a person should read beside them."""

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
    """Page number `page` (from 1) of `k` hits for the query.

    Each text is put into each of the `templates`, at their "{}", and counts as the mean of them. An index that was
    not built is told from an empty library by `has_embeddings`: whether the model has any. `is_outdated` says that
    it has others than when the index was brought up to date.

    Raises `QueryError`, `ImageNotIndexedError` for an image of the library without an embedding, and
    `IndexNotBuiltError`.
    """
    if page < 1 or k < 1:
        raise QueryError(f"page {page} of {k} hits: both must be at least 1")
    _require_placeholders(templates)
    if not index.exists():
        if not has_embeddings:
            return SearchResult((), (f"no image has been embedded by model {index.model_key!r} yet",))
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
    """The query as one vector of unit length, the weighted sum of its parts' unit vectors, and notes about it.

    Raises `QueryError` where the parts cancel each other.
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
        raise QueryError("the parts of the query cancel each other: change their weights")
    return _unit(total), notes


def _text_vector(
    encoder: TextEncoder, text: str, templates: Sequence[str], notes: list[str]
) -> NDArray[np.float32]:
    """The unit mean of the text's embeddings in every template, as CLIP's authors ensemble prompts."""
    prompts = [template.replace("{}", text) for template in templates]
    if any(encoder.truncates(prompt) for prompt in prompts):
        notes.append(f"the text {_shortened(text)!r} is longer than the model reads: its end does not count")
    return _unit(encoder.encode_text(prompts).mean(axis=0, dtype=np.float32))


def _open_image(path: Path) -> "Image":
    from photolineage.media import UnreadableImageError, decode_upright

    try:
        return decode_upright(path.read_bytes())
    except (OSError, UnreadableImageError) as error:
        raise QueryError(f"image file {path}: cannot be opened ({error}); give another file") from error


def _require_placeholders(templates: Sequence[str]) -> None:
    for template in templates:
        if template.count("{}") != 1:
            raise QueryError(f"prompt template {template!r}: must hold {{}} once, where the text goes")
    if not templates:
        raise QueryError('prompt templates: there are none; "{}" gives the text as it is')


def _require_dimensions(index: VectorIndex, parts: Sequence[NDArray[np.float32]]) -> None:
    for part in parts:
        if part.shape != (index.dim,):
            raise QueryError(
                f"the encoder gives vectors of shape {part.shape}, the index of model {index.model_key!r} holds "
                f"{index.dim} dimensions: search with the model that made the index"
            )


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _shortened(text: str, length: int = 40) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
