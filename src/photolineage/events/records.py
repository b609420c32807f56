"""What event clustering yields."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EventPart:
    """An outing within an event: a day at the sea, an evening in the town. Times are UTC."""

    starts_at: datetime
    ends_at: datetime
    image_count: int


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One event.

    `members` holds each image of the event once: dated ones in time order, a duplicate after the image that it
    repeats, then the undated ones that joined, `joined` with a probability each (`joined_confidence`, same length).
    Start, end, zone, place, cover, cohesion and confidence rest on the dated images; duplicates and the later
    releases of a burst count for nothing in them. `starts_at` and `ends_at` are UTC by the reference clock, which
    differs from the cameras' own where a `ClockOffset` was noticed. `radius_m` holds nine tenths of the located
    images. `cohesion` is the mean likeness between its images (0: as of strangers, 1: as of neighbours in time);
    `confidence` is the probability of its most doubtful boundary.
    """

    members: Ids
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
    """A camera whose clock is apart from the reference's by a constant.

    `correction_seconds` added to the camera's times makes them agree with `reference`; `scenes` common scenes say so,
    `strength` standard errors above chance.
    """

    camera: str
    reference: str
    correction_seconds: int
    scenes: int
    strength: float


@dataclass(frozen=True, slots=True, eq=False)
class EventClustering:
    """Events in the order of their start, and what belongs to none.

    `undated` are the images without a trustworthy time that joined no event, ascending. `segments` is what a later
    `cluster_events` takes as `previous`; `clustered_images` counts the dated images, each set of duplicates once, that
    this call could not take from it, and `taken_over_images` those that it could.
    """

    events: Sequence[Event]
    undated: Ids
    clock_offsets: tuple[ClockOffset, ...]
    segments: pa.Table
    clustered_images: int
    taken_over_images: int
