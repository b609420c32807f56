"""Clusters each segment of the timeline independently, into a table with one row per event.

No event crosses the pauses between segments, so the events of a segment depend only on its own images. If the
segment's fingerprint has not changed, its earlier events are taken over.
"""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photolineage.events.boundaries import Sessions, decide_boundaries, find_sessions
from photolineage.events.covers import appearance
from photolineage.events.looks import Embeddings, LooksScale
from photolineage.events.places import whereabouts
from photolineage.events.timeline import NO_OFFSET, Timeline
from photolineage.events.trips import cut_to_length, joins_a_trip
from photolineage.settings.events import EventSettings

Rows = NDArray[np.int64]
Hashes = NDArray[np.uint64]

QUIET_GAP_HOURS = 72.0
"""After three days without an image a new event begins, so that new images change only their own segment."""

_INSTANT = pa.timestamp("us", "UTC")
SEGMENTS_SCHEMA = pa.schema(
    [
        ("fingerprint", pa.uint64()),
        ("starts_at", _INSTANT),
        ("ends_at", _INSTANT),
        ("utc_offset_minutes", pa.int32()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("radius_m", pa.float64()),
        ("cover_image_id", pa.int64()),
        ("cohesion", pa.float64()),
        ("confidence", pa.float64()),
        ("members", pa.list_(pa.int64())),
        ("part_starts_at", pa.list_(_INSTANT)),
        ("part_ends_at", pa.list_(_INSTANT)),
        ("part_image_count", pa.list_(pa.int64())),
    ]
)


def segment_starts(at: NDArray[np.int64], settings: EventSettings) -> Rows:
    """The first row of each segment: row 0, and each row after a pause that ends every event.

    Such a pause lasts `QUIET_GAP_HOURS`, or longer if the settings allow longer pauses within an outing or a trip.
    """
    if len(at) == 0:
        return np.empty(0, dtype=np.int64)
    quiet_hours = max(QUIET_GAP_HOURS, settings.event_gap_hours, settings.trip_gap_hours)
    return np.concatenate(([0], np.flatnonzero(np.diff(at) >= quiet_hours * 3_600e6) + 1))


def fingerprints(
    timeline: Timeline,
    away: NDArray[np.bool_],
    starts: Rows,
    cameras: tuple[str | None, ...],
    embeddings: Embeddings,
    scale: LooksScale,
    settings: EventSettings,
) -> Hashes:
    """A hash of everything that the events of each segment depend on: rows, vectors, scale, settings and code.

    Cameras are hashed by name (`cameras`, by code), so a new camera in another segment changes nothing here.
    """
    rows = _mixed(timeline.image_id.view(np.uint64))
    columns = (
        timeline.at,
        timeline.utc_offset,
        timeline.latitude,
        timeline.longitude,
        away,
        timeline.quality,
        np.array([_hash_of(repr(name)) for name in cameras], dtype=np.uint64)[timeline.camera],
    )
    for column in columns:
        rows = _mixed(rows + _words(column))
    rows = _mixed(rows + np.append(embeddings.hashes(), np.uint64(0))[timeline.vector])
    parameters = settings.model_dump_json(exclude={"title_words", "undated_min_confidence"})
    seed = _hash_of(f"{parameters} {scale} {embeddings.dimension} {code_digest()}")
    return (
        _mixed(np.add.reduceat(rows, starts) + np.uint64(seed))
        if len(starts)
        else np.empty(0, dtype=np.uint64)
    )


@cache
def code_digest() -> str:
    """A digest of all modules of this package and their constants. Events that other code clustered are not taken
    over."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.blake2b(b"".join(source.read_bytes() for source in sources), digest_size=8).hexdigest()


def _words(column: NDArray[np.generic]) -> Hashes:
    if column.dtype.kind == "f":
        return np.where(np.isnan(column), np.nan, column).astype(np.float64).view(np.uint64)
    return column.astype(np.uint64 if column.dtype.kind == "u" else np.int64).view(np.uint64)


def _hash_of(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _mixed(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    mixed = (values + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def cluster_segments(
    timeline: Timeline,
    away: NDArray[np.bool_],
    starts: Rows,
    fingerprint: Hashes,
    embeddings: Embeddings,
    scale: LooksScale,
    settings: EventSettings,
) -> pa.Table:
    """The events (`SEGMENTS_SCHEMA`) of the segments that begin at rows `starts` and have these fingerprints."""
    if len(timeline) == 0:
        return SEGMENTS_SCHEMA.empty_table()
    sessions = find_sessions(timeline, starts, embeddings, scale)
    decision = decide_boundaries(sessions, embeddings, scale, settings.event_gap_hours)
    part_starts = sessions.shot_starts[sessions.starts[np.concatenate(([True], decision.drawn))]]
    event_starts = _join_trips(timeline, away, part_starts, starts, settings.trip_gap_hours)
    event_starts = cut_to_length(event_starts, timeline.at, int(settings.max_event_days * 86_400e6))
    part_starts = np.union1d(part_starts, event_starts)
    doubt = confidence(sessions, decision.nats, event_starts)
    return _described(
        timeline, starts, fingerprint, event_starts, part_starts, sessions, doubt, embeddings, scale
    )


def _join_trips(
    timeline: Timeline, away: NDArray[np.bool_], part_starts: Rows, segments: Rows, trip_gap_hours: float
) -> Rows:
    ends = np.append(part_starts[1:], len(timeline)) - 1
    located = ~np.isnan(timeline.latitude)
    located_count, away_count = (
        np.add.reduceat(located, part_starts, dtype=np.int64),
        np.add.reduceat(away, part_starts, dtype=np.int64),
    )
    within_trip = joins_a_trip(
        begins=timeline.at[part_starts],
        ends=timeline.at[ends],
        forced=np.isin(part_starts[1:], segments),
        away=2 * away_count > located_count,
        located=located_count > 0,
        trip_gap_hours=trip_gap_hours,
    )
    return part_starts[np.concatenate(([True], ~within_trip))]


def confidence(sessions: Sessions, nats: NDArray[np.float64], event_starts: Rows) -> NDArray[np.float64]:
    """The probability of each event's most doubtful boundary: the two around it, and those not drawn within it.

    A trip or a length limit may override the evidence at a boundary. Such a boundary counts at least 0.5.
    """
    rows = sessions.shot_starts[sessions.starts[1:]]
    drawn = np.isin(rows, event_starts)
    probability = 1 / (1 + np.exp(-np.where(drawn, nats, -nats)))
    probability = np.maximum(np.where(np.isinf(nats), 1.0, probability), 0.5)
    left = np.searchsorted(event_starts, rows - 1, side="right") - 1
    right = np.searchsorted(event_starts, rows, side="right") - 1
    weakest = np.ones(len(event_starts))
    np.minimum.at(weakest, left, probability)
    np.minimum.at(weakest, right, probability)
    return np.round(weakest, 4)


def _described(
    timeline: Timeline,
    segments: Rows,
    fingerprint: Hashes,
    event_starts: Rows,
    part_starts: Rows,
    sessions: Sessions,
    doubt: NDArray[np.float64],
    embeddings: Embeddings,
    scale: LooksScale,
) -> pa.Table:
    shots = sessions.shots
    event_of_shot = np.searchsorted(event_starts, sessions.shot_starts, side="right") - 1
    shot_starts = np.searchsorted(sessions.shot_starts, event_starts)
    quality = np.maximum.reduceat(timeline.quality, sessions.shot_starts)
    looks = appearance(embeddings, shots.vector, shot_starts, scale, quality)
    places = whereabouts(shots.latitude, shots.longitude, event_of_shot, len(event_starts))
    event_ends, part_ends = (np.append(starts[1:], len(timeline)) for starts in (event_starts, part_starts))
    part_offsets = np.append(np.searchsorted(part_starts, event_starts), len(part_starts))
    part_counts = part_ends - part_starts
    columns = [
        fingerprint[np.searchsorted(segments, event_starts, side="right") - 1],
        timeline.at[event_starts],
        timeline.at[event_ends - 1],
        _usual_offset(shots.utc_offset, event_of_shot, len(event_starts)),
        *(
            pa.array(values, from_pandas=True)
            for values in (places.latitude, places.longitude, places.radius_m)
        ),
        timeline.image_id[_best_takes(timeline.quality, sessions.shot_starts, looks.medoid)],
        pa.array(looks.cohesion, from_pandas=True),
        doubt,
        _lists(np.append(event_starts, len(timeline)), timeline.image_id),
        *(
            _lists(part_offsets, values)
            for values in (timeline.at[part_starts], timeline.at[part_ends - 1], part_counts)
        ),
    ]
    return pa.table(
        [pa.array(column) if isinstance(column, np.ndarray) else column for column in columns],
        names=SEGMENTS_SCHEMA.names,
    ).cast(SEGMENTS_SCHEMA)


def _best_takes(quality: NDArray[np.float64], shot_starts: Rows, shots: Rows) -> Rows:
    """For each of these shots, the row with the highest quality; the first one on a tie."""
    ends = np.append(shot_starts[1:], len(quality))
    takes = zip(shot_starts[shots].tolist(), ends[shots].tolist(), strict=True)
    return np.array([begin + int(np.argmax(quality[begin:end])) for begin, end in takes], dtype=np.int64)


def _lists(offsets: Rows, values: NDArray[np.generic]) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))


def _usual_offset(utc_offset: NDArray[np.int32], event: Rows, event_count: int) -> pa.Array:
    """The most common zone offset of each event's shots; the smaller one on a tie; null if none is known."""
    known = utc_offset != NO_OFFSET
    pairs, counts = np.unique(np.stack((event[known], utc_offset[known]), axis=1), axis=0, return_counts=True)
    order = np.lexsort((-pairs[:, 1], counts))
    usual = np.full(event_count, NO_OFFSET, dtype=np.int32)
    usual[pairs[order, 0]] = pairs[order, 1]
    return pa.array(usual, mask=usual == NO_OFFSET)
