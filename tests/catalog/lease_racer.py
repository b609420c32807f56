"""A process that races for a lease: `python -m tests.catalog.lease_racer URL MODE`, and says what became of it.

`race` waits for a line on its standard input, then takes the lease and holds it until the input ends; `zombie`
takes the lease and ends at once, without a word.
"""

import os
import sys
from datetime import timedelta

from photolineage.catalog.engine import create_catalog_engine
from photolineage.catalog.leases import LeaseHeldError, acquire_lease
from photolineage.lineage import JobKind


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(url: str, mode: str) -> None:
    engine = create_catalog_engine(url)
    with engine.connect():
        say("ready")
    if mode == "race":
        sys.stdin.readline()
    try:
        acquire_lease(
            engine,
            JobKind.EMBED,
            "model|shard",
            run_id=f"run-{os.getpid()}",
            input_version="1",
            timeout=timedelta(minutes=5),
        )
        say("held")
    except LeaseHeldError:
        say("refused")
    if mode == "zombie":
        os._exit(1)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
