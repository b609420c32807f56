"""Measures the time to a search's answer: `python -m benchmarks.first_answer --json`, after `photolineage demo`."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

PHOTOLINEAGE = Path(sys.executable).with_name("photolineage")
QUERIES = {
    "text": ["beach at sunset"],
    "texts with a negative": ["snowy mountains", "--not", "people"],
    "image of the library": ["--image-id", "1"],
}


def seconds_to_answer(arguments: list[str], rounds: int) -> list[float]:
    """The seconds that each of `rounds` new processes takes from start to end."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run([PHOTOLINEAGE, "search", *arguments, "--json"], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - started)
    return seconds


def main(
    rounds: Annotated[int, typer.Option(min=3, help="Processes per query, after one to warm up.")] = 10,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure the time to the first answer on the configured library."""
    figures = {}
    for name, arguments in QUERIES.items():
        seconds = seconds_to_answer(arguments, rounds + 1)[1:]
        figures[name] = {
            "median_s": round(statistics.median(seconds), 2),
            "min_s": round(min(seconds), 2),
            "max_s": round(max(seconds), 2),
        }
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    for name, figure in figures.items():
        print(f"{name}: {figure['median_s']} s ({figure['min_s']} to {figure['max_s']})")


if __name__ == "__main__":
    typer.run(main)
