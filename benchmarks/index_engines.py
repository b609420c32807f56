"""Measures one engine in its own process: `python -m benchmarks.index_engines ENGINE FILE ROWS QUERIES SEED`.

Prints JSON: seconds to build, peak memory, bytes on disk, recall@10, latency. For the index of this project, also the
seconds to add and to remove a hundredth of its rows.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.clustered_vectors import ClusteredVectors, vector_column
from photolineage.stores.vector_index import SearchEffort, VectorIndex, live_schema

K = 10
ROWS_A_FILE = 500
"""The number of embeddings in one checkpoint."""
EXACT_QUERIES = 20
TRAINING_ROWS = 200_000
TRAINING_ROWS_A_CODE = 64
"""With its own value, 256, FAISS takes four times as long, and the product codes find no more after refinement."""
EFFORTS = tuple(SearchEffort(probes, refine) for probes in (40, 60, 80, 120) for refine in (2, 3, 4))
"""The efforts to measure, besides the one that searches use."""

Search = Callable[[NDArray[np.float32]], Sequence[int]]
Figures = dict[str, Any]


def measure_search(search: Search, queries: NDArray[np.float32], truth: NDArray[np.int64]) -> Figures:
    """Recall@10 and latency of single queries, after a few to warm the caches."""
    for query in queries[:10]:
        search(query)
    seconds, found = [], 0
    for query, neighbours in zip(queries, truth, strict=True):
        started = time.perf_counter()
        hits = search(query)
        seconds.append(time.perf_counter() - started)
        found += len(set(hits) & set(neighbours.tolist()))
    p50, p95 = np.percentile(seconds, (50, 95)) * 1000
    return {"recall_at_10": found / truth.size, "p50_ms": float(p50), "p95_ms": float(p95)}


def peak_rss_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


class LibraryOfVectors:
    """The vectors as the catalog and the embedding store give them to the index: files of 500 rows."""

    def __init__(self, vectors: ClusteredVectors) -> None:
        self._vectors = vectors

    def live(self, rows: NDArray[np.int64]) -> pa.Table:
        known = {
            "image_id": pa.array(rows),
            "source": pa.array(["library"] * len(rows)),
            "taken_at": pa.array(rows * 60_000_000, pa.timestamp("us", tz="UTC")),
            "latitude": pa.array(rows % 1_800 / 10 - 90),
            "longitude": pa.array(rows % 3_600 / 10 - 180),
            "embedding_file": pa.array(rows // ROWS_A_FILE),
        }
        schema = live_schema()
        return pa.table(
            [known.get(field.name, pa.nulls(len(rows), field.type)) for field in schema], schema=schema
        )

    def read(self, files: Sequence[int]) -> Iterator[pa.RecordBatch]:
        for file in files:
            first = file * ROWS_A_FILE
            count = min(ROWS_A_FILE, self._vectors.rows - first)
            yield pa.record_batch(
                {
                    "image_id": pa.array(np.arange(first, first + count)),
                    "embedding_file": pa.array(np.full(count, file)),
                    "vector": vector_column(self._vectors.read(first, count)),
                }
            )


def measure_photolineage(
    vectors: ClusteredVectors, rows: int, queries: NDArray[np.float32], truth: NDArray[np.int64]
) -> Figures:
    """The index as the asset makes it (synchronize, compact, build): with `rows` vectors, then more, then fewer."""
    import lancedb  # noqa: F401  so that the build does not include its import

    library = LibraryOfVectors(vectors)
    with tempfile.TemporaryDirectory(dir=vectors.path.parent) as folder:
        index = VectorIndex(
            Path(folder), "benchmark", vectors.dim, keep_versions_for=timedelta(milliseconds=1)
        )
        started = time.perf_counter()
        index.synchronize(library.live(np.arange(rows)), library.read)
        synchronized = time.perf_counter()
        index.compact()
        ann = index.build_ann_if_outgrown()
        figures: Figures = {
            "kind": ann.kind,
            "build_s": time.perf_counter() - started,
            "synchronize_s": synchronized - started,
            "ann_s": ann.seconds,
            "peak_rss_gb": peak_rss_gb(),
            "bytes": float(index.describe().bytes),
        }
        with ProcessPoolExecutor(
            1, get_context("spawn")
        ) as apart:  # searches run in another process than the build
            figures |= apart.submit(
                _measured_searches, Path(folder), vectors.read(0, 2 * len(queries)), queries, truth
            ).result()
        figures["add_1_percent_s"] = _updated(index, library, np.arange(vectors.rows))
        figures["delete_1_percent_s"] = _updated(index, library, np.arange(vectors.rows - rows, vectors.rows))
        figures["recall_at_10_after_changes"] = index.recall_at_k(k=K, sample=100).recall
        return figures


def _measured_searches(
    folder: Path, first: NDArray[np.float16], queries: NDArray[np.float32], truth: NDArray[np.int64]
) -> Figures:
    """The `first` searches of a process; then searches with the usual effort, with other efforts, and exact ones."""
    index = VectorIndex(folder, "benchmark", queries.shape[1])
    first_seconds = []
    for vector in first:
        started = time.perf_counter()
        index.search(vector.astype(np.float32), K)
        first_seconds.append(time.perf_counter() - started)

    def measure(effort: SearchEffort | Literal["exact"] | None, count: int) -> Figures:
        return measure_search(
            lambda query: [hit.image_id for hit in index.search(query, K, effort=effort)],
            queries[:count],
            truth[:count],
        )

    figures = measure(None, len(queries))
    figures["first_searches_p50_ms"] = float(np.median(first_seconds) * 1000)
    figures["efforts"] = [asdict(effort) | measure(effort, len(queries)) for effort in EFFORTS]
    exact = measure("exact", EXACT_QUERIES)
    return figures | {f"exact_{name}": value for name, value in exact.items()}


def _updated(index: VectorIndex, library: LibraryOfVectors, rows: NDArray[np.int64]) -> float:
    started = time.perf_counter()
    index.synchronize(library.live(rows), library.read)
    index.compact()
    index.build_ann_if_outgrown()
    return time.perf_counter() - started


def measure_faiss(factory: str, search_parameters: str) -> Callable[..., Figures]:
    """Measure a FAISS index in memory, by its factory string and its `ParameterSpace` string."""

    def measure(
        vectors: ClusteredVectors, rows: int, queries: NDArray[np.float32], truth: NDArray[np.int64]
    ) -> Figures:
        import faiss

        started = time.perf_counter()
        description = factory.format(partitions=int(4 * rows**0.5))
        index = faiss.index_factory(vectors.dim, description, faiss.METRIC_INNER_PRODUCT)
        training = np.random.default_rng(0).choice(rows, min(rows, TRAINING_ROWS), replace=False)
        if not index.is_trained:
            quantizer = cast(Any, faiss.downcast_index(faiss.extract_index_ivf(index))).pq
            quantizer.cp.max_points_per_centroid = TRAINING_ROWS_A_CODE
            index.train(_rows(vectors, rows, np.sort(training)))
        for _, chunk in vectors.chunks(rows):
            index.add(chunk.astype(np.float32))
        figures: Figures = {"kind": description, "build_s": time.perf_counter() - started}
        figures |= {"peak_rss_gb": peak_rss_gb(), "bytes": float(_stored_bytes(index, vectors.path.parent))}
        cast(Any, faiss.ParameterSpace()).set_index_parameters(index, search_parameters)
        return figures | measure_search(
            lambda query: index.search(query[None], K)[1][0].tolist(), queries, truth
        )

    return measure


def _rows(vectors: ClusteredVectors, rows: int, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.concatenate(
        [
            chunk[chosen[(chosen >= first) & (chosen < first + len(chunk))] - first].astype(np.float32)
            for first, chunk in vectors.chunks(rows)
        ]
    )


def _stored_bytes(index: Any, folder: Path) -> int:
    import faiss

    path = folder / "faiss.index"
    faiss.write_index(index, str(path))
    size = path.stat().st_size
    path.unlink()
    return size


ENGINES: dict[str, Callable[..., Figures]] = {
    "photolineage": measure_photolineage,
    "faiss_ivf_pq": measure_faiss("IVF{partitions},PQ32x8,Refine(SQfp16)", "nprobe=32,k_factor_rf=10"),
    "faiss_hnsw": measure_faiss("HNSW32_SQfp16", "efSearch=64"),
}


def main() -> None:
    engine, path, rows, queries, seed = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6])
    vectors = ClusteredVectors(path, rows=rows + rows // 100, seed=seed)
    asked = vectors.queries(queries)
    truth = np.load(path.with_suffix(".truth.npy"))
    print(json.dumps(ENGINES[engine](vectors, rows, asked, truth)))


if __name__ == "__main__":
    main()
