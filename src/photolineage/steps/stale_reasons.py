"""Why partitions are stale: which input has changed, and how many images the change affects."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, case, func, select

from photolineage.catalog.orm import Image, MlJob, MlModel, Shard, Source
from photolineage.catalog.queries import IS_EMBEDDABLE, materialized_versions
from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.lineage import (
    IMAGE_EMBEDDINGS,
    JOB_STEPS,
    REGISTERED_IMAGES,
    SOURCE_FILES,
    VECTOR_INDEX,
    JobKind,
    Step,
    partition_subject,
    split_partition_key,
)
from photolineage.plain_text import counted
from photolineage.steps.freshness import (
    FORGOTTEN,
    LOST,
    NOTHING_LOST,
    RETIRED,
    UNSCANNED_FOR,
    LostFiles,
    StaleSubject,
    find_stale_models,
    find_stale_work,
)

SHARDS_PER_QUERY: Final = 500


@dataclass(frozen=True, slots=True)
class StalePartition:
    """A stale partition and the reason. `images`: how many images the change affects; None if that is unknown."""

    partition: str
    reason: str
    images: int | None = None


def find_outdated(
    connection: Connection, source_keys: Sequence[str], model_keys: Sequence[str], lost: LostFiles
) -> dict[Step, list[StalePartition]]:
    """The stale partitions that were materialized before, by step in the order of the lineage, and why.

    Partitions that were never materialized are missing, which Dagster shows anyway. An index is stale although the
    sensor lets it wait for other shards.
    """
    found = dict(find_stale_work(connection, source_keys, model_keys, UNSCANNED_FOR, lost).by_step())
    for kind in (JobKind.INDEX, JobKind.CLUSTER):
        found[JOB_STEPS[kind]] = find_stale_models(connection, model_keys, kind, lost)
    outdated = {}
    for step, stale in found.items():
        assert step.job is not None
        known = materialized_versions(connection, step.job) if stale else {}
        before = [one for one in stale if one.subject in known]
        outdated[step] = explain_stale(connection, step, before, lost)
    return outdated


def explain_stale(
    connection: Connection, step: Step, stale: Sequence[StaleSubject], lost: LostFiles = NOTHING_LOST
) -> list[StalePartition]:
    """Why each of these partitions of a step is stale, in the same order.

    `lost` must be what the stale partitions were found with.
    """
    if not stale or step.job is None:
        return []
    subjects = [one.subject for one in stale]
    explain: Mapping[JobKind, Callable[[], Iterable[StalePartition]]] = {
        JobKind.SCAN: lambda: _scans(connection, subjects),
        JobKind.REGISTER: lambda: _shards(connection, subjects),
        JobKind.EMBED: lambda: _embeddings(connection, subjects),
        JobKind.INDEX: lambda: _indexes(connection, subjects),
        JobKind.CLUSTER: lambda: _events(connection, subjects),
    }
    before = materialized_versions(connection, step.job)
    gone = {JobKind.REGISTER: lost.previews, JobKind.EMBED: lost.embeddings, JobKind.INDEX: lost.indexes}
    lost_now = gone.get(step.job, {})
    return [
        StalePartition(one.partition, reason)
        if (reason := _loss(step.job, before.get(one.partition, ""), one.partition in lost_now)) is not None
        else one
        for one in explain[step.job]()
    ]


def _loss(kind: JobKind, before: str, is_lost: bool) -> str | None:
    """The reason if the result was there once and is gone."""
    if before.startswith(RETIRED):
        return "the model was retired, and its results were deleted"
    if before.startswith(FORGOTTEN):
        return "a source that had these photos was forgotten"
    if before.startswith(LOST) or is_lost:
        return "the index is lost" if kind is JobKind.INDEX else "files are lost"
    return None


def _scans(connection: Connection, sources: Sequence[str]) -> Iterator[StalePartition]:
    rows = connection.execute(select(Source.key, Source.scanned_at))
    scanned: dict[str, datetime | None] = {key: at for key, at in rows}  # noqa: C416
    for key in sources:
        at = scanned.get(key)
        yield StalePartition(key, "never scanned" if at is None else f"last scanned {at:%Y-%m-%d %H:%M} UTC")


def _shards(connection: Connection, shards: Sequence[str]) -> Iterator[StalePartition]:
    discovered = _count_by_shard(connection, shards, Image.state == ImageState.DISCOVERED)
    for shard in shards:
        images = discovered.get(shard, 0)
        found = (
            _images(images, "new or changed ") if images else "images have disappeared, moved or come back"
        )
        yield StalePartition(shard, f"{SOURCE_FILES.name}: {found}", images)


def _embeddings(connection: Connection, subjects: Sequence[str]) -> Iterator[StalePartition]:
    pairs = [split_partition_key(subject) for subject in subjects]
    bits = {key: bit for key, bit in connection.execute(select(MlModel.key, MlModel.embedded_bit))}  # noqa: C416
    missing: dict[str, Mapping[str, int]] = {}
    for model in {model for model, _ in pairs}:
        lacks_it = Image.embedded_models.bitwise_and(bits.get(model, 0)) == 0
        shards = [shard for of, shard in pairs if of == model]
        missing[model] = _count_by_shard(connection, shards, IS_EMBEDDABLE & lacks_it)
    for model, shard in pairs:
        images = missing[model].get(shard, 0)
        found = (
            f"{_images(images)} without an embedding"
            if images
            else "images have disappeared, moved or come back"
        )
        yield StalePartition(partition_subject(model, shard), f"{REGISTERED_IMAGES.name}: {found}", images)


def _indexes(connection: Connection, models: Sequence[str]) -> Iterator[StalePartition]:
    built = materialized_versions(connection, JobKind.INDEX)
    for model in models:
        since = _first_build(connection, model, built.get(model))
        yield _embedded_since(connection, model, since, IMAGE_EMBEDDINGS)


def _events(connection: Connection, models: Sequence[str]) -> Iterator[StalePartition]:
    clustered = materialized_versions(connection, JobKind.CLUSTER)
    for model in models:
        since = _first_build(connection, model, clustered.get(model))
        if since is None and model in clustered:  # the catalog keeps only the newest jobs of an index
            since = _newest_clustering(connection, model)
        yield _embedded_since(connection, model, since, VECTOR_INDEX)


def _first_build(connection: Connection, model: str, version: str | None) -> datetime | None:
    """When this version of a model's index was first built. Maintenance records the same version again."""
    return connection.execute(
        select(func.min(MlJob.started_at)).where(
            MlJob.kind == JobKind.INDEX,
            MlJob.subject == model,
            MlJob.state == JobState.SUCCEEDED,
            MlJob.input_version == version,
        )
    ).scalar_one()


def _newest_clustering(connection: Connection, model: str) -> datetime | None:
    return connection.execute(
        select(func.max(MlJob.started_at)).where(
            MlJob.kind == JobKind.CLUSTER, MlJob.subject == model, MlJob.state == JobState.SUCCEEDED
        )
    ).scalar_one()


def _embedded_since(
    connection: Connection, model: str, since: datetime | None, upstream: Step
) -> StalePartition:
    """A model's stale index or events: how many images were embedded since an index was built, or at all."""
    with_images = case((MlJob.done > MlJob.resumed, MlJob.subject))
    jobs = select(
        func.count(), func.count(with_images.distinct()), func.sum(MlJob.done - MlJob.resumed)
    ).where(
        MlJob.kind == JobKind.EMBED,
        MlJob.subject.startswith(partition_subject(model, ""), autoescape=True),
    )
    if since is not None:
        jobs = jobs.where(MlJob.heartbeat_at > since)
    count, shards, embedded = connection.execute(jobs).one()
    images = int(embedded or 0)
    if images:
        found = f"{_images(images)} embedded in {counted(shards, 'shard')}"
    else:
        found = "images have disappeared, moved or come back" if count else "built again"
    return StalePartition(model, f"{upstream.name}: {found}", images)


def _images(count: int, kind: str = "") -> str:
    return counted(count, f"{kind}image")


def _count_by_shard(
    connection: Connection, shards: Sequence[str], condition: ColumnElement[bool]
) -> dict[str, int]:
    """The number of images of each shard for which the condition holds. Shards without any are left out."""
    counts: dict[str, int] = {}
    for begin in range(0, len(shards), SHARDS_PER_QUERY):
        rows = connection.execute(
            select(Shard.key, func.count())
            .join(Image, Image.shard_id == Shard.id)
            .where(Shard.key.in_(shards[begin : begin + SHARDS_PER_QUERY]), condition)
            .group_by(Shard.key)
        )
        counts.update({key: count for key, count in rows})  # noqa: C416
    return counts
