"""What each model knows about a photo: its embedding, its row in the index, its event."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from photolineage.catalog.listing import local_time
from photolineage.catalog.orm import Event, EventImage, MlModel
from photolineage.catalog.queries import (
    ModelRow,
    find_model,
    materialized_version,
    shard_revisions,
)
from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.explain.findings import NOT_YET, YES, Finding, work_left
from photolineage.lineage import JobKind, partition_subject
from photolineage.plain_text import counted, printable
from photolineage.settings import Settings
from photolineage.steps.freshness import find_stale_models
from photolineage.stores.vector_index import (
    ImageNotIndexedError,
    IndexNotBuiltError,
    VectorIndexError,
    VectorIndexes,
)


def model_findings(connection: Connection, settings: Settings, image: Row[Any]) -> Iterator[Finding]:
    """The embedding of an image, and its row in the index, for each model of the configuration or the catalog.

    `image` is not a copy.
    """
    stored = connection.execute(select(MlModel.key).order_by(MlModel.id)).scalars()
    for key in dict.fromkeys([*settings.models, *stored]):
        model = find_model(connection, key)
        is_embedded = model is not None and bool(image.embedded_models & model.embedded_bit)
        yield _embedded(connection, settings, image, key, model, is_embedded=is_embedded)
        if model is not None:
            yield _indexed(connection, settings, image, model, is_embedded=is_embedded)


def _embedded(
    connection: Connection,
    settings: Settings,
    image: Row[Any],
    key: str,
    model: ModelRow | None,
    *,
    is_embedded: bool,
) -> Finding:
    stage = f"embedded by {key}"
    serves = "searches use this model" if model is not None and model.serving else ""
    if is_embedded and image.state == ImageState.REGISTERED:
        return Finding(stage, YES, serves)
    if is_embedded:
        return Finding(
            stage, "kept", f"the embedding of the content last read is kept; the image is {image.state}"
        )
    if key not in settings.models:
        return Finding(stage, "no", "the model is not in the configuration any more")
    if image.state != ImageState.REGISTERED:
        return Finding(stage, NOT_YET, "only a registered image is embedded")
    registered = materialized_version(connection, JobKind.REGISTER, image.shard)
    if registered != str(shard_revisions(connection)[image.shard]):
        waiting = work_left(connection, stage, JobKind.REGISTER, image.shard)
        return Finding(stage, "waits", waiting.reason, waiting.remedy)
    return work_left(connection, stage, JobKind.EMBED, partition_subject(key, image.shard))


def _indexed(
    connection: Connection, settings: Settings, image: Row[Any], model: ModelRow, *, is_embedded: bool
) -> Finding:
    stage = f"index of {model.key}"
    is_live = is_embedded and image.state == ImageState.REGISTERED
    try:
        is_indexed = is_in_index(settings, model, image.id)
    except IndexNotBuiltError:
        is_indexed = False
    except VectorIndexError as error:
        return Finding(stage, "unreadable", str(error))
    is_stale = bool(find_stale_models(connection, [model.key], JobKind.INDEX))
    if not is_live:
        if not is_indexed:
            return Finding(stage, NOT_YET, "only a registered and embedded image is in the index")
        left = work_left(connection, stage, JobKind.INDEX, model.key)
        return Finding(
            stage, "outdated", "searches still find the image, until the index is updated", left.remedy
        )
    if not is_indexed:
        return work_left(connection, stage, JobKind.INDEX, model.key)
    older = "the index is older than the embeddings, so its row may be outdated" if is_stale else ""
    return Finding(stage, YES, older)


def is_in_index(settings: Settings, model: ModelRow, image_id: int) -> bool:
    """Whether the index of a model has a row of this image. Raises VectorIndexError."""
    try:
        VectorIndexes(settings.home).open(model.key, model.embedding_dim).vectors_of([image_id])
    except ImageNotIndexedError:
        return False
    return True


def event_finding(connection: Connection, settings: Settings, image: Row[Any], model_key: str) -> Finding:
    """The event that a model's clustering put the image into, or why there is none."""
    stage = f"event of {model_key}"
    model = find_model(connection, model_key)
    event = None if model is None else _event_of(connection, model.id, image.id)
    if event is not None:
        day = local_time(event.starts_at, event.utc_offset_minutes)
        return Finding(
            stage,
            printable(event.title),
            f"event {event.id}, from {day:%Y-%m-%d %H:%M}, {counted(event.image_count, 'image')}",
        )
    if image.state != ImageState.REGISTERED:
        return Finding(stage, NOT_YET, "only a registered image is in an event")
    left = work_left(connection, stage, JobKind.CLUSTER, model_key)
    is_stale = bool(
        find_stale_models(connection, [model_key], JobKind.INDEX)
        or find_stale_models(connection, [model_key], JobKind.CLUSTER)
    )
    if model is None or is_stale or left.state in {JobState.RUNNING, JobState.FAILED, JobState.INTERRUPTED}:
        return left
    if image.taken_at_source not in settings.events.trusted_time_sources:
        return Finding(
            stage,
            "undated",
            f"events do not trust a time from {image.taken_at_source} (events.trusted_time_sources), and the photo "
            "does not look enough like the photos of one event of its folder (events.undated_min_confidence)",
            "Give the photo its time, or change these settings.",
        )
    return left


def _event_of(connection: Connection, model_id: int, image_id: int) -> Row[Any] | None:
    event: Row[Any] | None = connection.execute(
        select(Event.__table__)
        .join(EventImage, EventImage.event_id == Event.id)
        .where(EventImage.model_id == model_id, EventImage.image_id == image_id)
    ).one_or_none()
    return event
