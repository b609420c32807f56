"""Clusters a library: first the global measures, then each segment of the timeline, then the undated images."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photolineage.events.clocks import notice_offsets
from photolineage.events.looks import Embeddings, LooksScale, measure_scale
from photolineage.events.places import is_away, usual_places
from photolineage.events.records import ClockOffset, Event, EventClustering, EventPart, Ids
from photolineage.events.segments import SEGMENTS_SCHEMA, cluster_segments, fingerprints, segment_starts
from photolineage.events.timeline import Library, Timeline, positions, read_library
from photolineage.events.undated import Joined, join_undated
from photolineage.settings.events import EventSettings

Rows = NDArray[np.int64]
Progress = Callable[[int, int], None]

_IMAGES_A_STEP = 100_000


def cluster_events(
    images: pa.Table,
    embeddings: pa.Table,
    settings: EventSettings,
    *,
    previous: pa.Table | None = None,
    on_progress: Progress | None = None,
) -> EventClustering:
    """Cluster a library into events.

    `images` has the columns of `IMAGES_SCHEMA`, one row per image. `embeddings` has `image_id` and `vector` (a
    fixed-size list of float16 or float32, unit length), one row per embedded image. Each dated image is in exactly one
    event, each undated image in at most one. Copies, and the other images of a stack, are in the event of the image
    that shows.

    `previous` is the `segments` of an earlier clustering with the same model. Unchanged time ranges are taken from it;
    the result is the same without it. `on_progress` is called with the number of clustered images and the total.
    """
    vectors = Embeddings(embeddings)
    library = read_library(images, vectors.image_ids, settings.trusted_time_sources)
    scale = measure_scale(library.dated, vectors)
    offsets = notice_offsets(library.dated, library.cameras, vectors, scale)
    _shift_to_reference_clock(library, offsets)
    dated = library.dated
    away = is_away(dated, usual_places(dated), settings.away_km)
    table, clustered = _cluster_dated(
        dated, away, library.cameras, vectors, scale, settings, previous, on_progress
    )
    taken_over = len(dated) - clustered
    joined = join_undated(
        library, dated, _event_of(table, dated), vectors, scale, settings.undated_min_confidence
    )
    library = library.without_dated()
    del dated, away
    events, undated = _assemble(table, library, joined)
    return EventClustering(events, undated, offsets, table, clustered, taken_over)


def _shift_to_reference_clock(library: Library, offsets: tuple[ClockOffset, ...]) -> None:
    if not offsets:
        return
    correction = {offset.camera: offset.correction_seconds * 1_000_000 for offset in offsets}
    corrections = np.array([correction.get(camera or "", 0) for camera in library.cameras], dtype=np.int64)
    dated = library.dated
    dated.shift(np.where(dated.by_camera, corrections[dated.camera], 0))


def _cluster_dated(
    dated: Timeline,
    away: NDArray[np.bool_],
    cameras: tuple[str | None, ...],
    vectors: Embeddings,
    scale: LooksScale,
    settings: EventSettings,
    previous: pa.Table | None,
    on_progress: Progress | None,
) -> tuple[pa.Table, int]:
    """The events of all segments in the order of their start, and the number of images that were clustered."""
    starts = segment_starts(dated.at, settings)
    wanted = fingerprints(dated, away, starts, cameras, vectors, scale, settings)
    known = _known(previous, wanted)
    stale = np.flatnonzero(~np.isin(wanted, known["fingerprint"].to_numpy()))
    ends = np.append(starts[1:], len(dated))
    tables, done = [known], len(dated) - int((ends - starts)[stale].sum())
    for step in _steps(stale, ends - starts):
        rows = np.concatenate([np.arange(starts[segment], ends[segment]) for segment in step])
        own_starts = np.cumsum(np.append(0, (ends - starts)[step][:-1]))
        tables.append(
            cluster_segments(dated.take(rows), away[rows], own_starts, wanted[step], vectors, scale, settings)
        )
        done += len(rows)
        if on_progress is not None:
            on_progress(done, len(dated))
    table = pa.concat_tables(tables)
    order = np.lexsort((_firsts(table), table["starts_at"].cast(pa.int64()).to_numpy()))
    if (np.diff(order) < 0).any():  # reused events are out of order; a table in order is not copied
        table = table.take(pa.array(order))
    return table.combine_chunks(), int((ends - starts)[stale].sum())


def _known(previous: pa.Table | None, wanted: NDArray[np.uint64]) -> pa.Table:
    if previous is None:
        return SEGMENTS_SCHEMA.empty_table()
    if not previous.schema.equals(SEGMENTS_SCHEMA):
        raise ValueError(
            f"previous: columns are {previous.schema}; pass the `segments` of an EventClustering, or None"
        )
    return previous.filter(pc.is_in(previous["fingerprint"], value_set=pa.array(wanted, pa.uint64())))


def _steps(segments: Rows, sizes: Rows) -> Iterator[Rows]:
    """The segments in batches of about `_IMAGES_A_STEP` images."""
    portion = np.cumsum(sizes[segments]) // _IMAGES_A_STEP
    for part in np.unique(portion):
        yield segments[portion == part]


def _members(table: pa.Table) -> tuple[Ids, Rows]:
    """The members of all events in one array, and the offsets where each event begins and the last one ends."""
    column = table["members"].combine_chunks()
    if len(column) == 0:
        return np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    offsets = column.offsets.to_numpy().astype(np.int64)
    return column.flatten().to_numpy(), offsets - offsets[0]


def _firsts(table: pa.Table) -> Ids:
    members, offsets = _members(table)
    return members[offsets[:-1]]


def _event_of(table: pa.Table, dated: Timeline) -> Rows:
    members, offsets = _members(table)
    event_of_row = np.empty(len(dated), dtype=np.int64)
    event_of_row[positions(dated.image_id, members)] = np.repeat(
        np.arange(len(offsets) - 1), np.diff(offsets)
    )
    return event_of_row


def _assemble(table: pa.Table, library: Library, joined: Joined) -> tuple[list[Event], Ids]:
    """The events with their copies, stacks and undated members, and the undated images without an event."""
    members, offsets = _members(table)
    joins = np.flatnonzero(joined.event >= 0)
    joins = joins[np.lexsort((library.undated.image_id[joins], joined.event[joins]))]
    everyone = np.concatenate((members, library.undated.image_id[joins]))
    event = np.concatenate((np.repeat(np.arange(table.num_rows), np.diff(offsets)), joined.event[joins]))
    represented = positions(everyone, library.representative)
    followers, place = library.repeated[represented >= 0], represented[represented >= 0]
    rank = np.concatenate((np.arange(len(everyone)), place))
    repeats = event[place]
    everyone, event = np.concatenate((everyone, followers)), np.concatenate((event, repeats))
    order = np.lexsort((np.arange(len(everyone)), rank, event))
    edges = np.searchsorted(event[order], np.arange(table.num_rows + 1))
    distinct = np.bincount(event, minlength=table.num_rows) - np.bincount(repeats, minlength=table.num_rows)
    join_edges = np.searchsorted(joined.event[joins], np.arange(table.num_rows + 1))
    undated = np.concatenate((library.undated.image_id[joined.event < 0], library.repeated[represented < 0]))
    events = _events(
        table,
        everyone[order],
        edges,
        distinct,
        library.undated.image_id[joins],
        joined.confidence[joins],
        join_edges,
    )
    return events, np.sort(undated)


def _events(
    table: pa.Table,
    members: Ids,
    edges: Rows,
    distinct: Rows,
    joins: Ids,
    certainty: NDArray[np.float64],
    join_edges: Rows,
) -> list[Event]:
    rows = table.drop_columns(["fingerprint", "members"]).to_pylist()
    return [
        Event(
            members=members[edges[k] : edges[k + 1]],
            image_count=int(distinct[k]),
            joined=joins[join_edges[k] : join_edges[k + 1]],
            joined_confidence=certainty[join_edges[k] : join_edges[k + 1]],
            parts=tuple(
                map(
                    EventPart, row.pop("part_starts_at"), row.pop("part_ends_at"), row.pop("part_image_count")
                )
            ),
            **row,
        )
        for k, row in enumerate(rows)
    ]
