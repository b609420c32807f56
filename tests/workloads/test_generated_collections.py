"""The generated collections are what the benchmark says of them."""

import numpy as np
import pytest

from workloads.clustering_metrics import b_cubed, event_labels
from workloads.habits import HABITS
from workloads.large_library import large_library


@pytest.mark.parametrize("habit", sorted(HABITS))
def test_one_seed_is_one_collection(habit: str) -> None:
    first, again = (HABITS[habit](np.random.default_rng(3)) for _ in range(2))
    assert first.images.equals(again.images)
    assert first.embeddings.equals(again.embeddings)
    assert len(first.truth) == first.images.num_rows == first.embeddings.num_rows
    assert first.name == habit


def test_looks_alone_do_not_tell_events_apart() -> None:
    """A picture's likest of another outing often shows the same kind of scene at another event."""
    collection = HABITS["year_of_travel"](np.random.default_rng(3))
    vectors = collection.embeddings["vector"].combine_chunks().flatten().to_numpy().astype(np.float32)
    vectors = vectors.reshape(len(collection.truth), -1)
    cosines = vectors[:300] @ vectors.T
    apart = collection.truth[:300, None] != collection.truth[None, :]
    strangers = np.median(cosines[apart])
    assert 0.40 < strangers < 0.50
    nearest_apart = np.where(apart, cosines, -1).max(axis=1)
    assert np.median(nearest_apart) > strangers + 0.2


def test_ours_does_well_on_a_collection_with_two_clocks() -> None:
    collection = HABITS["two_cameras"](np.random.default_rng(3))
    assert b_cubed(event_labels(collection), collection.truth).f1 > 0.95


def test_a_large_library_has_the_rows_and_the_cosines_of_its_collections() -> None:
    images, embeddings = large_library(30_000, 128, seed=3)
    assert images.num_rows == embeddings.num_rows == 30_000
    assert images["image_id"].to_pylist() == embeddings["image_id"].to_pylist() == list(range(1, 30_001))
    small = next(iter(HABITS.values()))(np.random.default_rng(3)).embeddings["vector"].to_pylist()
    first = np.array(embeddings["vector"].slice(0, 20).to_pylist(), dtype=np.float32)
    expected = np.array(small[:20], dtype=np.float32)
    assert first @ first.T == pytest.approx(expected @ expected.T, abs=2e-3)
