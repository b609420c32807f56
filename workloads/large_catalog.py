"""A catalog of millions of images in all states of work, for timing: real rows, and files without content."""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Insert, case, cast, func, insert, literal, select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import BigInteger, LargeBinary, String

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.migrate import upgrade
from photolineage.catalog.orm import Event, Image, MlJob, MlModel, Shard, ShardFile, Source
from photolineage.catalog.vocabulary import FailureReason, FileKind, ImageState, JobState, TakenAtSource
from photolineage.lineage import JobKind, partition_subject

MODELS = {"complete": 1, "outdated": 2, "half": 4}
"""The models, each with the bit that counts its embeddings.

`complete` has embedded everything. `outdated` has too, but each shard has changed since. `half` has embedded half.
"""
SOURCES = ("attic", "camera", "phone", "scans")
CHECKPOINT_IMAGES = 500
FILE_BYTES = 550_000
IMAGES_PER_EVENT = 150
REVISION = 2
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class LeftToEmbed(NamedTuple):
    """The number of images without an embedding of a model, and the number of shards that contain them."""

    images: int
    shards: int


@dataclass(frozen=True, slots=True)
class LargeCatalog:
    """A catalog to make: `images` in shards of `capacity`. The last shard may have fewer."""

    images: int
    capacity: int = 5_000

    @property
    def shard_count(self) -> int:
        """How many shards there are."""
        return -(-self.images // self.capacity)

    def shard_key(self, shard: int) -> str:
        """The key of a shard, by its number in the whole library."""
        return f"{SOURCES[shard % len(SOURCES)]}-{shard // len(SOURCES):05d}"

    def size(self, shard: int) -> int:
        """How many images a shard has."""
        return min(self.capacity, self.images - shard * self.capacity)

    def is_rescanned(self, shard: int) -> bool:
        """Whether a scan has found changes since the shard was registered: true for the last shard of each source."""
        return shard >= self.shard_count - len(SOURCES)

    def embedded_by_half(self, shard: int) -> int:
        """How many images of a shard the model `half` has embedded: all, then some in one shard, then none."""
        middle = self.shard_count // 2
        return self.size(shard) if shard < middle else self.size(shard) // 2 if shard == middle else 0

    def embeddable(self, shard: int) -> list[int]:
        """The positions of a shard's images that must have an embedding."""
        unread = {1, 2, 4} if self.is_rescanned(shard) else {1, 2}
        return [i for i in range(self.size(shard)) if i % 100 not in unread and i % 40 != 7]

    def to_register(self) -> int:
        """How many images must still be read, counted image by image."""
        return sum(
            i % 100 == 4
            for shard in range(self.shard_count)
            if self.is_rescanned(shard)
            for i in range(self.size(shard))
        )

    def to_embed(self) -> dict[str, LeftToEmbed]:
        """What each model must still embed, counted image by image."""
        left: dict[str, list[int]] = {model: [] for model in MODELS}
        for shard in range(self.shard_count):
            images = self.embeddable(shard)
            left["outdated"].append(sum(i % 20 == 3 for i in images))
            left["half"].append(sum(i >= self.embedded_by_half(shard) for i in images))
        return {model: LeftToEmbed(sum(counts), sum(map(bool, counts))) for model, counts in left.items()}

    def build(self, engine: Engine, home: Path) -> Iterator[int]:
        """Make the catalog in an empty database. Yields the number of images of each shard when it is done.

        Each preview and embedding file has its recorded size but takes no space on the disk.
        """
        upgrade(engine)
        with write_transaction(engine) as connection:
            _insert_models_and_sources(connection)
        for shard in range(self.shard_count):
            with write_transaction(engine) as connection:
                _ready(connection)
                self._insert_shard(connection, home, shard)
            yield self.size(shard)
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            if connection.dialect.name == "postgresql":  # as autovacuum would do in the meantime
                connection.exec_driver_sql("VACUUM ANALYZE")

    def _insert_shard(self, connection: Connection, home: Path, shard: int) -> None:
        key, size = self.shard_key(shard), self.size(shard)
        shard_id = connection.execute(
            insert(Shard)
            .values(
                source_id=shard % len(SOURCES) + 1,
                number=shard // len(SOURCES),
                key=key,
                capacity=self.capacity,
                image_count=size,
                revision=REVISION + self.is_rescanned(shard),
            )
            .returning(Shard.id)
        ).scalar_one()
        connection.execute(
            _insert_images(shard_id, self.is_rescanned(shard), size, self.embedded_by_half(shard))
        )
        register = _insert_job(connection, JobKind.REGISTER, key, REVISION, size)
        previews = f"previews/{key}"
        _make_files(
            home, _insert_files(connection, FileKind.PREVIEW, shard_id, None, register, size, previews)
        )
        for model_id, model in enumerate(MODELS, 1):
            done = self.embedded_by_half(shard) if model == "half" else size
            if done:
                version = REVISION - (model == "outdated")
                subject = partition_subject(model, key)
                job = _insert_job(connection, JobKind.EMBED, subject, version, done, total=size)
                folder = f"embeddings/{model}/{key}"
                paths = _insert_files(connection, FileKind.EMBEDDING, shard_id, model_id, job, done, folder)
                _make_files(home, paths)
                _insert_events(connection, model_id, done)


def _ready(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        driver.create_function("md5", 1, _md5, deterministic=True)
        driver.execute("PRAGMA cache_size = -100000")


def _md5(value: str) -> str:
    return hashlib.md5(value.encode()).hexdigest()


def _insert_models_and_sources(connection: Connection) -> None:
    for key, bit in MODELS.items():
        connection.execute(
            insert(MlModel).values(
                key=key,
                architecture="ViT-B-32",
                embedding_dim=512,
                image_size=224,
                weights_digest=_md5(key),
                embedded_bit=bit,
                first_loaded_at=NOW,
                serving=bit == 1,
            )
        )
    for key in SOURCES:
        connection.execute(
            insert(Source).values(key=key, root=f"/{key}", created_at=NOW, scanned_at=datetime.now(UTC))
        )


def _insert_images(shard_id: int, is_rescanned: bool, size: int, embedded_by_half: int) -> Insert:
    """Insert a shard. Of each hundred images one is unreadable, one missing and, in a rescanned shard, one changed."""
    numbers = select(literal(0).label("i")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < size - 1))
    i: ColumnElement[int] = numbers.c.i
    first_id = (shard_id - 1) * 100_000
    states = {1: ImageState.FAILED, 2: ImageState.MISSING}
    if is_rescanned:
        states[4] = ImageState.DISCOVERED
    is_registered = (i % 100).not_in(list(states))
    is_copy = i % 40 == 7
    models = (
        MODELS["complete"]
        + case((i % 20 != 3, MODELS["outdated"]), else_=0)
        + case((i < embedded_by_half, MODELS["half"]), else_=0)
    )
    path = literal(f"{shard_id:05d}/2024/IMG_") + cast(i + 100_000, String) + literal(".jpg")
    values: dict[str, Any] = {
        "id": i + first_id + 1,
        "source_id": select(Shard.source_id).where(Shard.id == shard_id).scalar_subquery(),
        "shard_id": literal(shard_id),
        "path": cast(path, LargeBinary),
        "size_bytes": i + 4_000_000,
        "mtime_ns": i + literal(1_700_000_000_000_000_000, BigInteger),
        "state": _enum(
            Image.state,
            case(
                *((i % 100 == rest, state.value) for rest, state in states.items()),
                else_=ImageState.REGISTERED.value,
            ),
        ),
        "discovered_at": literal(NOW, Image.discovered_at.type),
        "registered_at": literal(NOW, Image.registered_at.type),
        "failure_reason": _enum(Image.failure_reason, case((i % 100 == 1, FailureReason.CORRUPT.value))),
        "content_hash": case((is_registered, func.md5(cast(i + first_id, String)))),
        "format": literal("JPEG"),
        "width": literal(4032),
        "height": literal(3024),
        "orientation": literal(1),
        "truncated": literal(False),
        "taken_at": literal(NOW, Image.taken_at.type),
        "taken_at_source": _enum(Image.taken_at_source, literal(TakenAtSource.EXIF.value)),
        "camera": literal("Apple iPhone 12"),
        "duplicate_of_id": case((is_registered & is_copy, i + first_id)),
        "embedded_models": case((is_registered & ~is_copy, models), else_=0),
    }
    return insert(Image).from_select(list(values), select(*values.values()))


def _enum(column: InstrumentedAttribute[Any], value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Text cast to the type of an enum column, which PostgreSQL needs."""
    return cast(cast(value, String), column.type)


def _insert_job(
    connection: Connection, kind: JobKind, subject: str, version: int, done: int, *, total: int | None = None
) -> int:
    """Insert an interrupted job and, if no work is left, the finished job after it."""
    ended = JobState.SUCCEEDED if total in {None, done} else JobState.INTERRUPTED
    for state in (JobState.INTERRUPTED, ended):
        job_id: int = connection.execute(
            insert(MlJob)
            .values(
                kind=kind,
                subject=subject,
                run_id=_md5(subject),
                host="host",
                pid=1,
                process_started_at=0.0,
                state=state,
                input_version=str(version),
                total=total or done,
                done=done,
                resumed=0,
                failed=0,
                started_at=NOW,
                heartbeat_at=NOW,
                finished_at=NOW,
            )
            .returning(MlJob.id)
        ).scalar_one()
    return job_id


def _insert_files(
    connection: Connection,
    kind: FileKind,
    shard_id: int,
    model_id: int | None,
    job_id: int,
    images: int,
    folder: str,
) -> list[str]:
    """The paths of a shard's files, one per checkpoint."""
    paths = [f"{folder}/{job_id:08d}-{number:04d}" for number in range(-(-images // CHECKPOINT_IMAGES))]
    connection.execute(
        insert(ShardFile),
        [
            {
                "kind": kind,
                "shard_id": shard_id,
                "model_id": model_id,
                "job_id": job_id,
                "path": path,
                "row_count": CHECKPOINT_IMAGES,
                "size_bytes": FILE_BYTES,
                "committed_at": NOW,
            }
            for path in paths
        ],
    )
    return paths


def _make_files(home: Path, paths: list[str]) -> None:
    for path in paths:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        with (home / path).open("wb") as file:
            file.truncate(FILE_BYTES)


def _insert_events(connection: Connection, model_id: int, images: int) -> None:
    if events := [_event(model_id) for _ in range(images // IMAGES_PER_EVENT)]:
        connection.execute(insert(Event), events)


def _event(model_id: int) -> dict[str, Any]:
    return {
        "model_id": model_id,
        "title": "An afternoon",
        "starts_at": NOW,
        "ends_at": NOW,
        "image_count": IMAGES_PER_EVENT,
        "confidence": 0.9,
        "updated_at": NOW,
    }
