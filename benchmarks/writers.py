"""Lets many processes write at once: `python -m benchmarks.writers --seconds 60 --json`.

8 processes on SQLite, then 16 on PostgreSQL, each with its own source, register and commit as fast as they can. A job
counts the whole catalog like `photolineage status`, takes a lease, commits ten checkpoints of 50 images (with their
facts, what their sidecars say, the commit record of their file and a search for duplicates), and ends. A second job
commits ten checkpoints in which these images are verified. Afterwards every image, note, commit record and job must be
in the catalog. The exit code is 1 if one is missing or a writer failed.
"""

import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Annotated

import typer
from sqlalchemy import Connection, bindparam, func, insert, select, update

from benchmarks.postgresql_server import postgresql_server
from photolineage.catalog.duplicates import refresh_duplicates
from photolineage.catalog.engine import DATABASE_TIME, create_catalog_engine, run_in_transaction
from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.migrate import upgrade
from photolineage.catalog.orm import Image, ImageNote, MlJob, Shard, ShardFile, Source
from photolineage.catalog.vocabulary import FileKind, ImageState, JobState, WrittenField
from photolineage.lineage import JobKind
from photolineage.media.written import Written as Statement
from photolineage.steps.store_notes import store_notes

SQLITE_WRITERS = 8
POSTGRESQL_WRITERS = 16
CHECKPOINTS_A_JOB = 10
IMAGES_A_CHECKPOINT = 50
LEASE_TIMEOUT = timedelta(minutes=5)
KEYWORD = Statement(WrittenField.KEYWORD, "holiday", "XMP dc:subject", "0000001.jpg.xmp")


@dataclass(frozen=True, slots=True)
class Written:
    """What one writer has committed, half of it registrations, and its slowest commit in seconds."""

    jobs: int
    commits: int
    slowest: float
    error: str | None


@dataclass(frozen=True, slots=True)
class WritersResult:
    """The result for one database. `missing` counts committed rows that are missing. `commits` are checkpoints."""

    database: str
    writers: int
    seconds: float
    commits: int
    commits_per_second: float
    images: int
    slowest_commit_seconds: float
    missing: int
    errors: list[str]


@dataclass(slots=True)
class Writer:
    """The source and shard of one process, its number of images, and the ids of those that are not verified yet, by the
    number of the first of each checkpoint.
    """

    number: int
    source_id: int
    shard_id: int
    images: int = 0
    unverified: dict[int, list[int]] = field(default_factory=dict)

    def register(self, connection: Connection, *, job_id: int) -> None:
        """Write the rows of one checkpoint, as registering does."""
        now = datetime.now(UTC)
        rows = [
            {
                "source_id": self.source_id,
                "shard_id": self.shard_id,
                "path": f"{number // 1000:05}/{number:07}.jpg",
                "size_bytes": 1,
                "mtime_ns": 1,
                "state": ImageState.REGISTERED,
                "discovered_at": now,
                "registered_at": now,
                "content_hash": f"{self.number:08x}{number:024x}",
            }
            for number in range(self.images, self.images + IMAGES_A_CHECKPOINT)
        ]
        images = connection.execute(
            insert(Image).returning(Image.id, sort_by_parameter_order=True), rows
        ).scalars()
        ids = self.unverified[self.images] = list(images)
        store_notes(connection, dict.fromkeys(ids, (KEYWORD,)))
        connection.execute(
            insert(ShardFile).values(
                kind=FileKind.PREVIEW,
                shard_id=self.shard_id,
                job_id=job_id,
                path=f"previews/{self.number}/{self.images:08}.arrow",
                row_count=IMAGES_A_CHECKPOINT,
                size_bytes=1,
                committed_at=now,
            )
        )
        refresh_duplicates(connection, [str(row["content_hash"]) for row in rows])

    def verify(self, connection: Connection, *, first: int) -> None:
        """Record that the images of one checkpoint are intact, as verifying does."""
        connection.execute(
            update(Image)
            .where(Image.id == bindparam("image"), Image.state == ImageState.REGISTERED)
            .values(verified_at=DATABASE_TIME),
            [{"image": image} for image in self.unverified[first]],
        )


def write(url: str, number: int, together: Barrier, seconds: float) -> Written:
    """Write whole jobs for `seconds`, beginning when all writers are ready."""
    engine = create_catalog_engine(url)
    jobs = commits = 0
    slowest = 0.0
    error = None
    try:
        writer = _new_writer(url, number)
        together.wait()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with engine.connect() as connection:
                connection.execute(select(Image.state, func.count()).group_by(Image.state)).all()
            for kind in (JobKind.REGISTER, JobKind.VERIFY):
                lease = acquire_lease(
                    engine, kind, f"source-{number}", run_id=f"job-{jobs}", input_version="1",
                    timeout=LEASE_TIMEOUT,
                )  # fmt: skip
                jobs += 1
                for _ in range(CHECKPOINTS_A_JOB):
                    started = time.monotonic()
                    if kind == JobKind.REGISTER:
                        lease.commit(partial(writer.register, job_id=lease.job_id), done=IMAGES_A_CHECKPOINT)
                        writer.images += IMAGES_A_CHECKPOINT
                    else:
                        first = min(writer.unverified)
                        lease.commit(partial(writer.verify, first=first), done=IMAGES_A_CHECKPOINT)
                        del writer.unverified[first]
                    slowest = max(slowest, time.monotonic() - started)
                    commits += 1
                lease.finish(JobState.SUCCEEDED)
    except Exception as failure:  # noqa: BLE001 (the purpose is to find any exception)
        error = f"{type(failure).__name__}: {failure}"
    engine.dispose()
    return Written(jobs, commits, slowest, error)


def _new_writer(url: str, number: int) -> Writer:
    engine = create_catalog_engine(url)

    def make(connection: Connection) -> Writer:
        source_id = connection.execute(
            insert(Source)
            .values(key=f"source-{number}", root=f"/{number}", created_at=datetime.now(UTC))
            .returning(Source.id)
        ).scalar_one()
        shard_id = connection.execute(
            insert(Shard)
            .values(source_id=source_id, number=0, key=f"source-{number}-00000", capacity=10**9, image_count=0,
                    revision=1)
            .returning(Shard.id)
        ).scalar_one()  # fmt: skip
        return Writer(number, source_id, shard_id)

    writer = run_in_transaction(engine, make)
    engine.dispose()
    return writer


def measure(database: str, url: str, writers: int, seconds: float) -> WritersResult:
    """Run `writers` writers on a new catalog at `url`."""
    engine = create_catalog_engine(url)
    upgrade(engine)
    engine.dispose()
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(writers, mp_context=context) as pool:
        together = manager.Barrier(writers + 1)
        futures = [pool.submit(write, url, number, together, seconds) for number in range(writers)]
        together.wait()
        begin = time.monotonic()
        written = [future.result() for future in futures]
    elapsed = time.monotonic() - begin
    commits = sum(one.commits for one in written)
    return WritersResult(
        database=database,
        writers=writers,
        seconds=round(elapsed, 1),
        commits=commits,
        commits_per_second=round(commits / elapsed, 1),
        images=commits // 2 * IMAGES_A_CHECKPOINT,
        slowest_commit_seconds=round(max(one.slowest for one in written), 3),
        missing=_missing(url, written),
        errors=[one.error for one in written if one.error is not None],
    )


def _missing(url: str, written: list[Written]) -> int:
    engine = create_catalog_engine(url)
    commits, jobs = sum(one.commits for one in written), sum(one.jobs for one in written)
    with engine.connect() as connection:

        def count(statement: object) -> int:
            return int(connection.execute(statement).scalar_one())  # type: ignore[call-overload]

        images = count(
            select(func.count(Image.id)).where(
                Image.duplicate_of_id.is_(None), Image.verified_at.is_not(None)
            )
        )
        notes = count(select(func.count(ImageNote.id)))
        files = count(select(func.count(ShardFile.id)))
        done = count(select(func.coalesce(func.sum(MlJob.done), 0)))
        succeeded = count(select(func.count(MlJob.id)).where(MlJob.state == JobState.SUCCEEDED))
    engine.dispose()
    return (
        abs(images - commits // 2 * IMAGES_A_CHECKPOINT)
        + abs(notes - commits // 2 * IMAGES_A_CHECKPOINT)
        + abs(done - commits * IMAGES_A_CHECKPOINT)
        + abs(files - commits // 2)
        + abs(succeeded - jobs)
    )


def main(
    seconds: Annotated[float, typer.Option(min=1, help="How many seconds to write on each database.")] = 60,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Let many processes write at once, then count the rows in the catalog."""
    with tempfile.TemporaryDirectory(prefix="photolineage-writers-") as folder:
        results = [measure("sqlite", f"sqlite:///{folder}/catalog.db", SQLITE_WRITERS, seconds)]
    with postgresql_server() as server:
        url = server.render_as_string(hide_password=False)
        results.append(measure("postgresql", url, POSTGRESQL_WRITERS, seconds))
    if as_json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        for result in results:
            print(
                f"{result.database}: {result.writers} writers, {result.seconds} s: {result.commits_per_second} commits "
                f"per second ({result.images:,} images), slowest commit {result.slowest_commit_seconds} s, "
                f"{result.missing} rows missing, {len(result.errors)} errors"
            )
    for result in results:
        for error in result.errors:
            print(f"{result.database}: {error}")
    raise typer.Exit(any(result.missing or result.errors for result in results))


if __name__ == "__main__":
    typer.run(main)
