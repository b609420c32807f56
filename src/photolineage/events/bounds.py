"""What images tell whose day, month or year is known, but not their time of day.

Such an image is no evidence for the time of an event: it joins one in its day, month or year by looks. Only if nothing
else was taken on its day does it stand for that day, at noon. Then it can neither split nor join anything else there.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photolineage.events.records import Ids

DAY_US: Final = 86_400_000_000
FIRST_INSTANT: Final = int(np.iinfo(np.int64).min)
LAST_INSTANT: Final = int(np.iinfo(np.int64).max)
_DAYS: Final = {"day": 1, "month": 31, "year": 366}


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Images that were taken at or after `earliest` and before `latest`, in microseconds since 1970 UTC."""

    image_id: Ids
    earliest: NDArray[np.int64]
    latest: NDArray[np.int64]

    def of(self, image_id: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The bounds of these images; the first and the last instant for those that are not in here."""
        earliest, latest = np.full(len(image_id), FIRST_INSTANT), np.full(len(image_id), LAST_INSTANT)
        order = np.argsort(self.image_id)
        place = np.searchsorted(self.image_id, image_id, sorter=order)
        known = np.flatnonzero(place < len(order))
        row = order[place[known]]
        same = self.image_id[row] == image_id[known]
        earliest[known[same]], latest[known[same]] = self.earliest[row[same]], self.latest[row[same]]
        return earliest, latest


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the images tell of their times. `instants` are microseconds since 1970 UTC, null if the time is unknown.

    `stands_for_day`: the rows whose instant is the noon of a day on which nothing else was taken.
    """

    instants: pa.ChunkedArray
    stands_for_day: NDArray[np.int64]
    bounds: Bounds


def known_times(image_ids: pa.ChunkedArray, instants: pa.ChunkedArray, precision: pa.ChunkedArray) -> Known:
    """Take the times of day from `instants` (null: not trusted), and bounds from the less exact ones."""
    coarse = pc.and_(pc.is_in(precision, value_set=pa.array(list(_DAYS), pa.string())), pc.is_valid(instants))
    rows = np.flatnonzero(coarse.to_numpy())
    days = np.array([_DAYS[name] for name in precision.take(pa.array(rows)).to_pylist()], dtype=np.int64)
    noon = instants.take(pa.array(rows)).to_numpy()
    earliest = noon - DAY_US // 2
    latest = earliest + days * DAY_US
    bounds = Bounds(image_ids.take(pa.array(rows)).to_numpy(), earliest, latest)
    if len(rows) == 0:
        return Known(instants, rows, bounds)
    exact = np.sort(instants.filter(pc.invert(coarse)).drop_null().to_numpy())
    alone = (days == 1) & (np.searchsorted(exact, earliest) == np.searchsorted(exact, latest))
    unknown = np.zeros(len(instants), dtype=np.bool_)
    unknown[rows[~alone]] = True
    return Known(pc.if_else(pa.array(unknown), pa.scalar(None, pa.int64()), instants), rows[alone], bounds)
