"""Damaged images and decompression bombs: `python -m benchmarks.mutations --count 10000 --json`.

Damages copies of valid images of every format, with EXIF and XMP in them, and of sidecars (XMP and Takeout's JSON), as
an old disk does: flips, cuts, splices, zeroes or removes bytes.
Reads the copies in worker processes, with a limit of memory per process and of time per image. Then reads decompression
bombs, each with all cores at once, and measures the memory of the process and its decoders. The exit code is 1 if a
worker crashed, hung or raised an unexpected exception, or if the bombs took more memory than one image may.
"""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from photolineage.media.decoding import ALONE
from workloads.bomb_reading import read_all_bombs
from workloads.mutation_reading import read_mutations


def main(
    count: Annotated[int, typer.Option(min=1, help="How many damaged images to read.")] = 10_000,
    seed: int = 0,
    memory_gb: Annotated[float, typer.Option(help="The budget of memory for the bombs.")] = 2.0,
    bomb_seconds: Annotated[float, typer.Option(help="The time limit for one bomb.")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Read damaged images and decompression bombs, and count the outcomes."""
    report = read_mutations(count, seed=seed)
    bombs = read_all_bombs(memory_gb=memory_gb, seconds=bomb_seconds)
    if as_json:
        print(json.dumps(asdict(report) | {"refused": dict(report.refused), "bombs": bombs}, indent=2))
    else:
        print(
            f"{report.count:,} damaged images in {report.seconds:.0f} s: {report.decoded:,} decoded "
            f"({report.truncated:,} truncated), {report.refused.total():,} refused with a reason, "
            f"{len(report.crashes)} crashes, {len(report.hangs)} hangs, {len(report.errors)} other errors. "
            f"Slowest image: {report.slowest_seconds:.2f} s. Most memory: {report.peak_memory_mb:.0f} MB"
        )
        for name, bomb in bombs.items():
            print(
                f"{name} on all cores: {bomb['peak_bytes'] / 1e9:.2f} GB, {bomb['seconds']:.0f} s, {bomb['outcome']}"
            )
    is_bounded = all(bomb["peak_bytes"] <= ALONE * memory_gb * 1e9 for bomb in bombs.values())
    raise typer.Exit(bool(report.crashes or report.hangs or report.errors or not is_bounded))


if __name__ == "__main__":
    typer.run(main)
