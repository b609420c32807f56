"""Covers show the largest visual mode. Embeddings are read in blocks, whatever Arrow's chunks are."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from photolineage.events.covers import appearance
from photolineage.events.looks import Embeddings, LooksScale, blocks_of_runs, looks_of_runs

DIMENSION = 16
SCALE = LooksScale(strangers=0.0, neighbours=0.9)


def drawn(rng: np.random.Generator, sizes: list[int]) -> NDArray[np.float32]:
    """Images of one mode for each of `sizes`; the modes are at right angles to each other."""
    modes = np.eye(DIMENSION)[: len(sizes)].repeat(sizes, axis=0)
    vectors = modes + rng.normal(0, 0.08, modes.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def stored(vectors: NDArray[np.float32], chunks: int = 1) -> Embeddings:
    arrays = [
        pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), DIMENSION)
        for part in np.array_split(vectors, chunks)
    ]
    ids = pa.array(np.arange(len(vectors)))
    return Embeddings(pa.table({"image_id": ids, "vector": pa.chunked_array(arrays)}))


@pytest.mark.parametrize("sizes", [[6, 4], [4, 6], [3, 5, 4], [40, 35, 25], [25, 35, 40]])
@pytest.mark.parametrize("seed", range(4))
def test_the_cover_shows_the_largest_mode(sizes: list[int], seed: int) -> None:
    vectors = drawn(np.random.default_rng(seed), sizes)
    rows = np.arange(len(vectors))
    looks = appearance(stored(vectors), rows, np.array([0]), SCALE, np.zeros(len(rows)))
    mode = np.repeat(np.arange(len(sizes)), sizes)
    assert mode[looks.medoid[0]] == np.argmax(sizes)


def test_of_equally_near_pictures_the_better_one_is_the_cover() -> None:
    vectors = np.repeat(drawn(np.random.default_rng(0), [1, 1]), [5, 3], axis=0)
    quality = np.array([0.1, 0.2, 0.9, 0.3, 0.1, 1.0, 1.0, 1.0])
    looks = appearance(stored(vectors), np.arange(8), np.array([0]), SCALE, quality)
    assert looks.medoid.tolist() == [2]


def test_cohesion_is_the_mean_likeness_of_pairs() -> None:
    vectors = drawn(np.random.default_rng(0), [5, 3])
    looks = appearance(stored(vectors), np.arange(8), np.array([0, 5, 7]), SCALE, np.zeros(8))
    cosines = vectors @ vectors.T
    expected = cosines[:5, :5][np.triu_indices(5, 1)].mean() / 0.9
    assert looks.cohesion[0] == pytest.approx(expected, abs=1e-3)
    assert looks.cohesion[1] == pytest.approx(cosines[5, 6] / 0.9, abs=1e-3)
    assert np.isnan(looks.cohesion[2])


def test_the_middle_image_represents_a_run_without_embeddings() -> None:
    rows = np.array([-1, -1, -1, 0, -1])
    looks = appearance(
        stored(drawn(np.random.default_rng(0), [2])), rows, np.array([0, 3]), SCALE, np.zeros(5)
    )
    assert looks.medoid.tolist() == [1, 3]
    assert np.isnan(looks.cohesion).all()


@pytest.mark.parametrize("chunks", [1, 2, 7])
def test_rows_are_found_in_every_chunk(chunks: int) -> None:
    vectors = drawn(np.random.default_rng(0), [10, 10, 5])
    rows = np.array([24, -1, 0, 13, 13, 7])
    expected = np.where(rows[:, None] >= 0, vectors[rows], 0)
    assert np.array_equal(stored(vectors, chunks).vectors(rows), expected)
    assert np.array_equal(stored(vectors, chunks).hashes(), stored(vectors).hashes())


def test_each_vector_has_its_own_hash() -> None:
    vectors = drawn(np.random.default_rng(0), [100])
    nudged = vectors.copy()
    nudged[:, 3] = np.nextafter(nudged[:, 3], np.float32(2))
    hashes = np.concatenate([stored(vectors).hashes(), stored(nudged).hashes()])
    assert len(np.unique(hashes)) == 200


def test_runs_are_compared_by_the_mean_cosine_of_their_images() -> None:
    vectors = drawn(np.random.default_rng(0), [4, 6])
    looks = looks_of_runs(stored(vectors), np.arange(10), np.array([0, 2, 4]), most=64)
    contrast = looks.contrast(np.array([0]), np.array([1]), np.array([2]))
    cosines = vectors @ vectors.T
    within = np.concatenate(
        [cosines[:4, :4][np.triu_indices(4, 1)], cosines[4:, 4:][np.triu_indices(6, 1)]]
    ).mean()
    assert contrast.across == pytest.approx([cosines[:4, 4:].mean()], abs=1e-3)
    assert contrast.within == pytest.approx([within], abs=1e-3)
    assert contrast.support.tolist() == [4]


def test_long_runs_are_sampled_evenly() -> None:
    vectors = drawn(np.random.default_rng(0), [50, 50, 10])
    looks = looks_of_runs(stored(vectors), np.arange(110), np.array([0, 100]), most=10)
    assert looks.counts.tolist() == [10, 10]
    assert np.allclose(looks.sums[0], vectors[np.arange(10) * 10].sum(axis=0), atol=1e-5)


@pytest.mark.parametrize("limit", [1, 4, 7, 100])
def test_blocks_hold_whole_runs(limit: int) -> None:
    starts = np.array([0, 2, 3, 9, 10, 11])
    blocks = list(blocks_of_runs(starts, 15, limit))
    assert [low for low, _ in blocks] == [0, *(high for _, high in blocks[:-1])]
    assert blocks[-1][1] == 6
    ends = np.append(starts[1:], 15)
    assert all(ends[high - 1] - starts[low] <= limit or high == low + 1 for low, high in blocks)
