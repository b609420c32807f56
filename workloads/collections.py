"""Random photo collections, with the events that their owner would make.

An embedding is a sum of independent random directions: one common to all images (CLIP's cone), the kind of scene
(beach, street, table; the same in every event that shows it), the event (people, light, clothes), the moment, and
the picture. The shares are assumed, not measured on a model: strangers have cosine 0.45 as in CLIP's cone. Two images
of one kind from different events are more alike than two of different kinds from one event, so looks alone cannot
solve a collection.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photolineage.events.timeline import IMAGES_SCHEMA

DIMENSION = 64
# Expected cosines: strangers 0.45, one kind 0.61, one outing 0.57, one kind in one outing 0.73, one moment 0.83. Two
# outings of one event 0.51, or 0.67 if they show one kind.
OUTING_SHARE = 0.5  # of an event's direction differs between its outings
SHARES = {"common": 0.45, "kind": 0.16, "event": 0.12, "moment": 0.10, "picture": 0.17}
BURST_SHARE = 0.03  # of the variance differs between two pictures of one burst

EPOCH = datetime(2023, 1, 2, tzinfo=UTC).timestamp()  # a Monday
HOUR, DAY = 3600.0, 86_400.0
LULL_SHARE, LULL_MINUTES = (
    0.07,
    (45.0, 120.0),
)  # a meal, a nap, a talk: as long as some pauses between events
HOME = (43.4674, 11.8850)


@dataclass(frozen=True, slots=True)
class Collection:
    """`truth` is the event of each row of `images`. An image without an event has a unique number."""

    name: str
    images: pa.Table
    embeddings: pa.Table
    truth: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera: its share of the pictures, whether it has GPS, and how many seconds its clock is fast.

    The files of a scanner have only the time at which they were written.
    """

    name: str
    share: float = 1.0
    located: bool = True
    fast_by: float = 0.0
    keeps_time: bool = True


@dataclass(slots=True)
class Album:
    """Draws one collection: adds pictures scene by scene, and returns them as tables at the end."""

    rng: np.random.Generator
    kinds: int = 24
    columns: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    texts: dict[str, list[str | None]] = field(default_factory=lambda: {"camera": [], "folder": []})
    vectors: list[NDArray[np.float64]] = field(default_factory=list)
    prototypes: NDArray[np.float64] = field(init=False)
    events: int = 0

    def __post_init__(self) -> None:
        self.prototypes = self._directions(self.kinds + 1)

    def event(self) -> tuple[int, NDArray[np.float64]]:
        """The number and the direction of a new event."""
        self.events += 1
        return self.events - 1, self._directions(1)[0]

    def scene(
        self,
        event: tuple[int, NDArray[np.float64]],
        kind: int,
        start: float,
        minutes: float,
        count: int,
        place: tuple[float, float],
        cameras: list[Camera],
        folder: str = "DCIM",
        burst: float = 0.15,
    ) -> float:
        """Add `count` pictures from `start` (seconds). A share of `burst` repeats the one before. Returns the end."""
        repeats = np.concatenate(([False], self.rng.random(count - 1) < burst))
        pauses = np.where(repeats, self.rng.uniform(0.3, 2.5, count), self.rng.lognormal(0.0, 1.3, count))
        calm = pauses[~repeats].sum()
        pauses[~repeats] *= max(minutes * 60 - pauses[repeats].sum(), 30.0) / calm
        times = start + np.cumsum(pauses) - pauses[0]
        chosen = self.rng.choice(
            len(cameras), count, p=np.array([c.share for c in cameras]) / sum(c.share for c in cameras)
        )
        chosen = chosen[np.maximum.accumulate(np.where(repeats, 0, np.arange(count)))]
        located = np.array([cameras[c].located for c in chosen]) & (self.rng.random(count) < 0.92)
        wander = np.cumsum(self.rng.normal(0, 25, (count, 2)), axis=0) / 111_000
        self.add("at", times + np.array([cameras[c].fast_by for c in chosen]))
        self.add("latitude", np.where(located, place[0] + wander[:, 0], np.nan))
        self.add("longitude", np.where(located, place[1] + wander[:, 1], np.nan))
        self.add("keeps_time", np.array([float(cameras[c].keeps_time) for c in chosen]))
        self.add("truth", np.full(count, float(event[0])))
        self.texts["camera"] += [cameras[c].name for c in chosen]
        self.texts["folder"] += [folder] * count
        self.vectors.append(self._pictures(kind, event[1], count, repeats))
        return float(times[-1])

    def stray(self, at: float, place: tuple[float, float], camera: Camera, folder: str = "DCIM") -> None:
        """Add one picture without an event: a receipt, a parking place, a screenshot."""
        self.scene(self.event(), int(self.rng.integers(self.kinds)), at, 1, 1, place, [camera], folder)

    def outing(
        self,
        start: float,
        place: tuple[float, float],
        cameras: list[Camera],
        *,
        scenes: int,
        kinds: list[int] | None = None,
        pictures: tuple[int, int] = (4, 16),
        pause_minutes: tuple[float, float] = (4, 45),
        spread_km: float = 0.4,
        event: tuple[int, NDArray[np.float64]] | None = None,
        folder: str = "DCIM",
        burst: float = 0.15,
    ) -> float:
        """Add several scenes, one after the other, to one event (a new one if none is given). Returns the end."""
        event = event or self.event()
        event = (
            event[0],
            np.sqrt(1 - OUTING_SHARE) * event[1] + np.sqrt(OUTING_SHARE) * self._directions(1)[0],
        )
        own = (
            kinds
            if kinds is not None
            else self.rng.choice(self.kinds, min(scenes, 4), replace=False).tolist()
        )
        for number in range(scenes):
            spot = self.near(place, spread_km)
            count = int(self.rng.integers(*pictures, endpoint=True))
            minutes = float(self.rng.uniform(3, 25))
            end = self.scene(
                event, own[number % len(own)], start, minutes, count, spot, cameras, folder, burst
            )
            lull = self.rng.random() < LULL_SHARE
            pause = (
                self.rng.uniform(*LULL_MINUTES) if lull else np.exp(self.rng.uniform(*np.log(pause_minutes)))
            )
            start = end + 60 * float(pause)
        return end

    def near(self, place: tuple[float, float], km: float) -> tuple[float, float]:
        """A random place about `km` kilometres from `place`."""
        north, east = self.rng.normal(0, km / 1.4 / 111, 2)
        return place[0] + north, place[1] + east / np.cos(np.radians(place[0]))

    def collection(self, name: str, *, offset_minutes: int | None = 60) -> Collection:
        """The tables, with the rows in random order."""
        columns = {key: np.concatenate(values) for key, values in self.columns.items()}
        count = len(columns["at"])
        order = self.rng.permutation(count)
        source = np.where(columns["keeps_time"][order] > 0, "exif", "file_time")
        at = np.rint((EPOCH + columns["at"][order]) * 1e6).astype(np.int64)
        images = pa.table(
            {
                "image_id": pa.array(np.arange(1, count + 1)),
                "taken_at": pa.array(at).cast(pa.timestamp("us", "UTC")),
                "taken_at_source": pa.array(source),
                "utc_offset_minutes": pa.array([offset_minutes] * count, pa.int16()),
                "latitude": pa.array(columns["latitude"][order], from_pandas=True),
                "longitude": pa.array(columns["longitude"][order], from_pandas=True),
                "camera": pa.array([self.texts["camera"][row] for row in order], pa.string()),
                "folder": pa.array([self.texts["folder"][row] for row in order], pa.string()),
                "shown_by": pa.nulls(count, pa.int64()),
            },
            schema=IMAGES_SCHEMA,
        )
        vectors = np.concatenate(self.vectors)[order].astype(np.float16)
        embeddings = pa.table(
            {
                "image_id": images["image_id"],
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION),
            }
        )
        return Collection(name, images, embeddings, columns["truth"][order].astype(np.int64))

    def add(self, column: str, values: NDArray[np.float64]) -> None:
        self.columns.setdefault(column, []).append(values)

    def _directions(self, count: int) -> NDArray[np.float64]:
        drawn = self.rng.normal(size=(count, DIMENSION))
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))

    def _pictures(
        self, kind: int, event: NDArray[np.float64], count: int, repeats: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        own = self._directions(count)
        first = np.maximum.accumulate(np.where(repeats, 0, np.arange(count)))
        own = np.sqrt(1 - BURST_SHARE) * own[first] + np.sqrt(BURST_SHARE) * own
        parts = {
            "common": self.prototypes[-1],
            "kind": self.prototypes[kind],
            "event": event,
            "moment": self._directions(1)[0],
            "picture": own,
        }
        summed = sum(np.sqrt(SHARES[name]) * part for name, part in parts.items())
        return np.asarray(summed / np.linalg.norm(summed, axis=1, keepdims=True))
