"""Lets every operation on a library's files go wrong: `python -m benchmarks.crash_states --json`.

Two workers are recorded: one makes a library, one brings it up to date after photos came, changed and went, embeds
everything with a second model and promotes it. Every call of theirs that changes a file is an operation: those of
SQLite, Arrow and LanceDB too. For each operation, another worker meets a fault there: the call fails, half of it is
written, or, at each tenth, the process is killed after it. Then the power is lost: each prefix of the operations is
what is left of the library, and, at each flush, also what was flushed without a random part of the rest. A kill leaves
what a prefix leaves. Losses of power after which a process finds the same files and the same catalog are tried once.

After each of these, the next run must succeed, and the library must be as if nothing had happened: the same images,
embeddings, rows of the index, hits and events. If the worker did not report an error, it must be so at once.

`--every 10` tries each tenth state. It needs a C compiler, and takes one to two seconds of a core for each state.
"""

import json
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from workloads.crash_states.interposer import Mode, build
from workloads.crash_states.proof import SCENARIOS, Report, Scenario
from workloads.killing.workers import nursery
from workloads.stateful.examine import Vectors
from workloads.stateful.undisturbed import undisturbed_vectors

LISTED = 20
KILLED_EVERY = 10


@dataclass(frozen=True, slots=True)
class Part:
    """The part of all states that one process tries: the `number`-th of `parts`, and of these each `every`-th."""

    number: int
    parts: int
    every: int
    seed: int

    def of(self, states: int) -> range:
        """The numbers of this part's states, from 0."""
        return range(states * self.number // self.parts, states * (self.number + 1) // self.parts)

    def chosen(self, states: int, rng: random.Random, every: int) -> Iterator[int]:
        """The numbers of the states to try."""
        mine = self.of(states)
        return iter(mine[rng.randrange(every) :: every])


def try_states(scenario: Scenario, part: Part, report: Report) -> None:
    """Try this part's states of each kind."""
    rng, operations = random.Random(part.seed), scenario.operations
    for mode in (Mode.FAIL, Mode.TEAR, Mode.KILL):
        every = part.every * (KILLED_EVERY if mode is Mode.KILL else 1)
        for number in part.chosen(len(operations), rng, every):
            if mode is not Mode.TEAR or operations[number].kind == "write":
                scenario.fail(report, mode, number + 1)
    mine = part.of(sum(1 for _ in scenario.losses_of_power(random.Random(part.seed))))
    found: set[bytes] = set()
    first = rng.randrange(part.every)
    for number, (done, tree) in enumerate(scenario.losses_of_power(random.Random(part.seed))):
        if number in mine:
            outcome = tree.outcome()
            if outcome in found:
                report.repeated += 1
            elif outcome is None or len(found) % part.every == first:
                scenario.lose_power(report, done, tree)
            found.update([outcome] if outcome is not None else [])


def try_part(part: Part, vectors: Mapping[str, Vectors]) -> tuple[Report, Counter[str]]:
    """Record each scenario, and try this part's states. Returns the operations that were recorded, too."""
    report, operations = Report(), Counter[str]()
    with (
        tempfile.TemporaryDirectory(prefix="photolineage-crash-states-") as folder,
        nursery(build(Path(folder))) as process,
    ):
        for number, make in enumerate(SCENARIOS):
            place = Path(folder, str(number))
            place.mkdir()
            scenario = make(place, process, vectors)
            operations.update(operation.kind for operation in scenario.operations)
            try_states(scenario, part, report)
    return report, operations


def main(
    every: Annotated[int, typer.Option(min=1, help="Try only each n-th state.")] = 1,
    seed: int = 0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Try all states, and count those after which something does not hold."""
    started, report, operations = time.monotonic(), Report(), Counter[str]()
    processes = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="photolineage-undisturbed-") as folder:
        vectors = undisturbed_vectors(Path(folder))
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawning) as pool:
        parts = [Part(number, processes, every, seed) for number in range(processes)]
        for tried, recorded in pool.map(partial(try_part, vectors=vectors), parts):
            report.add(tried)
            operations |= recorded
    result = {
        "states": report.states,
        "repeated_states": report.repeated,
        "violations": len(report.violations),
        "operations": dict(operations),
        "states_by_operation": dict(report.by_operation),
        "states_by_part": dict(report.by_part),
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
