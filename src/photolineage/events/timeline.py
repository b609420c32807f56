"""Images in time order, with one representative for each stack and its copies. DuckDB sorts the Arrow tables."""

from dataclasses import dataclass, fields, replace
from typing import Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photolineage.catalog.vocabulary import TakenAtSource
from photolineage.events.bounds import known_times
from photolineage.events.records import Ids

NO_OFFSET = np.iinfo(np.int32).min
NO_INSTANT = np.iinfo(np.int64).max

Scalar = TypeVar("Scalar", bound=np.generic)

NAME = pa.dictionary(pa.int32(), pa.string())
"""A text column with few distinct values."""
IMAGES_SCHEMA = pa.schema(
    [
        ("image_id", pa.int64()),
        ("taken_at", pa.timestamp("us", "UTC")),
        ("taken_at_source", pa.string()),
        ("utc_offset_minutes", pa.int16()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("camera", NAME),
        ("folder", NAME),
        ("shown_by", pa.int64()),
    ]
)
"""`shown_by`: the image that shows instead of this one: the first of its copies, or that of its stack; or null."""

# If the image that shows is missing or does not show itself, the rows that name it represent it.
_REPRESENTATIVES = """
WITH grouped AS (
    SELECT image_id, instant, shown_by AS shown FROM images WHERE shown_by IS NOT NULL
    UNION ALL
    SELECT image_id, instant, image_id FROM images
    WHERE shown_by IS NULL AND image_id IN (SELECT shown_by FROM images WHERE shown_by IS NOT NULL)
)
SELECT image_id, first_value(image_id) OVER (
    PARTITION BY shown ORDER BY instant IS NULL, image_id <> shown, instant, image_id
) AS representative FROM grouped QUALIFY image_id <> representative ORDER BY image_id
"""


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """One row for each distinct image, ordered by (`at`, `image_id`): arrays of one length.

    `at`: microseconds since 1970 UTC, `NO_INSTANT` if unknown. `utc_offset`: minutes, `NO_OFFSET` if unknown.
    `latitude`, `longitude`: degrees, NaN if unknown. `camera`, `folder`: codes into `Library.cameras` and
    `Library.folders`. `by_camera`: whether `at` is what the camera's own clock showed. A time that somebody corrected,
    or that comes from satellites, is not. `vector`: the row of the image's embedding, -1 without one. `quality`: 0 to
    1, how sharp and level, 0 if unknown.
    """

    image_id: Ids
    at: NDArray[np.int64]
    utc_offset: NDArray[np.int32]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    camera: NDArray[np.int32]
    by_camera: NDArray[np.bool_]
    folder: NDArray[np.int32]
    vector: NDArray[np.int64]
    quality: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.image_id)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Self:
        """The chosen rows, in the order of `rows`."""
        return type(self)(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    def shift(self, shift_us: NDArray[np.int64]) -> None:
        """Add `shift_us`, one value per row, to the times and sort the rows again.

        This works in place, because a second timeline of a large library would not fit beside the embeddings.
        """
        self.at[:] += shift_us
        order = np.lexsort((self.image_id, self.at))
        for column in fields(self):
            values = getattr(self, column.name)
            values[:] = values[order]


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """The images of a library: the dated ones, the undated ones, and those that others stand for.

    A row of `dated` or `undated` with the id `representative` stands for each `repeated` image (ascending): a copy, or
    another image of its stack.
    `earliest`, `latest`: the time between which each undated image was taken (`photolineage.events.bounds`).
    """

    dated: Timeline
    undated: Timeline
    cameras: tuple[str | None, ...]
    folders: tuple[str | None, ...]
    repeated: Ids
    representative: Ids
    earliest: NDArray[np.int64]
    latest: NDArray[np.int64]

    def without_dated(self) -> Self:
        """The library without its dated images, so that their memory can be freed."""
        return replace(self, dated=self.dated.take(np.empty(0, dtype=np.int64)))


def read_library(images: pa.Table, embedded_ids: Ids, trusted_time_sources: tuple[str, ...]) -> Library:
    """Sort `images` by time: `IMAGES_SCHEMA`, and optionally these two columns.

    `quality`: 0 to 1, how sharp and level a picture is. `taken_at_precision`: the values of `TakenAtPrecision`; null if
    the time of day is known.
    `embedded_ids` is the image of each embedding row.
    Raises ValueError if a column is missing or an image is listed twice.
    """
    missing = [name for name in IMAGES_SCHEMA.names if name not in images.column_names]
    if missing:
        raise ValueError(
            f"images: missing column {', '.join(missing)}; expected {', '.join(IMAGES_SCHEMA.names)}"
        )
    trusted = _trusted_instants(images, trusted_time_sources)
    known = known_times(images["image_id"], trusted, _precision(images))
    instants = known.instants
    repeated = _representatives(images, instants)
    at, image_id = _array(instants, NO_INSTANT, np.int64), _array(images["image_id"], 0, np.int64)
    order = _in_time_order(at, image_id, repeated["image_id"].to_numpy())
    at, image_id = at[order], image_id[order]
    (cameras, camera), (folders, folder) = _codes(images["camera"]), _codes(images["folder"])
    by_camera = _array(pc.equal(images["taken_at_source"], TakenAtSource.EXIF), False, np.bool_)
    by_camera[known.stands_for_day] = False  # the noon says nothing about the clock
    timeline = Timeline(
        image_id=image_id,
        at=at,
        utc_offset=_array(images["utc_offset_minutes"].cast(pa.int32()), NO_OFFSET, np.int32)[order],
        latitude=_array(images["latitude"], float("nan"), np.float64)[order],
        longitude=_array(images["longitude"], float("nan"), np.float64)[order],
        camera=camera[order],
        by_camera=by_camera[order],
        folder=folder[order],
        vector=positions(embedded_ids, image_id),
        quality=_quality(images, order),
    )
    pa.default_memory_pool().release_unused()  # Arrow would keep the memory of temporary columns
    dated_count = int(np.searchsorted(timeline.at, NO_INSTANT))
    # A copy, so that the dated ones can be freed.
    undated = timeline.take(np.arange(dated_count, len(timeline)))
    earliest, latest = known.bounds.of(undated.image_id)
    return Library(
        dated=timeline.take(slice(0, dated_count)),
        undated=undated,
        cameras=cameras,
        folders=folders,
        repeated=repeated["image_id"].to_numpy(),
        representative=repeated["representative"].to_numpy(),
        earliest=earliest,
        latest=latest,
    )


def _representatives(images: pa.Table, instants: pa.ChunkedArray) -> pa.Table:
    """Each image that another one stands for, ascending, and that one: the one that shows, if its time is known.

    Otherwise the earliest of the stack and its copies represents them.
    """
    from photolineage.stores.analytics import query

    known = {"image_id": images["image_id"], "instant": instants, "shown_by": images["shown_by"]}
    return query(_REPRESENTATIVES, images=pa.table(known))


def _in_time_order(at: NDArray[np.int64], image_id: Ids, left_out: Ids) -> NDArray[np.int64]:
    """The rows in the order of (`at`, `image_id`), without the images in `left_out` (ascending).

    Raises ValueError if an image is listed twice.
    """
    ascending = np.sort(image_id)
    if (ascending[1:] == ascending[:-1]).any():
        raise ValueError("images: an image_id occurs more than once; pass one row per image")
    order = np.lexsort((image_id, at))
    return order[positions(left_out, image_id[order]) < 0] if len(left_out) else order


def _trusted_instants(images: pa.Table, trusted_time_sources: tuple[str, ...]) -> pa.ChunkedArray:
    """Microseconds since 1970 UTC, null if the time is unknown or not trusted."""
    trusted = pc.is_in(images["taken_at_source"], value_set=pa.array(trusted_time_sources, pa.string()))
    return pc.if_else(trusted, images["taken_at"].cast(pa.int64()), pa.scalar(None, pa.int64()))


def _precision(images: pa.Table) -> pa.ChunkedArray:
    if "taken_at_precision" not in images.column_names:
        return pa.chunked_array([pa.nulls(len(images), pa.string())])
    return images["taken_at_precision"]


def _quality(images: pa.Table, order: NDArray[np.int64]) -> NDArray[np.float64]:
    if "quality" not in images.column_names:
        return np.zeros(len(order))
    return _array(images["quality"].cast(pa.float64()), 0.0, np.float64)[order]


def _codes(column: pa.ChunkedArray) -> tuple[tuple[str | None, ...], NDArray[np.int32]]:
    """The distinct values in ascending order, null last, and the position of each row's value among them."""
    encoded = pc.dictionary_encode(column).unify_dictionaries()
    values = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
    rank = np.empty(len(values) + 1, dtype=np.int32)
    rank[[*sorted(range(len(values)), key=values.__getitem__), len(values)]] = np.arange(len(values) + 1)
    indices = pa.chunked_array([chunk.indices for chunk in encoded.chunks], pa.int32())
    return (*sorted(values), None), rank[_array(indices, len(values), np.int32)]


def _array(column: pa.ChunkedArray, null: float, dtype: type[Scalar]) -> NDArray[Scalar]:
    """The column with its nulls filled, chunk by chunk, so that only the result is as long as the library."""
    values = np.empty(len(column), dtype=dtype)
    end = 0
    for chunk in column.chunks:
        begin, end = end, end + len(chunk)
        values[begin:end] = pc.fill_null(chunk, null).to_numpy(zero_copy_only=False)
    return values


def positions(ids: Ids, wanted: Ids) -> NDArray[np.int64]:
    """The position of each of `wanted` in `ids`; -1 if missing."""
    if len(ids) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    order = None if (ids[1:] >= ids[:-1]).all() else np.argsort(ids, kind="stable")
    place = np.searchsorted(ids, wanted, sorter=order)
    np.minimum(place, len(ids) - 1, out=place)
    found = place if order is None else order[place]
    found[ids[found] != wanted] = -1
    return found
