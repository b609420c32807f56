"""Compares scanning with only walking the folders, and registering with only decoding, interleaved in one run.

    python -m benchmarks.registration [--json] [--files N] [--photos N]

The limit of a scan is `scandir` and `stat` of every file. The limit of registering is one decode of every photo, scaled
by the JPEG decoder to the size from which a preview is made, with one process per core and without hashing, resizing or
storing. Both read from the page cache.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine, update

from benchmarks.large_photos import decode_alone, draw_photos
from benchmarks.small_files import make_tree, walk_alone
from photolineage.catalog.engine import create_catalog_engine, write_transaction
from photolineage.catalog.migrate import upgrade
from photolineage.catalog.orm import Image
from photolineage.catalog.queries import shard_keys
from photolineage.catalog.vocabulary import ImageState
from photolineage.lineage import JobKind
from photolineage.media import SUPPORTED_SUFFIXES
from photolineage.steps.jobs import JobContext, running_job
from photolineage.steps.register import register_shard
from photolineage.steps.scan import ScanReport, ensure_source, scan_source
from photolineage.steps.tree_walk import TreeWalk
from photolineage.stores.files import LocalFiles
from photolineage.stores.previews import PreviewStore

Figures = dict[str, Any]
Result = TypeVar("Result")

LIMITS = {"rescan_of_walk": 0.5, "registering_of_decoding": 0.8}


@contextmanager
def _progress_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


def measure_scanning(folder: Path, files: int, rounds: int) -> Figures:
    """Files per second of a first scan and of rescans without changes, alternating with bare walks."""
    root = folder / "small"
    with _progress_bar("Making small files", files) as advance:
        for count in make_tree(root, files):
            advance(count)
    engine = _new_catalog(folder / "scanning.db")
    walk_alone(str(root))
    first, report = _timed(lambda: _scan(engine, root))
    assert report.new == files, report
    walks, rescans = [], []
    with _progress_bar("Scanning", rounds) as advance:
        for _ in range(rounds):
            walks.append(_timed(lambda: walk_alone(str(root)))[0])
            seconds, report = _timed(lambda: _scan(engine, root))
            assert report.unchanged == files, report
            rescans.append(seconds)
            advance(1)
    walk, rescan = map(statistics.median, (walks, rescans))
    return {
        "files": files,
        "walk_files_per_second": round(files / walk),
        "first_scan_files_per_second": round(files / first),
        "rescan_files_per_second": round(files / rescan),
        "rescan_of_walk": round(statistics.median(w / r for w, r in zip(walks, rescans, strict=True)), 3),
    }


def measure_registering(folder: Path, photos: int, rounds: int) -> Figures:
    """Images per second of registering 12-megapixel JPEGs, alternating with bare decodes of the same files."""
    root = folder / "large"
    with _progress_bar("Drawing photos", photos) as advance:
        paths = []
        for path in draw_photos(root, photos, seed=1):
            paths.append(path)
            advance(1)
    engine = _new_catalog(folder / "registering.db")
    _scan(engine, root)
    decodes, registrations = [], []
    with (
        ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool,
        _progress_bar("Registering", rounds) as advance,
    ):
        list(pool.map(decode_alone, paths, chunksize=4))
        for _ in range(rounds):
            decodes.append(_timed(lambda: list(pool.map(decode_alone, paths, chunksize=4)))[0])
            registrations.append(_timed(lambda: _register(engine, folder))[0])
            _forget_contents(engine)
            advance(1)
    decoding, registering = map(statistics.median, (decodes, registrations))
    ratios = [decode / register for decode, register in zip(decodes, registrations, strict=True)]
    return {
        "photos": photos,
        "megabytes": round(sum(path.stat().st_size for path in paths) / 1e6),
        "decoded_per_second": round(photos / decoding, 1),
        "registered_per_second": round(photos / registering, 1),
        "registering_of_decoding": round(statistics.median(ratios), 3),
    }


def _new_catalog(path: Path) -> Engine:
    engine = create_catalog_engine(f"sqlite:///{path}")
    upgrade(engine)
    return engine


def _context(engine: Engine) -> JobContext:
    return JobContext(engine, "benchmark", timedelta(minutes=5))


def _scan(engine: Engine, root: Path) -> ScanReport:
    source_id = ensure_source(engine, "photos", root)
    walk = TreeWalk(root, SUPPORTED_SUFFIXES)
    with running_job(_context(engine), JobKind.SCAN, "photos", input_version="") as lease:
        return scan_source(lease, source_id, walk, shard_capacity=5_000)


def _register(engine: Engine, folder: Path) -> None:
    previews = PreviewStore(LocalFiles(folder / "home"))
    with engine.connect() as connection:
        keys = shard_keys(connection)
    for key in keys:
        report = register_shard(
            _context(engine), previews, key, time_zone="UTC", checkpoint_images=500, checkpoint_seconds=60
        )
        assert report.failed == 0, report


def _forget_contents(engine: Engine) -> None:
    """Forget all contents, as if every file had changed."""
    with write_transaction(engine) as connection:
        connection.execute(update(Image).values(state=ImageState.DISCOVERED, content_hash=None))


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    files: Annotated[int, typer.Option(min=1, help="Small files to scan.")] = 200_000,
    photos: Annotated[int, typer.Option(min=1, help="Photos to register in each round.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="How often to measure each. The median counts.")] = 5,
) -> None:
    """Print files and images per second, and the ratios to the limits."""
    with tempfile.TemporaryDirectory(prefix="benchmark-registration-") as folder:
        figures = {
            "cores": os.cpu_count(),
            "scanning": measure_scanning(Path(folder), files, rounds),
            "registering": measure_registering(Path(folder), photos, rounds),
        }
    figures["at_least"] = LIMITS
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        Console().print(figures)


if __name__ == "__main__":
    typer.run(main)
