"""Finds cameras with a wrong clock by the scenes that they share with other cameras."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photolineage.events.looks import Embeddings, LooksScale
from photolineage.events.records import ClockOffset
from photolineage.events.timeline import Timeline

Rows = NDArray[np.int64]

_MOST_CAMERAS = 32
_FEWEST_IMAGES = 16
_MOST_ANCHORS = 3
_BLOCKS, _BLOCK_ROWS, _ANCHOR_ROWS = 24, 96, 4_096
_SCENE_US = 15 * 60_000_000
_BIN_US = 3 * 60_000_000

SEARCH_US = 36 * 3_600_000_000
"""The largest clock error that is found (36 hours): a wrong time zone, half a day or a whole day."""
LEAST_OFFSET_US = 5 * 60_000_000
"""A smaller clock error (5 minutes) is ignored: it changes no event."""
FEWEST_SCENES = 5
"""How many common scenes, at different times, must agree on a clock error."""
LEAST_STRENGTH = 5.0
"""How many standard errors above chance the likeness at the clock error must be."""
_LEAD_OVER_NO_OFFSET = 1.5


@dataclass(frozen=True, slots=True)
class _Clock:
    """The correction that makes a camera's times agree with those of a reference camera."""

    reference: int
    correction_us: int
    scenes: int
    strength: float


@dataclass(frozen=True, slots=True)
class _Offset:
    correction_us: int
    scenes: int
    strength: float


def notice_offsets(
    timeline: Timeline,
    cameras: tuple[str | None, ...],
    embeddings: Embeddings,
    scale: LooksScale,
) -> tuple[ClockOffset, ...]:
    """The clock offsets that common scenes show, by camera. Only the library's 32 busiest cameras are compared.

    Only times that the cameras' own clocks showed are compared (`Timeline.by_camera`).

    A camera is compared with busier ones, beginning with those it was out with most often. The time that most
    cameras of a group show counts as right. Of two cameras, it is the time of the one with GPS in most photos (its
    clock follows satellites or the network), else of the busier one.
    """
    rows_of = _rows_by_camera(timeline, len(cameras))
    named = [camera for camera in rows_of if cameras[camera] is not None]
    ranked = sorted(named, key=lambda camera: _rank(timeline, rows_of[camera]))[:_MOST_CAMERAS]
    at, clocks = timeline.at.copy(), {camera: _Clock(camera, 0, 0, np.inf) for camera in ranked}
    for position, camera in enumerate(ranked):
        for anchor in _companions(timeline, camera, ranked[:position], rows_of):
            offset = _offset_between(timeline, at, rows_of[camera], rows_of[anchor], embeddings, scale)
            if offset is not None:
                at[rows_of[camera]] += offset.correction_us
                reference = clocks[anchor].reference
                clocks[camera] = _Clock(
                    reference, int((at - timeline.at)[rows_of[camera][0]]), offset.scenes, offset.strength
                )
                break
    return tuple(
        ClockOffset(
            str(cameras[camera]),
            str(cameras[clock.reference]),
            clock.correction_us // 1_000_000,
            clock.scenes,
            clock.strength,
        )
        for camera, clock in _by_most_shown_time(clocks).items()
        if clock.correction_us
    )


def _by_most_shown_time(clocks: dict[int, _Clock]) -> dict[int, _Clock]:
    """The clocks, corrected to the time that most clocks with the same reference show; the first time on a tie."""
    corrected = {}
    for reference in dict.fromkeys(clock.reference for clock in clocks.values()):
        group = {camera: clock for camera, clock in clocks.items() if clock.reference == reference}
        corrections = np.array([clock.correction_us for clock in group.values()])
        alike = np.abs(corrections[:, None] - corrections[None, :]) < LEAST_OFFSET_US
        right = int(np.argmax(alike.sum(axis=1)))
        told = list(group.values())[1:]
        for (camera, clock), same in zip(group.items(), alike[right], strict=True):
            evidence = (
                clock if camera != reference else min(told, key=lambda other: other.strength, default=clock)
            )
            correction = 0 if same else clock.correction_us - int(corrections[right])
            corrected[camera] = _Clock(list(group)[right], correction, evidence.scenes, evidence.strength)
    return corrected


def _rows_by_camera(timeline: Timeline, camera_count: int) -> dict[int, Rows]:
    embedded = np.flatnonzero((timeline.vector >= 0) & timeline.by_camera)
    order = embedded[np.argsort(timeline.camera[embedded], kind="stable")]
    edges = np.searchsorted(timeline.camera[order], np.arange(camera_count + 1))
    rows = {camera: order[edges[camera] : edges[camera + 1]] for camera in range(camera_count)}
    return {camera: own for camera, own in rows.items() if len(own) >= _FEWEST_IMAGES}


def _rank(timeline: Timeline, rows: Rows) -> tuple[bool, int, int]:
    mostly_located = bool(np.mean(~np.isnan(timeline.latitude[rows])) > 0.5)
    return not mostly_located, -len(rows), int(timeline.camera[rows[0]])


def _companions(timeline: Timeline, camera: int, others: list[int], rows_of: dict[int, Rows]) -> list[int]:
    outings = {other: np.unique(timeline.at[rows_of[other]] // SEARCH_US) for other in (camera, *others)}
    common = {
        other: sum(len(np.intersect1d(outings[camera] + step, outings[other])) for step in (-1, 0, 1))
        for other in others
    }
    return [other for other in sorted(others, key=lambda o: (-common[o], o)) if common[other]][:_MOST_ANCHORS]


def _offset_between(
    timeline: Timeline,
    at: NDArray[np.int64],
    moving: Rows,
    anchor: Rows,
    embeddings: Embeddings,
    scale: LooksScale,
) -> _Offset | None:
    moving, anchor = _sample(at, moving, anchor)
    if len(moving) < _FEWEST_IMAGES or len(anchor) < _FEWEST_IMAGES:
        return None
    cosines = embeddings.vectors(timeline.vector[moving]) @ embeddings.vectors(timeline.vector[anchor]).T
    apart = at[anchor][None, :] - at[moving][:, None]
    left, right = np.nonzero(np.abs(apart) <= SEARCH_US)
    likeness, lag = scale.likeness(cosines[left, right]), apart[left, right]
    strength, scenes = _strength_by_lag(at[moving][left] // _SCENE_US, lag, likeness)
    strength[scenes < FEWEST_SCENES] = 0.0
    centre = len(strength) // 2
    reach = LEAST_OFFSET_US // _BIN_US
    unmoved = centre - reach + int(np.argmax(strength[centre - reach : centre + reach + 1]))
    best = int(np.argmax(strength))
    if strength[best] < _LEAD_OVER_NO_OFFSET * strength[unmoved]:
        best = unmoved
    if strength[best] < LEAST_STRENGTH:
        return None
    correction = 0 if best == unmoved else _correction(lag, likeness, (best - centre) * _BIN_US)
    return _Offset(correction, int(scenes[best]), round(float(strength[best]), 1))


def _correction(lag: NDArray[np.int64], likeness: NDArray[np.float64], about: int) -> int:
    """The median lag, in whole seconds, of the most alike pairs with about this lag."""
    close = np.abs(lag - about) <= 2 * _BIN_US
    alike = close & (likeness >= np.quantile(likeness[close], 0.8))
    return int(np.median(lag[alike]) // 1_000_000) * 1_000_000


def _sample(at: NDArray[np.int64], moving: Rows, anchor: Rows) -> tuple[Rows, Rows]:
    """Blocks of the moving camera's images that have anchor images nearby in time, and these anchor images."""
    anchor_at = np.sort(at[anchor])
    moving = moving[np.argsort(at[moving], kind="stable")]
    accompanied = np.searchsorted(anchor_at, at[moving] + SEARCH_US, "right") > np.searchsorted(
        anchor_at, at[moving] - SEARCH_US
    )
    moving = moving[accompanied]
    if len(moving) > _BLOCKS * _BLOCK_ROWS:
        firsts = np.linspace(0, len(moving) - _BLOCK_ROWS, _BLOCKS).astype(np.int64)
        moving = moving[(firsts[:, None] + np.arange(_BLOCK_ROWS)).ravel()]
    if len(moving) == 0:
        return moving, anchor[:0]
    nearest = np.searchsorted(at[moving], at[anchor])
    before, after = at[moving][np.maximum(nearest - 1, 0)], at[moving][np.minimum(nearest, len(moving) - 1)]
    anchor = anchor[np.minimum(np.abs(at[anchor] - before), np.abs(at[anchor] - after)) <= SEARCH_US]
    chosen = np.unique(
        np.linspace(0, max(len(anchor) - 1, 0), min(len(anchor), _ANCHOR_ROWS)).astype(np.int64)
    )
    return moving, anchor[chosen]


def _strength_by_lag(
    scene: NDArray[np.int64], lag: NDArray[np.int64], likeness: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each lag, how many standard errors the likeness of scenes is above the usual, and how many scenes there are.

    The likeness is first averaged by scene and lag, because pictures of one scene are not independent.
    """
    reach = SEARCH_US // _BIN_US + 1
    bins = int(2 * reach + 1)
    _, scene = np.unique(scene, return_inverse=True)
    cell = scene * bins + np.rint(lag / _BIN_US).astype(np.int64) + reach
    size = int(scene.max() + 1) * bins
    pairs = np.bincount(cell, minlength=size)
    known = pairs > 0
    mean = np.bincount(cell, weights=likeness, minlength=size)[known] / pairs[known]
    bin_of = np.flatnonzero(known) % bins
    deviation = (mean - mean.mean()) / max(float(mean.std()), 1e-9)
    scenes = np.bincount(bin_of, minlength=bins)
    total = np.bincount(bin_of, weights=deviation, minlength=bins)
    return total / np.sqrt(np.maximum(scenes, 1)), scenes
