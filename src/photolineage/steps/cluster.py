"""Clustering a model's images into events, and keeping the ids of former events."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Connection, LargeBinary, func, select, type_coerce

from photolineage.catalog.engine import reading
from photolineage.catalog.orm import Image
from photolineage.catalog.vocabulary import ImageState
from photolineage.errors import PhotolineageError
from photolineage.events.cluster import cluster_events
from photolineage.events.places import place_names
from photolineage.events.records import ClockOffset
from photolineage.events.records import Event as FoundEvent
from photolineage.events.segments import SEGMENTS_SCHEMA
from photolineage.events.stability import EventMatching, match_events
from photolineage.events.stored import members_of_events, store_events
from photolineage.events.timeline import IMAGES_SCHEMA, NAME
from photolineage.events.titles import title_events
from photolineage.lineage import JobKind
from photolineage.models.registry import require_model
from photolineage.settings.events import EventSettings
from photolineage.steps.freshness import events_version
from photolineage.steps.jobs import JobContext, running_job
from photolineage.steps.progress import OnProgress, Progress, ignore_progress
from photolineage.stores.analytics import arrow_table
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.event_segments import SegmentStore
from photolineage.stores.live_embeddings import find_live_embeddings
from photolineage.stores.root_folder import StorageError

EncodeText = Callable[[list[str]], NDArray[np.float32]]


class IndexNotReadyError(PhotolineageError):
    """A model's index must be built before its events."""


@dataclass(frozen=True, slots=True)
class ClusteringReport:
    """The result of one run. `matching` describes how the events differ from the former ones.

    `joined`: images without a trustworthy time that were put into events by their content and folder.
    `least_confidence`: the smallest probability of such a choice, 1 if there was none. `clustered`: dated images in the
    time ranges that had to be clustered. `taken_over`: dated images in unchanged ranges. A stack and its copies count
    once. `nothing_kept`: why nothing could be taken over from the last run, else empty.
    """

    events: int
    images: int
    undated: int
    joined: int
    least_confidence: float
    clustered: int
    taken_over: int
    nothing_kept: str
    clock_offsets: tuple[ClockOffset, ...]
    matching: EventMatching
    seconds: float


def cluster_model(
    context: JobContext,
    embeddings: EmbeddingStore,
    segments: SegmentStore,
    model_key: str,
    encode_text: EncodeText,
    settings: EventSettings,
    *,
    on_progress: OnProgress = ignore_progress,
) -> ClusteringReport:
    """Cluster all registered images by time, place and the model's embeddings, and store the events.

    An event that keeps most of its members keeps its id. Time ranges without changes since the last run are taken from
    its `segments`; the resulting events are the same as without `segments`.
    Raises ModelNotLoadedError, IndexNotReadyError, LeaseHeldError, StorageError.
    """
    started = time.monotonic()
    with reading(context.engine) as connection:
        model = require_model(connection, model_key)
        version = events_version(connection, model_key)
    if version == "-":
        raise IndexNotReadyError(f"model {model_key!r}: materialize vector_index for it first.")
    with running_job(context, JobKind.CLUSTER, model_key, input_version=version) as lease:
        with reading(context.engine) as connection:
            images = read_images(connection)
            vectors = find_live_embeddings(connection, embeddings, model.id, model.embedding_dim).vectors()
            former = members_of_events(connection, model.id)
        lease.begin(total=len(images))
        previous, nothing_kept = _kept_segments(segments, model_key)
        clustering = cluster_events(
            images,
            vectors,
            settings,
            previous=previous,
            on_progress=lambda done, total: on_progress(Progress(done, total)),
        )
        names = place_names([_place(event) for event in clustering.events])
        titles = title_events(clustering.events, vectors, encode_text, settings.title_words, names=names)
        matching = match_events(former, [event.members for event in clustering.events])
        segments.write(model_key, clustering.segments)
        lease.commit(
            lambda connection: store_events(
                connection, model.id, clustering.events, titles, matching, former
            ),
            done=len(images),
        )
    return ClusteringReport(
        events=len(clustering.events),
        images=sum(event.image_count for event in clustering.events),
        undated=len(clustering.undated),
        joined=sum(len(event.joined) for event in clustering.events),
        least_confidence=min(
            (float(event.joined_confidence.min()) for event in clustering.events if len(event.joined)),
            default=1.0,
        ),
        clustered=clustering.clustered_images,
        taken_over=clustering.taken_over_images,
        nothing_kept=nothing_kept,
        clock_offsets=clustering.clock_offsets,
        matching=matching,
        seconds=time.monotonic() - started,
    )


def _kept_segments(segments: SegmentStore, model_key: str) -> tuple[pa.Table | None, str]:
    """The segments of the last run, or None with the reason. Without segments, all images are clustered."""
    try:
        kept = segments.read(model_key, SEGMENTS_SCHEMA)
    except StorageError as error:
        return None, str(error)
    return kept, "" if kept is not None else "nothing was kept yet"


def _place(event: FoundEvent) -> tuple[float, float] | None:
    return None if event.latitude is None or event.longitude is None else (event.latitude, event.longitude)


def read_images(connection: Connection) -> pa.Table:
    """All registered images in the form that `cluster_events` expects. Sources never share a folder."""
    facts = [field for field in IMAGES_SCHEMA if field.name != "folder"]
    schema = pa.schema(
        [
            *facts,
            ("quality", pa.float32()),
            ("taken_at_precision", pa.string()),
            ("source", pa.int64()),
            ("path", pa.binary()),
        ]
    )
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
            func.coalesce(Image.stack_of_id, Image.duplicate_of_id),
            Image.quality,
            Image.taken_at_precision,
            Image.source_id,
            type_coerce(Image.path, LargeBinary),
        ).where(Image.state == ImageState.REGISTERED),
        schema,
    )
    folders = _folders(rows["source"], rows["path"])
    return rows.drop_columns(["source", "path"]).append_column("folder", folders)


def _folders(sources: pa.ChunkedArray, paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """The source and folder of each image as one name. Names that many images share are decoded once."""
    folders = pc.replace_substring_regex(paths, pattern="/?[^/]*$", replacement="", max_replacements=1)
    prefixes = sources.cast(pa.string()).cast(pa.binary())
    encoded = pc.dictionary_encode(pc.binary_join_element_wise(prefixes, folders, b":")).unify_dictionaries()
    names = [
        pa.array(
            [name.decode(errors="backslashreplace") for name in chunk.dictionary.to_pylist()], pa.string()
        )
        for chunk in encoded.chunks[:1]
    ]
    chunks = [pa.DictionaryArray.from_arrays(chunk.indices, names[0]) for chunk in encoded.chunks]
    return pa.chunked_array(chunks, NAME)
