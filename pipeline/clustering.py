"""Clustering a model's images into events, and keeping what is known about the former events."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, LargeBinary, delete, insert, select, type_coerce, update

from catalog.models import Event, EventImage, Image, ImageState, JobKind
from pipeline.events.cluster import cluster_events
from pipeline.events.model import ClockOffset
from pipeline.events.model import Event as FoundEvent
from pipeline.events.places import place_names
from pipeline.events.stability import EventMatching, match_events
from pipeline.events.timeline import IMAGES_SCHEMA
from pipeline.events.titles import DEFAULT_TITLE_WORDS, title_events
from pipeline.freshness import events_version
from pipeline.jobs import JobContext, running_job, with_heartbeats
from pipeline.live_embeddings import find_live_embeddings
from pipeline.model_registry import require_model
from pipeline.progress import OnProgress, Progress, ignore_progress
from resources.analytics import arrow_table
from resources.embedding_store import EmbeddingStore
from resources.event_settings import EventSettings

EncodeText = Callable[[list[str]], NDArray[np.float32]]

ROWS_PER_STATEMENT = 5_000


class IndexNotReadyError(LookupError):
    """A model's events need its index first."""


@dataclass(frozen=True, slots=True)
class ClusteringReport:
    """What one run found; `matching` tells how the events differ from the former ones."""

    events: int
    images: int
    undated: int
    clock_offsets: tuple[ClockOffset, ...]
    matching: EventMatching
    seconds: float


def cluster_model(
    context: JobContext,
    embeddings: EmbeddingStore,
    model_key: str,
    encode_text: EncodeText,
    settings: EventSettings,
    *,
    title_words: Sequence[str] = DEFAULT_TITLE_WORDS,
    on_progress: OnProgress = ignore_progress,
) -> ClusteringReport:
    """Cluster all registered images by time, place and the model's embeddings, and store the events.

    An event that keeps most of its members keeps its id. Raises ModelNotLoadedError, IndexNotReadyError,
    LeaseHeldError.
    """
    started = time.monotonic()
    with context.engine.connect() as connection:
        model = require_model(connection, model_key)
        version = events_version(connection, model_key)
    if version == "-":
        raise IndexNotReadyError(f"model {model_key!r}: materialize vector_index for it first.")
    with running_job(context, JobKind.CLUSTER, model_key, input_version=version) as lease:
        with context.engine.connect() as connection:
            images = _images(connection)
            vectors = find_live_embeddings(connection, embeddings, model.id, model.embedding_dim).vectors()
            former = _members_of_events(connection, model.id)
        lease.begin(total=len(images))
        on_progress = with_heartbeats(lease, context.lease_timeout, on_progress)
        clustering = cluster_events(
            images, vectors, settings, on_progress=lambda done, total: on_progress(Progress(done, total))
        )
        names = place_names([_place(event) for event in clustering.events])
        titles = title_events(clustering.events, vectors, encode_text, title_words, names=names)
        matching = match_events(former, [event.members for event in clustering.events])
        clustered = sum(len(event.members) for event in clustering.events)
        lease.commit(
            lambda connection: _store(connection, model.id, clustering.events, titles, matching, former),
            done=len(images),
        )
    return ClusteringReport(
        events=len(clustering.events),
        images=clustered,
        undated=len(clustering.undated),
        clock_offsets=clustering.clock_offsets,
        matching=matching,
        seconds=time.monotonic() - started,
    )


def _place(event: FoundEvent) -> tuple[float, float] | None:
    return None if event.latitude is None or event.longitude is None else (event.latitude, event.longitude)


def _images(connection: Connection) -> pa.Table:
    schema = pa.schema([*IMAGES_SCHEMA][:7]).append(pa.field("path", pa.binary()))
    schema = schema.append(pa.field("duplicate_of", pa.int64())).append(pa.field("source", pa.int64()))
    rows = arrow_table(
        connection,
        select(
            Image.id,
            Image.taken_at,
            Image.taken_at_source,
            Image.utc_offset_minutes,
            Image.latitude,
            Image.longitude,
            Image.camera,
            type_coerce(Image.path, LargeBinary),
            Image.duplicate_of_id,
            Image.source_id,
        ).where(Image.state == ImageState.REGISTERED),
        schema,
    )
    paths = zip(rows["source"].to_pylist(), rows["path"].to_pylist(), strict=True)
    folders = pa.array(
        [f"{source}:{os.path.dirname(path).decode(errors='backslashreplace')}" for source, path in paths],
        pa.string(),
    )
    return rows.drop_columns(["source", "path"]).append_column("folder", folders).select(IMAGES_SCHEMA.names)


def _members_of_events(connection: Connection, model_id: int) -> dict[int, set[int]]:
    members: dict[int, set[int]] = {}
    rows = connection.execute(
        select(EventImage.event_id, EventImage.image_id).where(EventImage.model_id == model_id)
    )
    for event_id, image_id in rows:
        members.setdefault(event_id, set()).add(image_id)
    return members


def _store(
    connection: Connection,
    model_id: int,
    events: Sequence[FoundEvent],
    titles: Sequence[str],
    matching: EventMatching,
    former: Mapping[int, Collection[int]],
) -> None:
    """Write the difference between the former events and these."""
    event_of: dict[int, int] = {}
    for event, title, kept in zip(events, titles, matching.kept, strict=True):
        event_id = _store_event(connection, model_id, event, title, kept)
        event_of |= dict.fromkeys(event.members.tolist(), event_id)
    before = {image: event_id for event_id, images in former.items() for image in images}
    moved = [image for image, event_id in before.items() if event_of.get(image) != event_id]
    for start in range(0, len(moved), ROWS_PER_STATEMENT):
        connection.execute(
            delete(EventImage).where(
                EventImage.model_id == model_id,
                EventImage.image_id.in_(moved[start : start + ROWS_PER_STATEMENT]),
            )
        )
    joined = [
        {"model_id": model_id, "image_id": image, "event_id": event_id}
        for image, event_id in event_of.items()
        if before.get(image) != event_id
    ]
    for start in range(0, len(joined), ROWS_PER_STATEMENT):
        connection.execute(insert(EventImage), joined[start : start + ROWS_PER_STATEMENT])
    if matching.vanished:
        connection.execute(delete(Event).where(Event.id.in_(matching.vanished)))


def _store_event(
    connection: Connection, model_id: int, event: FoundEvent, title: str, kept: int | None
) -> int:
    values = {
        "model_id": model_id,
        "title": title,
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "utc_offset_minutes": event.utc_offset_minutes,
        "latitude": event.latitude,
        "longitude": event.longitude,
        "radius_m": event.radius_m,
        "image_count": len(event.members),
        "cover_image_id": event.cover_image_id,
        "cohesion": event.cohesion,
        "confidence": event.confidence,
        "updated_at": datetime.now(UTC),
    }
    if kept is not None:
        connection.execute(update(Event).where(Event.id == kept).values(values))
        return kept
    created: int = connection.execute(insert(Event).values(values).returning(Event.id)).scalar_one()
    return created
