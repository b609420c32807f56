"""Lets every operation on a library's files go wrong: `python -m benchmarks.crash_states --json`.

Two workers are recorded: one makes a library, one brings it up to date after photos came, changed and went, embeds
everything with a second model and promotes it. Every call of theirs that changes a file is an operation: those of
SQLite, Arrow and LanceDB too. For each operation, another worker meets a fault there: the call fails, half of it is
written, or the process is killed after it. Then the power is lost: each prefix of the operations is what is left of the
library, and, at each flush, also what was flushed without a random part of the rest.

After each of these, the next run must succeed, and the library must be as if nothing had happened: the same images,
embeddings, rows of the index, hits and events. If the worker did not report an error, it must be so at once.

`--every 10` tries each tenth state. It needs a C compiler, and takes some seconds for each state.
"""

import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from workloads.crash_states.interposer import Mode, build
from workloads.crash_states.proof import SCENARIOS, Report, Scenario
from workloads.killing.workers import nursery
from workloads.stateful.library import undisturbed_vectors

LISTED = 20


def try_every(scenario: Scenario, report: Report, rng: random.Random, every: int) -> None:
    """Try each `every`-th state of each kind."""
    operations = len(scenario.operations)
    for mode in (Mode.FAIL, Mode.TEAR, Mode.KILL):
        for at in range(1 + rng.randrange(every), operations + 1, every):
            if mode is not Mode.TEAR or scenario.operations[at - 1].kind == "write":
                scenario.fail(report, mode, at)
    first = rng.randrange(every)
    for number, (done, tree) in enumerate(scenario.losses_of_power(rng)):
        if number % every == first:
            scenario.lose_power(report, done, tree)


def main(
    every: Annotated[int, typer.Option(min=1, help="Try only each n-th state.")] = 1,
    seed: int = 0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Try all states, and count those after which something does not hold."""
    started, report, operations = time.monotonic(), Report(), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="photolineage-crash-states-") as folder:
        vectors = undisturbed_vectors(Path(folder, "undisturbed"))
        with nursery(build(Path(folder))) as process:
            for number, make in enumerate(SCENARIOS):
                place = Path(folder, str(number))
                place.mkdir()
                scenario = make(place, process, vectors)
                operations.update(operation.kind for operation in scenario.operations)
                try_every(scenario, report, random.Random(seed), every)
    result = {
        "states": report.states,
        "violations": len(report.violations),
        "operations": dict(operations),
        "states_by_operation": dict(report.by_operation),
        "errors": dict(report.errors),
        "first_violations": report.violations[:LISTED],
        "seconds": round(time.monotonic() - started),
    }
    print(
        json.dumps(result, indent=2)
        if as_json
        else "\n".join(f"{key}: {value}" for key, value in result.items())
    )
    raise typer.Exit(bool(report.violations))


if __name__ == "__main__":
    typer.run(main)
