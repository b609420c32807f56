"""Small libraries, written row by row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from photolineage.events.cluster import cluster_events
from photolineage.events.records import EventClustering
from photolineage.events.timeline import IMAGES_SCHEMA
from photolineage.settings.events import EventSettings

DIMENSION = 32
SCHEMA = IMAGES_SCHEMA.append(pa.field("taken_at_precision", pa.string()))
NOON = datetime(2023, 7, 14, 12, tzinfo=UTC)


@dataclass(slots=True)
class Photos:
    """Adds images one by one. A look is a direction; images with the same look differ a little."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    rows: list[dict[str, Any]] = field(default_factory=list)
    vectors: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    looks: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, hours: float | None, *, look: str | None = None, **columns: Any) -> int:
        """Add an image `hours` after noon of 14 July 2023 UTC (None: without a time). Returns its id."""
        image_id = len(self.rows) + 1
        row = dict.fromkeys(SCHEMA.names) | {
            "image_id": image_id,
            "taken_at": None if hours is None else NOON + timedelta(hours=hours),
            "taken_at_source": None if hours is None else "exif",
            "utc_offset_minutes": 120,
            "camera": "phone",
            "folder": "DCIM",
        }
        self.rows.append(row | columns)
        if look is not None:
            self.vectors[image_id] = self._picture(look)
        return image_id

    def outing(self, start_hours: float, count: int, *, minutes: float = 3.0, **columns: Any) -> list[int]:
        """Add `count` images, `minutes` apart."""
        return [self.add(start_hours + number * minutes / 60, **columns) for number in range(count)]

    def images(self) -> pa.Table:
        return pa.Table.from_pylist(self.rows, schema=SCHEMA)

    def embeddings(self) -> pa.Table:
        values = np.concatenate([np.empty(0, np.float32), *self.vectors.values()])
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(values), DIMENSION)
        return pa.table({"image_id": pa.array(list(self.vectors), pa.int64()), "vector": vectors})

    def cluster(self, **settings: Any) -> EventClustering:
        return cluster_events(self.images(), self.embeddings(), EventSettings(**settings))

    def _picture(self, look: str) -> NDArray[np.float32]:
        if look not in self.looks:
            self.looks[look] = self.rng.normal(size=DIMENSION)
        common = np.ones(DIMENSION)
        drawn = (
            common / np.linalg.norm(common)
            + 0.9 * self.looks[look] / np.linalg.norm(self.looks[look])
            + self.rng.normal(0, 0.4 / np.sqrt(DIMENSION), DIMENSION)
        )
        return (drawn / np.linalg.norm(drawn)).astype(np.float32)


@pytest.fixture
def photos() -> Photos:
    return Photos()


@pytest.fixture
def members() -> Callable[[EventClustering], list[list[int]]]:
    """The members of each event, in the order of the events and of their members."""

    def of(clustering: EventClustering) -> list[list[int]]:
        return [event.members.tolist() for event in clustering.events]

    return of
