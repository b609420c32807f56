"""A process that races for a lease: `python -m tests.catalog.lease_racer URL MODE`, and says what became of it.

`race` waits for a line on its standard input, then takes the lease and holds it until the input ends; `zombie`
takes the lease and ends at once, without a word. `work` takes the lease and commits at each line of its input.
"""

import os
import sys
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from photolineage.catalog.engine import create_catalog_engine
from photolineage.catalog.leases import LeaseHeldError, LeaseLostError, acquire_lease
from photolineage.catalog.orm import Source
from photolineage.lineage import JobKind

SOURCE = {"key": "photos", "root": "/photos", "created_at": datetime(2024, 5, 6, tzinfo=UTC)}


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
        lease = acquire_lease(
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
        return
    if mode == "zombie":
        os._exit(1)
    for _ in sys.stdin:
        try:
            lease.commit(lambda connection: connection.execute(insert(Source).values(SOURCE)), done=1)
            say("committed")
        except LeaseLostError:
            say("lost")


if __name__ == "__main__":
    main(*sys.argv[1:])
