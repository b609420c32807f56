"""The nearest rows to a vector, filtered, folded and paged."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from resources.vector_index.filters import Circle, SearchFilters

if TYPE_CHECKING:
    from lancedb.query import LanceVectorQueryBuilder
    from lancedb.table import Table


@dataclass(frozen=True, slots=True)
class SearchEffort:
    """How much of an approximate index a search looks at.

    `probes`: the partitions that are searched at least; more where the filters leave too few rows in them.
    `refine_factor`: candidates for each hit, by vectors of one bit a dimension, that are compared again by their
    full ones.
    """

    probes: int
    refine_factor: int


EFFORT: Final = SearchEffort(probes=20, refine_factor=10)
"""Measured (docs/benchmarks.md), and at 12,000 rows: recall@10 is 1.00 from a refinement of 4 on at 64 dimensions or
more, but 0.93 with 6 and 0.97 with 10 at 16."""
_SPARE_CANDIDATES: Final = 6
"""For a few copies among the hits, without a second search."""
_FACTS: Final = ["image_id", "source", "taken_at", "latitude", "longitude", "duplicate_of"]


@dataclass(frozen=True, slots=True)
class Hit:
    """An image, the cosine of its embedding with the query, and its facts (`taken_at` is aware UTC)."""

    image_id: int
    score: float
    source: str
    taken_at: datetime | None
    latitude: float | None
    longitude: float | None
    duplicate_of: int | None


def nearest(
    table: "Table",
    vector: NDArray[np.float32],
    k: int,
    filters: SearchFilters,
    offset: int,
    *,
    effort: SearchEffort | None = EFFORT,
) -> list[Hit]:
    """The hits number `offset` to `offset + k`, by descending score, then ascending image id.

    Without an `effort`, every row that satisfies the filters is compared.
    What the table cannot filter by itself (copies of a hit, the corners of a circle's bounding box) is left
    out here, and twice as many candidates are asked for until there are enough.
    """
    if k < 1 or offset < 0:
        raise ValueError(f"k {k}, offset {offset}: k must be at least 1, offset at least 0")
    if filters.admits_nothing:
        return []
    wanted = offset + k
    limit = wanted + _SPARE_CANDIDATES
    while True:
        candidates = _candidates(table, vector, limit, filters, effort)
        hits = list(_admitted(candidates, filters))
        if len(hits) >= wanted or len(candidates) < limit:
            return hits[offset:wanted]
        limit *= 2


def _candidates(
    table: "Table",
    vector: NDArray[np.float32],
    limit: int,
    filters: SearchFilters,
    effort: SearchEffort | None,
) -> list[Hit]:
    query = cast("LanceVectorQueryBuilder", table.search(vector, query_type="vector"))
    query = query.distance_type("cosine").select([*_FACTS, "_distance"]).limit(limit)
    expression = filters.expression()
    if expression is not None:
        query = query.where(expression)
    if effort is None:
        query = query.bypass_vector_index()
    else:
        query = query.minimum_nprobes(effort.probes).maximum_nprobes(0).refine_factor(effort.refine_factor)
    return sorted(map(_hit, query.to_arrow().to_pylist()), key=lambda hit: (-hit.score, hit.image_id))


def _hit(row: dict[str, Any]) -> Hit:
    return Hit(score=1.0 - row["_distance"], **{name: row[name] for name in _FACTS})


def _admitted(hits: list[Hit], filters: SearchFilters) -> Iterator[Hit]:
    seen: set[int] = set()
    for hit in hits:
        if isinstance(filters.place, Circle) and not _is_in(filters.place, hit):
            continue
        original = hit.image_id if hit.duplicate_of is None else hit.duplicate_of
        if filters.fold_duplicates and original in seen:
            continue
        seen.add(original)
        yield hit


def _is_in(circle: Circle, hit: Hit) -> bool:
    return (
        hit.latitude is not None
        and hit.longitude is not None
        and circle.contains(hit.latitude, hit.longitude)
    )
