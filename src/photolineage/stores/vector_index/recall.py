"""The recall of the approximate index, and its latency."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photolineage.stores.vector_index.filters import SearchFilters
from photolineage.stores.vector_index.ranking import SearchEffort, nearest

if TYPE_CHECKING:
    from lancedb.table import AsyncTable, Table

_SAME_COSINE: Final = 1e-5
"""Cosines of float16 vectors that differ by less count as equal: the order of summation changes them by as much."""


@dataclass(frozen=True, slots=True)
class RecallReport:
    """`recall`: the share of the true `k` nearest neighbours found, over `sample` queries. Latencies are per query."""

    k: int
    sample: int
    recall: float
    p50_ms: float
    p95_ms: float


def recall_at_k(
    table: "Table", searched: "AsyncTable", *, k: int, sample: int, seed: int, effort: SearchEffort
) -> RecallReport:
    """Search for the neighbours of sampled images, and compare them with an exact search by cosine in float32.

    The table is opened twice: for the exact search and for the search that is measured. An image is not its own
    neighbour. Neighbours are compared by cosine, not by id, so that equal images count alike. Recall is 1 if the sample
    has no neighbours.
    """
    image_ids, queries = _sampled(table, sample, seed)
    truth = _true_cosines(table, image_ids, queries, k)
    found, expected, seconds = 0, 0, []
    for image_id, query, cosines in zip(image_ids.tolist(), queries, truth, strict=True):
        started = time.perf_counter()
        hits = nearest(searched, query, k + 1, SearchFilters(fold_stacks=False), 0, effort=effort)
        seconds.append(time.perf_counter() - started)
        neighbours = cosines[np.isfinite(cosines)]
        expected += len(neighbours)
        if len(neighbours):
            scores = [hit.score for hit in hits if hit.image_id != image_id][:k]
            found += sum(score >= neighbours.min() - _SAME_COSINE for score in scores)
    p50, p95 = np.percentile(seconds, (50, 95)) * 1000 if seconds else (0.0, 0.0)
    return RecallReport(
        k=k,
        sample=len(image_ids),
        recall=float(found / expected) if expected else 1.0,
        p50_ms=float(p50),
        p95_ms=float(p95),
    )


def matrix(vectors: pa.ChunkedArray | pa.FixedSizeListArray) -> NDArray[np.float32]:
    """A column of vectors as float32 (n, dim)."""
    column = vectors.combine_chunks() if isinstance(vectors, pa.ChunkedArray) else vectors
    values: NDArray[np.float32] = column.flatten().to_numpy().astype(np.float32)
    return values.reshape(len(column), vectors.type.list_size)


def _sampled(table: "Table", sample: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Image ids and vectors of a seeded sample of the rows; the order of the rows in the table has no influence."""
    from lancedb.expr import col

    every = np.sort(table.search().select(["image_id"]).to_arrow()["image_id"].to_numpy())
    chosen = np.random.default_rng(seed).choice(every, size=min(sample, len(every)), replace=False)
    rows = (
        table.search().where(col("image_id").isin(chosen.tolist())).select(["image_id", "vector"]).to_arrow()
    )
    return rows["image_id"].to_numpy(), matrix(rows["vector"])


def _true_cosines(
    table: "Table", image_ids: NDArray[np.int64], queries: NDArray[np.float32], k: int
) -> NDArray[np.float32]:
    """The cosines of each query's `k` nearest rows other than itself, (n, k), padded with -inf."""
    units = _unit(queries)
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    for batch in table.search().select(["image_id", "vector"]).to_batches():
        cosines = units @ _unit(matrix(batch.column("vector"))).T
        cosines[image_ids[:, None] == batch.column("image_id").to_numpy()[None, :]] = -np.inf
        candidates = np.concatenate([best, cosines], axis=1)
        best = np.partition(candidates, -k, axis=1)[:, -k:]
    return best


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
