"""The state of the library and its events, for people to read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from sqlalchemy import Connection, func, select

from photolineage.catalog.coverage import ImageTally, tally_images
from photolineage.catalog.orm import Event, MlJob, MlModel, Source
from photolineage.catalog.verification import count_rotten, last_verified
from photolineage.catalog.vocabulary import ImageState, JobState, TakenAtPrecision
from photolineage.lineage import JobKind

_FORM_OF_PRECISION: Final = {
    TakenAtPrecision.DAY: "%Y-%m-%d",
    TakenAtPrecision.MONTH: "%Y-%m",
    TakenAtPrecision.YEAR: "%Y",
}


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The number of images of one source, by state.

    `passed_over`: the files that the last scan found but does not read, by suffix, and the folders of programs.
    `rotten`: images whose file has other bytes than when it was registered. `verified_at`: all shards were verified to
    the end at this time or later; None if one never was.
    """

    key: str
    images: int
    discovered: int
    registered: int
    duplicates: int
    failed: int
    missing: int
    passed_over: dict[str, int]
    rotten: int
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The number of images that a model has embedded, and of those that need an embedding.

    `shards_left` shards have images without an embedding.
    """

    key: str
    serving: bool
    embedding_dim: int
    committed_embeddings: int
    embeddable: int
    shards_left: int
    events: int


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One attempt at a partition. Counts are images; earlier runs did `resumed` of the `done` ones."""

    kind: JobKind
    subject: str
    run_id: str
    state: str
    done: int
    resumed: int
    failed: int
    total: int
    started_at: datetime
    heartbeat_at: datetime
    error: str | None

    @property
    def images_per_second(self) -> float:
        """Images per second of this run. Images committed by earlier runs do not count."""
        return (self.done - self.resumed) / max((self.heartbeat_at - self.started_at).total_seconds(), 1e-3)

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at this rate, or None if it is unknown."""
        rate = self.images_per_second
        return (self.total - self.done) / rate if rate > 0 and self.total > self.done else None


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """The state of the whole library."""

    sources: list[SourceStatus]
    models: list[ModelStatus]
    jobs: list[JobStatus]


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event. Its times are local times if the offset from UTC is known, else UTC.

    `radius_m`: nine tenths of the located images lie within it. `cohesion`: the similarity of the images (0: like
    unrelated images, 1: like neighbours in time). `confidence`: the probability of its least certain boundary.
    """

    id: int
    title: str
    starts_at: datetime
    ends_at: datetime
    utc_offset_minutes: int | None
    image_count: int
    latitude: float | None
    longitude: float | None
    radius_m: float | None
    cohesion: float | None
    confidence: float
    cover_image_id: int | None


def library_status(
    connection: Connection, *, tallies: Sequence[ImageTally] | None = None, recent_jobs: int = 10
) -> LibraryStatus:
    """Sources, models, running jobs, and jobs whose newest attempt did not succeed.

    `tallies`: those of the library, if they are counted already.
    """
    if tallies is None:
        tallies = tally_images(connection)
    sources = connection.execute(select(Source.key, Source.passed_over).order_by(Source.key)).all()
    rotten, verified = count_rotten(connection), last_verified(connection)
    return LibraryStatus(
        sources=[
            _source_status(
                key,
                json.loads(passed_over or "{}"),
                [tally for tally in tallies if tally.source == key],
                rotten.get(key, 0),
                verified,
            )
            for key, passed_over in sources
        ],
        models=_models(connection, tallies),
        jobs=_jobs(connection, recent_jobs),
    )


def _source_status(
    source: str,
    passed_over: dict[str, int],
    tallies: Sequence[ImageTally],
    rotten: int,
    verified: Mapping[str, datetime],
) -> SourceStatus:
    def count(state: ImageState) -> int:
        return sum(tally.images for tally in tallies if tally.state == state)

    shards = {tally.shard for tally in tallies}
    return SourceStatus(
        key=source,
        images=sum(tally.images for tally in tallies),
        discovered=count(ImageState.DISCOVERED),
        registered=count(ImageState.REGISTERED),
        duplicates=sum(tally.duplicates for tally in tallies if tally.state == ImageState.REGISTERED),
        failed=count(ImageState.FAILED),
        missing=count(ImageState.MISSING),
        passed_over=passed_over,
        rotten=rotten,
        verified_at=min((verified[shard] for shard in shards), default=None)
        if shards <= verified.keys()
        else None,
    )


def _models(connection: Connection, tallies: Sequence[ImageTally]) -> list[ModelStatus]:
    events = select(Event.model_id, func.count().label("events")).group_by(Event.model_id).subquery()
    models = connection.execute(
        select(
            MlModel.embedded_bit,
            MlModel.key,
            MlModel.serving,
            MlModel.embedding_dim,
            func.coalesce(events.c.events, 0),
        )
        .outerjoin(events, events.c.model_id == MlModel.id)
        .order_by(MlModel.id)
    )
    return [
        ModelStatus(
            key,
            serving,
            dim,
            committed_embeddings=sum(tally.embedded(bit) for tally in tallies),
            embeddable=sum(tally.embeddable for tally in tallies),
            shards_left=len({t.shard for t in tallies if t.embedded(bit) < t.embeddable}),
            events=count,
        )
        for bit, key, serving, dim, count in models
    ]


_JOB_COLUMNS = (
    MlJob.kind,
    MlJob.subject,
    MlJob.run_id,
    MlJob.state,
    MlJob.done,
    MlJob.resumed,
    MlJob.failed,
    MlJob.total,
    MlJob.started_at,
    MlJob.heartbeat_at,
    MlJob.error,
)


def newest_job(connection: Connection, kind: JobKind, subject: str) -> JobStatus | None:
    """The newest attempt at a partition, also if it succeeded; None before the first."""
    rows = connection.execute(
        select(*_JOB_COLUMNS)
        .where(MlJob.kind == kind, MlJob.subject == subject)
        .order_by(MlJob.id.desc())
        .limit(1)
    )
    return next((JobStatus(**row) for row in rows.mappings()), None)


def _jobs(connection: Connection, limit: int) -> list[JobStatus]:
    newest = select(func.max(MlJob.id)).group_by(MlJob.kind, MlJob.subject)
    rows = connection.execute(
        select(*_JOB_COLUMNS)
        .where(MlJob.id.in_(newest), MlJob.state != JobState.SUCCEEDED)
        .order_by(MlJob.id.desc())
        .limit(limit)
    )
    return [JobStatus(**row) for row in rows.mappings()]


def list_events(connection: Connection, model_id: int, *, limit: int | None = None) -> Sequence[ListedEvent]:
    """The events of a model, newest first."""
    rows = connection.execute(
        select(Event.__table__)
        .where(Event.model_id == model_id)
        .order_by(Event.starts_at.desc(), Event.id)
        .limit(limit)
    )
    return [
        ListedEvent(
            row.id,
            row.title,
            local_time(row.starts_at, row.utc_offset_minutes),
            local_time(row.ends_at, row.utc_offset_minutes),
            row.utc_offset_minutes,
            row.image_count,
            row.latitude,
            row.longitude,
            row.radius_m,
            row.cohesion,
            row.confidence,
            row.cover_image_id,
        )
        for row in rows
    ]


def local_time(moment: datetime, utc_offset_minutes: int | None) -> datetime:
    """The moment in local time, `utc_offset_minutes` ahead of UTC; in UTC if the offset is None."""
    return moment.astimezone(timezone(timedelta(minutes=utc_offset_minutes or 0)))


def known_time(moment: datetime, precision: TakenAtPrecision | None) -> str:
    """The part of a time that is known: "2021-03-04 10:11", "2021-03-04", "2021-03" or "2021"."""
    form = "%Y-%m-%d %H:%M" if precision is None else _FORM_OF_PRECISION.get(precision, "%Y-%m-%d %H:%M")
    return moment.strftime(form)
