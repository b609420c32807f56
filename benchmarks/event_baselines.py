"""Other methods of clustering events: fixed gaps, PhotoTOC, DBSCAN and HDBSCAN.

Each returns a cluster number for each row of the collection's images. An image that a method leaves out is a separate
cluster. Methods that need a time use the same trusted times as ours.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photolineage.events.gaps import phototoc_boundaries
from photolineage.events.places import EARTH_RADIUS_KM
from photolineage.settings.events import EventSettings
from workloads.collections import Collection

Labels = NDArray[np.int64]

# The best of 1, 2, 3, 4, 6, 8 hours and of 1, 2, 5, 20, 100 km on the tuning seeds.
DBSCAN_HOURS, DBSCAN_KM = 2.0, 100.0
# The best of 3, 5, 8 and 12 on the tuning seeds.
HDBSCAN_MIN_CLUSTER_SIZE = 5


def fixed_gap(hours: float) -> Callable[[Collection], Labels]:
    """Begin a new event after each pause of this many hours."""

    def cluster(collection: Collection) -> Labels:
        return _cut(collection, lambda gaps: gaps >= hours * 3_600e6)

    return cluster


def phototoc(collection: Collection) -> Labels:
    """PhotoTOC's local rule, as published."""
    return _cut(collection, phototoc_boundaries)


def dbscan_time_place(collection: Collection) -> Labels:
    """DBSCAN on hours and kilometres. An image without a place gets the place of the nearest located image in order."""
    from sklearn.cluster import DBSCAN

    rows, instants = _dated(collection)
    latitude, longitude = (
        _filled(collection.images[name].take(pa.array(rows))) for name in ("latitude", "longitude")
    )
    phi, lam = np.radians(latitude), np.radians(longitude)
    sphere = (
        np.stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)), axis=1)
        * EARTH_RADIUS_KM
    )
    points = np.column_stack((instants / 3_600e6 / DBSCAN_HOURS, sphere / DBSCAN_KM))
    return _labelled(collection, rows, DBSCAN(eps=1.0, min_samples=2).fit_predict(points))


def hdbscan_embeddings(collection: Collection) -> Labels:
    """HDBSCAN on only the embeddings."""
    from sklearn.cluster import HDBSCAN

    vectors = collection.embeddings["vector"].combine_chunks().flatten().to_numpy().astype(np.float32)
    points = vectors.reshape(collection.embeddings.num_rows, -1)
    found = HDBSCAN(min_cluster_size=HDBSCAN_MIN_CLUSTER_SIZE, copy=True).fit_predict(points)
    rows = pc.index_in(collection.embeddings["image_id"], value_set=collection.images["image_id"]).to_numpy()
    return _labelled(collection, rows, found)


BASELINES: dict[str, Callable[[Collection], Labels]] = {
    "gap_1h": fixed_gap(1),
    "gap_6h": fixed_gap(6),
    "gap_24h": fixed_gap(24),
    "phototoc": phototoc,
    "dbscan_time_place": dbscan_time_place,
    "hdbscan_embeddings": hdbscan_embeddings,
}


def _dated(collection: Collection) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows with a trusted time, in time order, and their times in microseconds."""
    trusted = pa.array(EventSettings().trusted_time_sources)
    images = collection.images
    known = pc.and_(pc.is_in(images["taken_at_source"], value_set=trusted), pc.is_valid(images["taken_at"]))
    rows = np.flatnonzero(known.to_numpy())
    instants = images["taken_at"].cast(pa.int64()).take(pa.array(rows)).to_numpy()
    order = np.argsort(instants, kind="stable")
    return rows[order], instants[order]


def _cut(collection: Collection, boundaries: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Labels:
    rows, instants = _dated(collection)
    return _labelled(collection, rows, np.concatenate(([0], np.cumsum(boundaries(np.diff(instants))))))


def _labelled(collection: Collection, rows: NDArray[np.int64], found: NDArray[np.int64]) -> Labels:
    labels = np.full(collection.images.num_rows, -1, dtype=np.int64)
    labels[rows] = found
    alone = labels < 0
    labels[alone] = labels.max() + 1 + np.arange(alone.sum())
    return labels


def _filled(column: pa.ChunkedArray) -> NDArray[np.float64]:
    values = pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy()
    known = np.flatnonzero(~np.isnan(values))
    if len(known) == 0:
        return np.zeros(len(values))
    return np.asarray(values[known[np.searchsorted((known[1:] + known[:-1]) / 2, np.arange(len(values)))]])
