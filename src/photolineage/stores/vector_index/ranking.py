"""The rows nearest to a vector: filtered, one of each stack, and paged."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photolineage.stores.vector_index.filters import Circle, SearchFilters

if TYPE_CHECKING:
    from lancedb.query import AsyncVectorQuery
    from lancedb.table import AsyncTable


@dataclass(frozen=True, slots=True)
class SearchEffort:
    """How much of an approximate index a search reads.

    `probes`: the minimum number of partitions to search; more are searched if the filters leave too few rows in them.
    `refine_factor`: candidates per hit. Vectors with one bit per dimension select the candidates; the full vectors then
    rank them.
    """

    probes: int
    refine_factor: int


_PROBES: Final = 64
"""Measured at 3.17 million rows of 512 dimensions (docs/benchmarks.md)."""
_EVERY_PARTITION: Final = 0
"""LanceDB's value for all partitions. It costs 60 ms at 3.17 million rows even if the first partitions suffice."""
_SPARE_CANDIDATES: Final = 6
"""Extra candidates, so that a few stacks among the hits need no second search."""
_RANKED_BY: Final = ["image_id", "stack_of"]
"""The catalog has the other facts of a hit. Each column read here costs a millisecond; `source`, with its long runs of
equal text, costs five."""
_SAME_DISTANCE: Final = 1e-6
"""More than a distance changes when it is computed in another batch of rows."""
_PLACED_BY: Final = ["latitude", "longitude"]


def usual_effort(dim: int) -> SearchEffort:
    """The effort that reaches a good recall with embeddings of length `dim` (docs/benchmarks.md).

    Short embeddings need more candidates, because one bit per dimension is coarser for them. At 12,000 rows and 16
    dimensions, recall@10 is 0.89 with a refine factor of 4 and 0.97 with 10. From 64 dimensions on it is 1.00 with 4.
    """
    return SearchEffort(_PROBES, refine_factor=4 if dim >= 64 else 10)


@dataclass(frozen=True, slots=True)
class Hit:
    """An image, the cosine of its embedding with the query, and the image that its stack shows instead, if any."""

    image_id: int
    score: float
    stack_of: int | None

    @property
    def shown_id(self) -> int:
        """The image to show: the one that the stack shows, or the image itself."""
        return self.image_id if self.stack_of is None else self.stack_of


def nearest(
    table: "AsyncTable",
    vector: NDArray[np.float32],
    k: int,
    filters: SearchFilters,
    offset: int,
    *,
    effort: SearchEffort | Literal["exact"],
) -> list[Hit]:
    """The `k` hits after the first `offset`, by descending score, then ascending image id.

    With the effort `exact`, every row that satisfies the filters is compared. The table cannot filter out the stack of
    a hit, or the corners of a circle's bounding box. This function removes them, and doubles the number of candidates
    until enough hits are left.
    """
    if k < 1 or offset < 0:
        raise ValueError(f"k {k}, offset {offset}: k must be at least 1 and offset at least 0")
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


@dataclass(frozen=True, slots=True)
class Rank:
    """The rank of an image among all hits of an exact search, from 1, and the cosine of its embedding."""

    rank: int
    score: float


def exact_rank(
    table: "AsyncTable", vector: NDArray[np.float32], image_id: int, filters: SearchFilters, rows: int
) -> Rank | None:
    """The rank of an image in an exact search of a table of `rows` rows; None if the filters leave it out.

    The rank is that of its stack, and the score is its own. Rows as near as the image count before it if their image
    id is lower, as in `nearest`.
    """
    import pyarrow.compute as pc

    admitted = nearest(table, vector, 1, filters.only(image_id), 0, effort="exact")
    if not admitted:
        return None
    score, shown_id = admitted[0].score, admitted[0].shown_id
    query = _filtered(table, vector, filters).limit(rows).bypass_vector_index()
    nearer = _arrow(query.distance_range(upper_bound=1.0 - score + _SAME_DISTANCE))
    ids, distances = nearer["image_id"].to_numpy(), nearer["_distance"].to_numpy()
    mine = distances[ids == image_id]
    own = mine[0] if len(mine) else 1.0 - score
    ahead = nearer.filter((distances < own) | ((distances == own) & (ids < image_id)))
    if isinstance(filters.place, Circle):
        ahead = ahead.filter(pa.array([_is_in(filters.place, row) for row in ahead.to_pylist()], pa.bool_()))
    if not filters.fold_stacks:
        return Rank(len(ahead) + 1, score)
    ahead = ahead.sort_by([("_distance", "ascending"), ("image_id", "ascending")])
    shown = pc.unique(pc.coalesce(ahead["stack_of"], ahead["image_id"])).to_pylist()
    return Rank((shown.index(shown_id) if shown_id in shown else len(shown)) + 1, score)


def _candidates(
    table: "AsyncTable",
    vector: NDArray[np.float32],
    limit: int,
    filters: SearchFilters,
    effort: SearchEffort | Literal["exact"],
) -> list[dict[str, Any]]:
    """The nearest rows that satisfy the filters. Fewer than `limit` only if no more rows match."""
    query = _filtered(table, vector, filters).limit(limit)
    if effort == "exact":
        return _rows(query.bypass_vector_index())
    query = query.refine_factor(effort.refine_factor)
    if filters.expression() is None:
        rows = _rows(query.nprobes(effort.probes))
        if len(rows) == limit:
            return rows
    return _rows(query.maximum_nprobes(_EVERY_PARTITION).minimum_nprobes(effort.probes))


def _filtered(table: "AsyncTable", vector: NDArray[np.float32], filters: SearchFilters) -> "AsyncVectorQuery":
    """The query for the rows nearest to a vector that satisfy the filters."""
    placed_by = _PLACED_BY if isinstance(filters.place, Circle) else []
    query = table.query().nearest_to(vector).column("vector").distance_type("cosine")
    query = query.select([*_RANKED_BY, *placed_by, "_distance"])
    expression = filters.expression()
    return query if expression is None else query.where(expression)


def _rows(query: "AsyncVectorQuery") -> list[dict[str, Any]]:
    """The rows of a query. A synchronous query waits five times for LanceDB's thread: 2 ms at 3.17 million rows."""
    from lancedb.background_loop import LOOP

    rows: list[dict[str, Any]] = LOOP.run(query.to_list())  # type: ignore[no-untyped-call]
    return sorted(rows, key=lambda row: (row["_distance"], row["image_id"]))


def _arrow(query: "AsyncVectorQuery") -> pa.Table:
    """The rows of a query that may return millions, as columns."""
    from lancedb.background_loop import LOOP

    table: pa.Table = LOOP.run(query.to_arrow())  # type: ignore[no-untyped-call]
    return table


def _admitted(rows: list[dict[str, Any]], filters: SearchFilters) -> Iterator[Hit]:
    seen: set[int] = set()
    for row in rows:
        if isinstance(filters.place, Circle) and not _is_in(filters.place, row):
            continue
        hit = Hit(row["image_id"], 1.0 - row["_distance"], row["stack_of"])
        if filters.fold_stacks and hit.shown_id in seen:
            continue
        seen.add(hit.shown_id)
        yield hit


def _is_in(circle: Circle, row: dict[str, Any]) -> bool:
    latitude, longitude = row["latitude"], row["longitude"]
    return latitude is not None and longitude is not None and circle.contains(latitude, longitude)
