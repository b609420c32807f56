"""Compares a clustering with the truth: B-cubed and pairwise precision, recall and F1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photolineage.events.cluster import cluster_events
from photolineage.settings.events import EventSettings
from workloads.collections import Collection


@dataclass(frozen=True, slots=True)
class Agreement:
    """Precision and recall, and F1 from them."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean; 0 if precision and recall are both 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def b_cubed(found: NDArray[np.int64], truth: NDArray[np.int64]) -> Agreement:
    """Precision: the mean over images of the share of an image's cluster from its event. Recall: the reverse.

    Bagga and Baldwin, "Algorithms for scoring coreference chains", 1998.
    """
    both, found_size, true_size = _overlaps(found, truth)
    total = both.sum()
    return Agreement(float((both**2 / found_size).sum() / total), float((both**2 / true_size).sum() / total))


def pairwise(found: NDArray[np.int64], truth: NDArray[np.int64]) -> Agreement:
    """Precision: the share of clustered pairs that belong together. Recall: the reverse. Both 1 without pairs."""
    both, _, _ = _overlaps(found, truth)
    common, together, related = (_pairs(counts) for counts in (both, np.bincount(found), np.bincount(truth)))
    return Agreement(common / together if together else 1.0, common / related if related else 1.0)


def _pairs(counts: NDArray[np.int64] | NDArray[np.float64]) -> float:
    return float((counts * (counts - 1) / 2).sum())


def _overlaps(
    found: NDArray[np.int64], truth: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The size of each non-empty overlap, and the sizes of its cluster and its event."""
    pairs, both = np.unique(np.stack((found, truth), axis=1), axis=0, return_counts=True)
    found_size, true_size = np.bincount(found)[pairs[:, 0]], np.bincount(truth)[pairs[:, 1]]
    return both.astype(np.float64), found_size.astype(np.float64), true_size.astype(np.float64)


def event_labels(collection: Collection) -> NDArray[np.int64]:
    """The event of each image from `cluster_events` with default settings. Each undated image is its own cluster."""
    clustering = cluster_events(collection.images, collection.embeddings, EventSettings())
    ids = collection.images["image_id"].to_numpy()
    order = np.argsort(ids)
    labels = np.arange(len(clustering.events), len(clustering.events) + len(ids))
    for number, event in enumerate(clustering.events):
        labels[order[np.searchsorted(ids, event.members, sorter=order)]] = number
    return labels
