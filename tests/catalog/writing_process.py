"""A writer beside others: `python -m tests.catalog.writing_process URL NUMBER COMMITS`."""

import sys
from datetime import timedelta

from sqlalchemy import Connection, insert, select, update

from photolineage.catalog.engine import create_catalog_engine
from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.orm import Shard
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind


def main(url: str, writer: int, commits: int) -> None:
    engine = create_catalog_engine(url)
    lease = acquire_lease(
        engine,
        JobKind.EMBED,
        f"subject-{writer}",
        run_id=f"run-{writer}",
        input_version="1",
        timeout=timedelta(minutes=5),
    )
    numbers = iter(range(writer * 10_000 + 1, (writer + 1) * 10_000))

    def write(connection: Connection) -> None:
        number = next(numbers)
        # A read before the write, as every commit has: what fails half way without BEGIN IMMEDIATE.
        revision = connection.execute(select(Shard.revision).where(Shard.id == 1)).scalar_one()
        connection.execute(update(Shard).where(Shard.id == 1).values(image_count=Shard.image_count + 1))
        connection.execute(
            insert(Shard).values(
                source_id=1,
                number=number,
                key=f"written-{number}",
                capacity=1,
                image_count=0,
                revision=revision,
            )
        )

    for _ in range(commits):
        lease.commit(write, done=1)
    lease.finish(JobState.SUCCEEDED)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
