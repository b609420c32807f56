"""Lets anything happen to a library, in any order: `python -m benchmarks.stateful --sequences 500 --json`.

A sequence is up to 20 of these: photos arrive, change, are damaged, move or go; sidecars are written or go; an edited
copy appears beside a photo; a photo rots, and is verified; all times of a disk shift by an hour; a disk is unplugged or
comes back; a source is renamed, moved, forgotten or added; a worker brings the library up to date, or dies on the way;
a model is added, promoted, retired; the catalog is saved, and put back. After each time that the library was brought up
to date, and at the end of each sequence, it is compared with a plain model of what must hold: which images there are
and under which ids, their keywords and how a search finds them, which photo of a stack shows, one embedding and one row
in the index for each content, with the vectors of a library to which nothing happened, the events of a clustering from
nothing, and every check. No photo is read again to which nobody has written. Verifying finds the rotten photo, names
its copies, and finds nothing else.

Ctrl-C ends it early, with the result so far. The exit code is 1 if something does not hold. The sequence is then
printed as a script.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from workloads.killing.workers import nursery
from workloads.stateful.machine import LibraryMachine
from workloads.stateful.undisturbed import undisturbed_vectors

STEPS = 20


def main(
    sequences: Annotated[int, typer.Option(min=1, help="How many sequences to try.")] = 500,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Try random sequences, and stop at the first in which something does not hold."""
    started, tried = time.monotonic(), 0

    class Machine(LibraryMachine):
        def __init__(self) -> None:
            nonlocal tried
            tried += 1
            super().__init__()

    with tempfile.TemporaryDirectory(prefix="photolineage-undisturbed-") as folder, nursery() as process:
        Machine.nursery, Machine.vectors = process, undisturbed_vectors(Path(folder))
        violation = ""
        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=sequences,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate, Phase.shrink],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except KeyboardInterrupt:
            print(f"Ended after {tried} sequences.", file=sys.stderr)
        except Exception as error:  # noqa: BLE001 (whatever went wrong in a sequence is a violation)
            violation = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
    seconds = time.monotonic() - started
    if as_json:
        print(
            json.dumps(
                {
                    "sequences": tried,
                    "violations": int(bool(violation)),
                    "seconds": round(seconds, 1),
                    "seconds_each": round(seconds / tried, 2),
                    "violation": violation,
                },
                indent=2,
            )
        )
    else:
        print(violation or f"{tried} sequences, nothing was wrong; {seconds / tried:.1f} s each")
    raise typer.Exit(bool(violation))


if __name__ == "__main__":
    typer.run(main)
