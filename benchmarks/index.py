"""Compares the vector index with exact search and FAISS (IVF-PQ, HNSW), on the same vectors in the same run.

`python -m benchmarks.index --rows 100000 --json`. The seed determines vectors, queries and true neighbours. Every
engine runs in a separate process, so that its peak memory can be measured. Needs the extra `bench`.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.clustered_vectors import ClusteredVectors
from benchmarks.index_engines import ENGINES, Figures, K

_COLUMNS = ("kind", "build_s", "peak_rss_gb", "bytes", "recall_at_10", "p50_ms", "p95_ms")


def measured(rows: int, queries: int, threads: int, seed: int, baselines: list[str]) -> Figures:
    """The figures of the index, and under `baselines` those of exact search and each FAISS index."""
    with tempfile.TemporaryDirectory() as folder:
        vectors = ClusteredVectors(Path(folder) / "vectors.f16", rows=rows + rows // 100, seed=seed)
        vectors.write()
        truth = vectors.exact_neighbours(vectors.queries(queries), K, rows)
        np.save(vectors.path.with_suffix(".truth.npy"), truth)
        figures = {
            engine: _in_a_process(engine, vectors.path, rows, queries, seed, threads)
            for engine in ("photolineage", *baselines)
        }
    own = figures.pop("photolineage")
    exact = {name.removeprefix("exact_"): own.pop(name) for name in list(own) if name.startswith("exact_")}
    return {
        "rows": rows,
        "threads": threads,
        **own,
        "baselines": {"exact": {"kind": "exact", **exact}, **figures},
    }


def _in_a_process(engine: str, path: Path, rows: int, queries: int, seed: int, threads: int) -> Figures:
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LANCE_CPU_THREADS"), str(threads))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.index_engines",
            engine,
            str(path),
            str(rows),
            str(queries),
            str(seed),
        ],
        env=os.environ | limits,
        stdout=subprocess.PIPE,
        check=True,
    )
    figures: Figures = json.loads(done.stdout)
    return figures


def main(
    rows: Annotated[int, typer.Option(min=10_000, help="Vectors in the index.")] = 100_000,
    queries: Annotated[int, typer.Option(min=20)] = 200,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    seed: int = 0,
    baseline: Annotated[
        list[str] | None, typer.Option(help="A FAISS index to compare with. Repeatable. By default all.")
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Compare with exact search only.")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure the vector index and its baselines."""
    known = [engine for engine in ENGINES if engine != "photolineage"]
    chosen = [] if alone else known if baseline is None else baseline
    if unknown := set(chosen) - set(known):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}. Choose from {', '.join(known)}")
    figures = measured(rows, queries, threads, seed, chosen)
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    table = Table("engine", *_COLUMNS)
    for name, engine in {"photolineage": figures, **figures["baselines"]}.items():
        table.add_row(name, *(_cell(engine.get(column)) for column in _COLUMNS))
    Console().print(table)


def _cell(value: object) -> str:
    return f"{value:,.3f}" if isinstance(value, float) else "" if value is None else str(value)


if __name__ == "__main__":
    typer.run(main)
