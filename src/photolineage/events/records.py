"""The results of event clustering."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EventPart:
    """An outing within an event, e.g. a day at the sea or an evening in town. Times are UTC."""

    starts_at: datetime
    ends_at: datetime
    image_count: int


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One event.

    `members`: each image once. First the dated ones in time order, each followed by its copies and its stack, then the
    undated ones. `image_count`: how many of them show; a stack and its copies count once. `joined`: the undated
    images; `joined_confidence`: the probability of each (same length).
    Start, end, zone, place, cover, cohesion and confidence come from the dated images that show, with one image per
    burst.
    `starts_at`, `ends_at`: UTC by the reference clock, which differs from a camera's clock that has a `ClockOffset`.
    `radius_m`: the radius that covers nine tenths of the located images.
    `cohesion`: the mean likeness between the images (0: like strangers, 1: like neighbours in time).
    `confidence`: the probability of the most doubtful boundary.
    """

    members: Ids
    image_count: int
    starts_at: datetime
    ends_at: datetime
    utc_offset_minutes: int | None
    latitude: float | None
    longitude: float | None
    radius_m: float | None
    cover_image_id: int
    cohesion: float | None
    confidence: float
    parts: tuple[EventPart, ...]
    joined: Ids
    joined_confidence: NDArray[np.float64]
    title: str = ""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """A camera with a clock that differs from the reference camera's by a constant.

    Add `correction_seconds` to the times that the camera's clock showed to make them agree with `reference`. Times
    that somebody corrected are right already. `scenes` common scenes support this; their likeness is `strength`
    standard errors above chance.
    """

    camera: str
    reference: str
    correction_seconds: int
    scenes: int
    strength: float


@dataclass(frozen=True, slots=True, eq=False)
class EventClustering:
    """Events in the order of their start, and the images without an event.

    `undated`: the images without a trustworthy time that joined no event, ascending.
    `segments`: pass this to a later `cluster_events` as `previous`.
    `clustered_images`: the dated images that this call clustered; `taken_over_images`: those that it took from
    `previous`. Both count a stack and its copies once.
    """

    events: Sequence[Event]
    undated: Ids
    clock_offsets: tuple[ClockOffset, ...]
    segments: pa.Table
    clustered_images: int
    taken_over_images: int
