"""How alike images look: cosines of their embeddings, read block by block so that memory stays bounded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photolineage.events.records import Ids
from photolineage.events.timeline import Timeline

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

# Used if a library has too few neighbours to measure its own values. They are in the range of CLIP models.
USUAL_STRANGERS, USUAL_NEIGHBOURS, USUAL_FAMILIAR = 0.5, 0.85, 0.2
BLOCK_ROWS = 2_048
_SAMPLE, _DAYS_SAMPLED = 4_096, 1_024
_FEWEST_PAIRS, _FEWEST_DAYS = 32, 5
_DAY_US = 86_400_000_000
_SCENE_IMAGES, _FAMILIAR_QUANTILE = 6, 0.9
_DAYS_OF_DOUBT = 15  # with this many days, the assumed and the measured familiarity count the same
_BURST_US, _NEIGHBOUR_US = 5_000_000, 60_000_000


def _hashes(part: NDArray[np.float16] | Floats) -> NDArray[np.uint64]:
    word = next(kind for kind in (np.uint64, np.uint32, np.uint16) if part.strides[0] % kind().itemsize == 0)
    words = part.view(word)
    odd = np.random.Generator(np.random.PCG64(0)).integers(0, 2**63, words.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(len(part), dtype=np.uint64)
    for low in range(0, len(part), BLOCK_ROWS):
        hashes[low : low + BLOCK_ROWS] = words[low : low + BLOCK_ROWS].astype(np.uint64, copy=False) @ odd
    return hashes


@dataclass(frozen=True, slots=True)
class LooksScale:
    """The median cosine of two shots of one minute (`neighbours`) and of two images of different days (`strangers`).

    `familiar`: the likeness that a tenth of all pairs of scenes of different days exceed. It is high if a library
    shows the same few things again and again.
    """

    strangers: float = USUAL_STRANGERS
    neighbours: float = USUAL_NEIGHBOURS
    familiar: float = USUAL_FAMILIAR

    def likeness(self, cosine: NDArray[np.floating]) -> NDArray[np.float64]:
        """Cosines scaled so that strangers are at 0 and neighbours at 1, whatever the model's own scale."""
        return (np.asarray(cosine, dtype=np.float64) - self.strangers) / (self.neighbours - self.strangers)

    def near_duplicate_cosine(self, likeness: float) -> float:
        """The cosine that is the share `likeness` of the way from the cosine of neighbours to 1."""
        return self.neighbours + likeness * (1.0 - self.neighbours)


class Embeddings:
    """The unit vectors of a table with `image_id` and `vector` (a fixed-size list of float16 or float32), by row.

    The vectors stay in Arrow's memory; only requested rows are copied. Raises ValueError if a column is missing or has
    another type.
    """

    def __init__(self, table: pa.Table) -> None:
        if not {"image_id", "vector"} <= set(table.column_names):
            raise ValueError(f"embeddings: expected columns image_id and vector, found {table.column_names}")
        kind = table.schema.field("vector").type
        if not pa.types.is_fixed_size_list(kind) or kind.value_type not in (pa.float16(), pa.float32()):
            raise ValueError(
                f"embeddings: expected vector as a fixed-size list of float16 or float32, found {kind}"
            )
        self.dimension: int = kind.list_size
        self.image_ids: Ids = table["image_id"].to_numpy().astype(np.int64, copy=False)
        self._parts = [
            chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, self.dimension)
            for chunk in table["vector"].chunks
            if len(chunk)
        ]
        self._starts = np.cumsum([0] + [len(part) for part in self._parts])

    def raw(self, rows: Rows) -> NDArray[np.float16] | Floats:
        """The vectors of `rows` as they are stored; row -1 (no embedding) is all zeros."""
        if not self._parts:
            return np.zeros((len(rows), self.dimension), dtype=np.float32)
        if len(self._parts) == 1:
            gathered = self._parts[0][rows]
        else:
            gathered = np.empty((len(rows), self.dimension), dtype=self._parts[0].dtype)
            part_of = np.searchsorted(self._starts, rows, side="right") - 1
            for part in np.unique(part_of[rows >= 0]):
                chosen = part_of == part
                gathered[chosen] = self._parts[part][rows[chosen] - self._starts[part]]
        gathered[rows < 0] = 0
        return np.asarray(gathered)

    def hashes(self) -> NDArray[np.uint64]:
        """A multilinear hash of each vector as it is stored, by row."""
        return np.concatenate([np.empty(0, dtype=np.uint64), *map(_hashes, self._parts)])

    def vectors(self, rows: Rows) -> Floats:
        """The vectors of `rows` in float32; row -1 (no embedding) is all zeros."""
        return self.raw(rows).astype(np.float32, copy=False)

    def cosines(self, left: Rows, right: Rows) -> NDArray[np.float64]:
        """The cosine of each pair, NaN where either side has no embedding."""
        result = np.full(len(left), np.nan)
        known = np.flatnonzero((left >= 0) & (right >= 0))
        for block in np.array_split(known, max(1, len(known) // BLOCK_ROWS)):
            products = np.einsum("ij,ij->i", self.vectors(left[block]), self.vectors(right[block]))
            result[block] = np.round(products, 4)
        return result


def measure_scale(timeline: Timeline, embeddings: Embeddings) -> LooksScale:
    """The library's own scale, rounded to one twentieth, so that a few new images do not change it.

    Strangers are images of different days. Each day counts the same, so that one large event does not dominate. With
    few days, `familiar` is mixed with its usual value.
    """
    rows = np.flatnonzero(timeline.vector >= 0)
    at, vector = timeline.at[rows], timeline.vector[rows]
    gaps = np.diff(at)
    beside = np.flatnonzero((gaps > _BURST_US) & (gaps <= _NEIGHBOUR_US))
    days, firsts = np.unique(at // _DAY_US, return_index=True)
    if len(beside) < _FEWEST_PAIRS or len(days) < _FEWEST_DAYS:
        return LooksScale()
    beside = beside[_evenly(len(beside), _SAMPLE)]
    near = float(np.median(embeddings.cosines(vector[beside], vector[beside + 1])))
    scenes = _scenes(len(rows), firsts)
    partner = np.random.default_rng(0).permutation(len(scenes))  # any order other than by day
    lead = vector[scenes[:, 0]]
    strangers = _to_a_twentieth(float(np.median(embeddings.cosines(lead, lead[partner]))))
    scale = LooksScale(strangers, max(_to_a_twentieth(near), strangers + 0.05))
    apart = at[scenes[:, 0]] // _DAY_US != at[scenes[partner, 0]] // _DAY_US
    sums = np.concatenate(
        [
            embeddings.vectors(vector[block].ravel()).reshape(*block.shape, -1).mean(axis=1)
            for block in np.array_split(scenes, max(1, scenes.size // BLOCK_ROWS))
        ]
    )
    alike = scale.likeness(np.einsum("ij,ij->i", sums, sums[partner])[apart])
    measured = float(np.quantile(alike, _FAMILIAR_QUANTILE)) if len(alike) else USUAL_FAMILIAR
    share = len(days) / (len(days) + _DAYS_OF_DOUBT)
    return replace(scale, familiar=_to_a_twentieth(share * measured + (1 - share) * USUAL_FAMILIAR))


def _scenes(image_count: int, firsts: Rows) -> Rows:
    """Rows of some consecutive images each, spread over days that begin at `firsts`, shape (scenes, images)."""
    lengths = np.diff(np.append(firsts, image_count))
    days = _evenly(len(firsts), _DAYS_SAMPLED)
    each_day = np.arange(_SAMPLE // len(days)) / (_SAMPLE // len(days))
    leads = (firsts[days][:, None] + (each_day * lengths[days][:, None]).astype(np.int64)).ravel()
    last = np.repeat((firsts + lengths)[days] - 1, len(each_day))
    return np.asarray(np.minimum(leads[:, None] + np.arange(_SCENE_IMAGES), last[:, None]))


def _to_a_twentieth(value: float) -> float:
    return round(value * 20) / 20


def _evenly(count: int, most: int) -> Rows:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def blocks_of_runs(starts: Rows, row_count: int, limit: int = BLOCK_ROWS) -> Iterator[tuple[int, int]]:
    """Ranges of whole runs, at least one, with up to `limit` rows. `starts` holds the first row of each run."""
    ends = np.append(starts[1:], row_count)
    first = 0
    while first < len(starts):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + limit, side="right")))
        yield first, last
        first = last


@dataclass(frozen=True, slots=True, eq=False)
class RunLooks:
    """For each run: the sum of its images' unit vectors, shape (runs, dimension), and the number of embedded images."""

    sums: Floats
    counts: NDArray[np.int64]

    def contrast(self, first: Rows, boundary: Rows, last: Rows) -> "Contrast":
        """For each boundary, compare runs `first` to `boundary` with runs `boundary` + 1 to `last`."""
        left, right = self._summed(first, boundary), self._summed(boundary + 1, last)
        pairs = left.counts * right.counts
        across = np.einsum("ij,ij->i", left.sums, right.sums) / np.maximum(pairs, 1)
        own_pairs = sum(side.counts * (side.counts - 1) for side in (left, right))
        own = sum(np.einsum("ij,ij->i", side.sums, side.sums) - side.counts for side in (left, right))
        return Contrast(
            across=np.where(pairs > 0, np.round(across, 4), np.nan),
            within=np.where(own_pairs > 0, np.round(own / np.maximum(own_pairs, 1), 4), np.nan),
            support=np.minimum(left.counts, right.counts),
        )

    def _summed(self, first: Rows, last: Rows) -> "RunLooks":
        sums = self.sums[first]
        for row in np.flatnonzero(last > first):
            self.sums[first[row] : last[row] + 1].sum(axis=0, out=sums[row])
        until = np.concatenate(([0], np.cumsum(self.counts)))
        return RunLooks(sums, until[last + 1] - until[first])


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Mean cosines at boundaries between runs: `across` each boundary, and `within` its two sides.

    `across` is NaN if a side has no embedding, `within` if both sides have fewer than two. `support` is the number of
    embedded images on the side with fewer.
    """

    across: NDArray[np.float64]
    within: NDArray[np.float64]
    support: NDArray[np.int64]


def looks_of_runs(embeddings: Embeddings, vector: Rows, starts: Rows, most: int) -> RunLooks:
    """The looks of each run of images. From a run with more than `most`, that many are taken, spread evenly.

    Run k is rows `starts[k]` to `starts[k + 1]` of `vector`, which holds embedding rows (-1: none).
    """
    lengths = np.diff(np.append(starts, len(vector)))
    taken = np.minimum(lengths, most)
    edges = np.cumsum(taken) - taken
    run = np.repeat(np.arange(len(starts)), taken)
    step = np.arange(len(run)) - edges[run]
    rows = vector[starts[run] + step * lengths[run] // taken[run]]
    sums = np.empty((len(starts), embeddings.dimension), dtype=np.float32)
    for first, last in blocks_of_runs(edges, len(rows)):
        low = edges[first]
        vectors = embeddings.vectors(rows[low : low + taken[first:last].sum()])
        for k in range(first, last):
            vectors[edges[k] - low : edges[k] - low + taken[k]].sum(axis=0, out=sums[k])
    return RunLooks(sums, np.bincount(run[rows >= 0], minlength=len(starts)))
