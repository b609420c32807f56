"""Reads files with all threads at once, and measures the memory of the process and of its decoders.

`python -m workloads.bomb_reading --memory-gb 2 --seconds 10 FILE …` prints one line of JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from photolineage.media import UnreadableImageError, limit_decoding, read_original
from workloads import REPOSITORY_ROOT
from workloads.decompression_bombs import (
    avif_grid,
    heic_grid,
    jpeg_of_scans,
    png_of_zeros,
    webp_of_one_color,
)

SAMPLE_SECONDS = 0.01


def write_bombs(folder: Path) -> list[Path]:
    """One file of each kind, as large as today's formats allow, and one HEIC as a phone of 200 megapixels writes it."""
    bombs = {
        "13000x13000.webp": webp_of_one_color(13_000, 13_000),
        "1x200000000.png": png_of_zeros(1, 200_000_000),
        "16000x16000.avif": avif_grid(1_000, 16, 16),
        "1000-scans.jpg": jpeg_of_scans(10_000, 8_000, 1_000),
        "16320x12240.heic": heic_grid(2_040, 8, 6),
    }
    for name, data in bombs.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in bombs]


def read_in_a_process(files: Sequence[Path], *, memory_gb: float, seconds: float, threads: int) -> Any:
    """What `main` prints, from a process of its own."""
    options = ["--memory-gb", str(memory_gb), "--seconds", str(seconds), "--threads", str(threads)]
    command = [sys.executable, "-m", "workloads.bomb_reading", *options, *map(str, files)]
    return json.loads(subprocess.run(command, cwd=REPOSITORY_ROOT, check=True, stdout=subprocess.PIPE).stdout)


def read_all_bombs(*, memory_gb: float, seconds: float) -> dict[str, dict[str, Any]]:
    """What became of each bomb, read by as many threads at once as there are cores, and of all bombs together."""
    cores = os.cpu_count() or 1
    report: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="photolineage-bombs-") as folder:
        bombs = write_bombs(Path(folder))
        batches = {bomb.name: [bomb] * cores for bomb in bombs} | {"all of these": bombs * cores}
        for name, files in batches.items():
            read = read_in_a_process(files, memory_gb=memory_gb, seconds=seconds, threads=cores)
            outcomes = sorted({outcome["outcome"] for outcome in read["outcomes"]})
            report[name] = {
                "peak_bytes": read["peak_bytes"],
                "seconds": read["seconds"],
                "slowest_seconds": max(outcome["seconds"] for outcome in read["outcomes"]),
                "outcome": ", ".join(outcomes),
                "detail": next((outcome["detail"] for outcome in read["outcomes"]), ""),
            }
    return report


class _Sampler(threading.Thread):
    """The most resident memory of this process and its children, above what this process has at the start."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self._ended = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, self._resident() - self._before)

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _resident(self) -> int:
        total = 0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total


def _read(path: Path) -> dict[str, Any]:
    started = time.monotonic()
    try:
        original = read_original(path)
        outcome, detail = "decoded", f"{original.format}, {original.width} × {original.height}"
    except UnreadableImageError as error:
        outcome, detail = error.reason.value, error.detail
    return {
        "file": path.name,
        "outcome": outcome,
        "detail": detail,
        "seconds": round(time.monotonic() - started, 2),
    }


def main(
    files: list[Path],
    memory_gb: Annotated[float, typer.Option(help="The budget of memory.")],
    seconds: Annotated[float, typer.Option(help="The time limit for one image.")],
    threads: Annotated[int, typer.Option(min=1)],
) -> None:
    """Print what became of each file, the seconds of all, and the peak of memory."""
    limit_decoding(memory_bytes=int(memory_gb * 1e9), seconds=seconds)
    started = time.monotonic()
    sampler = _Sampler()
    sampler.start()
    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(pool.map(_read, files))
    sampler.end()
    print(
        json.dumps(
            {
                "peak_bytes": sampler.peak_bytes,
                "seconds": round(time.monotonic() - started, 2),
                "outcomes": outcomes,
            }
        )
    )


if __name__ == "__main__":
    typer.run(main)
