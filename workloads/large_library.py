"""A library of millions of images, for timing: collections of all habits, one after the other."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photolineage.events.timeline import NAME
from workloads.collections import DIMENSION, Collection
from workloads.habits import HABITS

_PAUSE_US = 30 * 86_400_000_000
_WRITTEN_AT_ONCE = 20_000


def large_library(rows: int, dimension: int, seed: int) -> tuple[pa.Table, pa.Table]:
    """Images and embeddings (float16, `dimension` at least 64) of exactly `rows` images.

    The collections of one seed are repeated as often as needed, each time later, with other cameras and in other
    folders. One isometry maps their vectors into the larger space and keeps all cosines.
    """
    rng = np.random.default_rng(seed)
    pool = [make(rng) for make in HABITS.values()]
    images, sources, begin = [], [], 0
    count, repeat = 0, 0
    while count < rows:
        for number, collection in enumerate(pool):
            table, begin = _later(collection, begin, count, f"{repeat}-{number}")
            images.append(table)
            sources.append(number)
            count += table.num_rows
        repeat += 1
    library = pa.concat_tables(images).slice(0, rows)
    return library, _embeddings(pool, sources, rows, dimension, rng)


def _later(collection: Collection, begin_us: int, first_id: int, name: str) -> tuple[pa.Table, int]:
    images = collection.images
    at = images["taken_at"].cast(pa.int64())
    span = pc.min_max(at).as_py()
    moved = pc.add(at, begin_us - span["min"])
    columns = {
        "image_id": pc.add(images["image_id"], first_id),
        "taken_at": moved.cast(pa.timestamp("us", "UTC")),
        "camera": _encoded(pc.binary_join_element_wise(images["camera"].cast(pa.string()), name, " ")),
        "folder": _encoded(pc.binary_join_element_wise(name, images["folder"].cast(pa.string()), "/")),
    }
    arrays = [columns.get(field.name, images[field.name]) for field in images.schema]
    return pa.table(arrays, schema=images.schema), begin_us + span["max"] - span["min"] + _PAUSE_US


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.dictionary_encode(column).cast(NAME)


def _embeddings(
    pool: list[Collection], sources: list[int], rows: int, dimension: int, rng: np.random.Generator
) -> pa.Table:
    isometry = np.linalg.qr(rng.normal(size=(dimension, DIMENSION)))[0].T.astype(np.float32)
    small = [_matrix(collection) for collection in pool]
    vectors = np.empty((rows, dimension), dtype=np.float16)
    first = 0
    for source in sources:
        for low in range(0, len(small[source]), _WRITTEN_AT_ONCE):
            part = small[source][low : low + _WRITTEN_AT_ONCE][: rows - first]
            vectors[first : first + len(part)] = part @ isometry
            first += len(part)
    return pa.table(
        {
            "image_id": pa.array(np.arange(1, rows + 1)),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension),
        }
    )


def _matrix(collection: Collection) -> NDArray[np.float32]:
    values = collection.embeddings["vector"].combine_chunks().flatten().to_numpy()
    return np.asarray(values.reshape(-1, DIMENSION), dtype=np.float32)
