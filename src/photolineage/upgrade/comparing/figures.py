"""The answers of one model for a sample of images and a list of texts, its speed and its size."""

import io
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photolineage.models.embedder import Embedder, encoding_threads
from photolineage.stores.vector_index import Hit, SearchFilters, VectorIndex
from photolineage.upgrade.comparing.variations import Variation, vary

NEIGHBOURS = 10
PROMPT = "a photo of {}"
"""The template of zero-shot classification in CLIP's paper (Radford et al., 2021)."""

ALL = SearchFilters(fold_stacks=False)
"""Other images of a stack count as neighbours, too."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """The figures of one model.

    Each variation was applied to `varied` pictures. By variation, `found_first` counts the near-duplicates for which
    the original is the nearest image in the index, and `found` those for which it is among the ten nearest.
    `images_per_second` includes preprocessing and forward pass; sizes are on the disk.
    """

    model_key: str
    architecture: str
    embedding_dim: int
    image_size: int
    parameters: int
    images: int
    index_bytes: int
    embedding_bytes: int
    varied: int
    found_first: Mapping[Variation, int]
    found: Mapping[Variation, int]
    images_per_second: float

    @property
    def near_duplicate_recall(self) -> float:
        """The share of near-duplicates for which the original is the nearest image; 1 without near-duplicates."""
        return sum(self.found_first.values()) / (self.varied * len(self.found_first)) if self.varied else 1.0


@dataclass(frozen=True, slots=True)
class Answers:
    """Of each sampled image, its nearest images and the index of its best text; for each text, its hits, best first."""

    neighbours: list[frozenset[int]]
    labels: NDArray[np.int64]
    hits: list[tuple[Hit, ...]]


@dataclass(frozen=True, slots=True)
class NearDuplicateSearch:
    """How often a model found the originals of near-duplicates, and how fast it embedded them."""

    varied: int
    found_first: dict[Variation, int]
    found: dict[Variation, int]
    images_per_second: float


def answers(index: VectorIndex, embedder: Embedder, sample: Sequence[int], texts: Sequence[str]) -> Answers:
    """Search the model's index for the sampled images and the texts; label each image with one of the texts."""
    vectors = index.vectors_of(sample)
    prompts = embedder.encode_text([PROMPT.format(text) for text in texts])
    return Answers(
        neighbours=[
            frozenset(
                [
                    hit.image_id
                    for hit in index.search(vector, NEIGHBOURS + 1, filters=ALL)
                    if hit.image_id != image_id
                ][:NEIGHBOURS]
            )
            for image_id, vector in zip(sample, vectors, strict=True)
        ],
        labels=np.argmax(vectors @ prompts.T, axis=1),
        hits=[tuple(index.search(vector, NEIGHBOURS)) for vector in embedder.encode_text(texts)],
    )


def search_near_duplicates(
    index: VectorIndex, embedder: Embedder, previews: Mapping[int, bytes]
) -> NearDuplicateSearch:
    """Apply every variation to each picture, embed the result, and search for the original in the index.

    The rate excludes the first batch, which warms up the model, unless it is the only one.
    """
    found_first = dict.fromkeys(Variation, 0)
    found = dict.fromkeys(Variation, 0)
    rates: list[tuple[int, float]] = []
    cases = [(image_id, variation) for image_id in previews for variation in Variation]
    with encoding_threads(embedder.device) as threads, ThreadPoolExecutor(threads) as pool:
        for batch in _batches(cases, threads * embedder.batch_images):
            pictures = [
                vary(_opened(previews[image_id]), variation, seed=image_id) for image_id, variation in batch
            ]
            share = -(-len(pictures) // threads)
            started = time.perf_counter()
            vectors = np.concatenate(list(pool.map(embedder.encode_images, _batches(pictures, share))))
            rates.append((len(batch), time.perf_counter() - started))
            for (image_id, variation), vector in zip(batch, vectors, strict=True):
                nearest = [hit.image_id for hit in index.search(vector, NEIGHBOURS, filters=ALL)]
                found_first[variation] += nearest[:1] == [image_id]
                found[variation] += image_id in nearest
    warm = rates[1:] or rates
    seconds = sum(second for _, second in warm)
    return NearDuplicateSearch(
        varied=len(previews),
        found_first=found_first,
        found=found,
        images_per_second=sum(count for count, _ in warm) / seconds if seconds else 0.0,
    )


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def _opened(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")
