"""Decides where one event ends and the next begins, from pauses, nights, places and looks, in nats of log-odds.

A boundary is drawn where the sum of the evidence exceeds 0. Evidence that is missing (no GPS, no embedding) counts 0.
The constants are those with which `benchmarks.events` scores best on its tuning seeds, unless they name another source.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photolineage.events.gaps import LOCAL_RATIO, MICRONATS, local_mean, log_seconds
from photolineage.events.looks import Contrast, Embeddings, LooksScale, looks_of_runs
from photolineage.events.places import distance_km
from photolineage.events.timeline import NO_OFFSET, Timeline

Rows = NDArray[np.int64]
Nats = NDArray[np.float64]

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_NIGHT_ENDS_US = 4 * _HOUR_US

BURST_SECONDS = 4.0
"""Photos within this time of each other are one burst. A burst counts once in all statistics."""
NEAR_DUPLICATE_SECONDS = 90.0
"""Near-duplicates within this time of each other are repeated takes of one picture and count once."""
NEAR_DUPLICATE_LIKENESS = 0.5
"""Two photos are near-duplicates if their cosine is this share of the way from the cosine of neighbours to 1."""
SESSION_GAP_MINUTES = 20.0
"""A shorter pause is never a boundary."""

PAUSE_WEIGHT = 5.0
"""Nats for each factor of e by which the pause exceeds `event_gap_hours`."""
LOCAL_WEIGHT = 0.15
"""Nats for each factor of e by which the pause exceeds `LOCAL_RATIO` times the local mean."""
MOST_NATS_OF_PAUSE = 4.0
"""The most that a pause counts, for or against: beyond some hours, place and looks decide."""
NIGHT_WEIGHT = 0.3
"""Nats for a pause that includes 4:00 local time: most outings end before."""
PLACE_NEUTRAL_KM = 0.15
"""A distance between the two sides that counts 0. A longer one is evidence for a boundary."""
PLACE_WEIGHT = 0.3
"""Nats for each factor of e by which the distance exceeds the neutral one."""
MOST_NATS_OF_PLACE = 3.0
"""The most that a distance counts, for or against."""
COMPANY_WEIGHT = 1.0
"""Nats against a boundary for each camera after the first two that is on both sides of a pause."""
LOOKS_WEIGHT = 15.0
"""Nats for each unit of likeness (0: like strangers, 1: like neighbours) below the neutral likeness."""
LOOKS_NEUTRAL = 0.0
"""The likeness across a pause that counts 0 if the images of each side are as alike as neighbours."""
LOOKS_VARIETY_SHARE = 0.4
"""Subtracted from the neutral likeness for each unit of likeness by which the sides vary more than neighbours."""
LOOKS_FAMILIAR_SHARE = 0.5
"""Added to the neutral likeness for each unit of likeness that scenes of the library share by chance."""
LOOKS_SAMPLE = 64
"""The most shots per session, spread evenly, to compare by looks: enough for a steady mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Runs of shots without a long pause.

    `shots`: the first image of each burst, in time order. `starts`: the first shot of each session. `forced`: for each
    boundary between neighbouring sessions, whether it lies between segments. `gap_us`: the pause there, and
    `local_log_gap` the mean log gap of its neighbourhood (millionths of a nat).
    """

    shots: Timeline
    shot_starts: Rows
    starts: Rows
    forced: NDArray[np.bool_]
    gap_us: NDArray[np.int64]
    local_log_gap: NDArray[np.int64]

    def within_reach(self) -> tuple[Rows, Rows]:
        """The first session before each boundary and the last one after it, no farther away than its pause is long.

        The two neighbouring sessions are always within reach. Sessions of another segment never are.
        """
        boundary = np.arange(len(self.gap_us))
        begins = self.shots.at[self.starts]
        ends = begins[1:] - self.gap_us
        segment = np.concatenate(([0], np.cumsum(self.forced)))
        segment_first = np.searchsorted(segment, segment[:-1])
        segment_last = np.searchsorted(segment, segment[1:], side="right") - 1
        first = np.searchsorted(ends, ends - self.gap_us)
        last = np.searchsorted(begins, begins[1:] + self.gap_us, side="right") - 1
        return np.clip(first, segment_first, boundary), np.clip(last, boundary + 1, segment_last)


def find_sessions(
    timeline: Timeline,
    segment_starts: Rows,
    embeddings: Embeddings,
    scale: LooksScale,
) -> Sessions:
    """Count bursts and repeated takes once, and cut at each pause of `SESSION_GAP_MINUTES` or more."""
    gaps = np.diff(timeline.at)
    forced = np.zeros(len(gaps), dtype=np.bool_)
    forced[segment_starts[segment_starts > 0] - 1] = True
    repeats = gaps <= BURST_SECONDS * 1e6
    doubtful = np.flatnonzero(~repeats & (gaps <= NEAR_DUPLICATE_SECONDS * 1e6) & ~forced)
    cosines = embeddings.cosines(timeline.vector[doubtful], timeline.vector[doubtful + 1])
    repeats[doubtful] = cosines >= scale.near_duplicate_cosine(NEAR_DUPLICATE_LIKENESS)
    new_shot = np.flatnonzero(~repeats | forced)
    shot_gaps, shot_forced = gaps[new_shot], forced[new_shot]
    log_gaps = log_seconds(shot_gaps)
    ends = np.flatnonzero(shot_forced | (shot_gaps >= SESSION_GAP_MINUTES * 60e6))
    shot_starts = np.concatenate(([0], new_shot + 1))
    return Sessions(
        shots=timeline.take(shot_starts),
        shot_starts=shot_starts,
        starts=np.concatenate(([0], ends + 1)),
        forced=shot_forced[ends],
        gap_us=shot_gaps[ends],
        local_log_gap=local_mean(log_gaps, ~shot_forced)[ends],
    )


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Whether each boundary between sessions is one between events, and the log-odds of that decision."""

    drawn: NDArray[np.bool_]
    nats: Nats


def decide_boundaries(
    sessions: Sessions, embeddings: Embeddings, scale: LooksScale, event_gap_hours: float
) -> Decision:
    """Join neighbouring sessions that no evidence separates, then decide again, until nothing changes.

    The looks on each side are compared as far as the pause is long (the afternoon after a lunch, whole days after a
    night), and as far as the joined sessions reach: two days at the sea may begin and end differently.
    """
    looks = looks_of_runs(embeddings, sessions.shots.vector, sessions.starts, LOOKS_SAMPLE)
    nats = (
        pause_evidence(sessions, event_gap_hours)
        + night_evidence(sessions)
        + place_evidence(sessions)
        + company_evidence(sessions)
    )
    total = np.where(sessions.forced, np.inf, nats)
    first, last = sessions.within_reach()
    drawn, undecided = np.ones(len(nats), dtype=np.bool_), np.arange(len(nats))
    while len(undecided):
        contrast = looks.contrast(first[undecided], undecided, last[undecided])
        total[undecided] = np.round(nats[undecided] + looks_evidence(contrast, scale), 4)
        total[sessions.forced] = np.inf
        joined = undecided[total[undecided] <= 0]
        drawn[joined] = False
        run_first, run_last = _extent(drawn)
        wider = drawn & ((run_first < first) | (run_last > last)) & ~sessions.forced
        first, last = np.minimum(first, run_first), np.maximum(last, run_last)
        undecided = np.flatnonzero(wider)
    return Decision(drawn, total)


def _extent(drawn: NDArray[np.bool_]) -> tuple[Rows, Rows]:
    """For each boundary, the first session of the run that ends there and the last one of the run that begins there."""
    boundary = np.arange(len(drawn))
    before = np.maximum.accumulate(np.concatenate(([-1], np.where(drawn, boundary, -1))))[:-1]
    after = np.minimum.accumulate(
        np.concatenate((np.where(drawn, boundary, len(drawn)), [len(drawn)]))[::-1]
    )[::-1][1:]
    return before + 1, after


def pause_evidence(sessions: Sessions, event_gap_hours: float) -> Nats:
    """A long pause is evidence for a boundary, and stronger evidence among short pauses."""
    log_gap = log_seconds(sessions.gap_us)
    pause = log_gap / MICRONATS - np.log(event_gap_hours * 3600)
    excess = (log_gap - sessions.local_log_gap) / MICRONATS - np.log(LOCAL_RATIO)
    nats = PAUSE_WEIGHT * pause + LOCAL_WEIGHT * excess
    return np.asarray(np.clip(nats, -MOST_NATS_OF_PAUSE, MOST_NATS_OF_PAUSE))


def night_evidence(sessions: Sessions) -> Nats:
    """A pause that includes 4:00 local time is evidence for a boundary."""
    right = sessions.starts[1:]
    local_at = sessions.shots.at[right - 1] + _local_shift_us(sessions.shots)[right - 1]
    night = (local_at - _NIGHT_ENDS_US) // _DAY_US != (local_at + sessions.gap_us - _NIGHT_ENDS_US) // _DAY_US
    return np.where(night, NIGHT_WEIGHT, 0.0)


def place_evidence(sessions: Sessions) -> Nats:
    """Distance between the last place before the pause and the first after it; 0 if a side has no place."""
    shots = sessions.shots
    located = ~(np.isnan(shots.latitude) | np.isnan(shots.longitude))
    position = np.arange(len(shots))
    last_located = np.maximum.accumulate(np.where(located, position, -1))
    next_located = np.minimum.accumulate(np.where(located, position, len(shots))[::-1])[::-1]
    ends = np.append(sessions.starts[1:], len(shots))
    before, after = last_located[sessions.starts[1:] - 1], next_located[sessions.starts[1:]]
    known = np.flatnonzero((before >= sessions.starts[:-1]) & (after < ends[1:]))
    before, after = before[known], after[known]
    distance = distance_km(
        shots.latitude[before], shots.longitude[before], shots.latitude[after], shots.longitude[after]
    )
    nats = np.zeros(len(ends) - 1)
    weighed = PLACE_WEIGHT * np.log(np.maximum(distance, 1e-3) / PLACE_NEUTRAL_KM)
    nats[known] = np.clip(weighed, -MOST_NATS_OF_PLACE, MOST_NATS_OF_PLACE)
    return nats


def company_evidence(sessions: Sessions) -> Nats:
    """Three or more cameras on both sides of a pause are evidence against a boundary: the company is still together.

    One camera or two count 0, because a couple's cameras are together on most days.
    """
    shots = sessions.shots
    session = np.repeat(np.arange(len(sessions.starts)), np.diff(np.append(sessions.starts, len(shots))))
    cameras = int(shots.camera.max()) + 1
    present = np.unique(session * cameras + shots.camera)
    stayed = present[np.isin(present + cameras, present)] // cameras
    common = np.bincount(stayed, minlength=len(sessions.starts))[: len(sessions.gap_us)]
    return np.asarray(-COMPANY_WEIGHT * np.maximum(common - 2, 0), dtype=np.float64)


def looks_evidence(contrast: Contrast, scale: LooksScale) -> Nats:
    """How little the two sides look alike, compared with the variety within each; 0 if a side has no embedding.

    It counts less with fewer shots. A single shot is assumed to vary like neighbours.
    """
    variety = 1 - np.nan_to_num(scale.likeness(contrast.within), nan=1.0)
    neutral = LOOKS_NEUTRAL + LOOKS_FAMILIAR_SHARE * scale.familiar
    unlike = neutral - LOOKS_VARIETY_SHARE * variety - scale.likeness(contrast.across)
    trust = contrast.support / (contrast.support + 1)
    return np.nan_to_num(LOOKS_WEIGHT * unlike * trust, nan=0.0)


def _local_shift_us(shots: Timeline) -> NDArray[np.int64]:
    """Local time minus UTC: from the known offset, else from the longitude, else 0."""
    solar = np.rint(np.nan_to_num(shots.longitude, nan=0.0) / 15) * 60
    minutes = np.where(shots.utc_offset == NO_OFFSET, solar, shots.utc_offset)
    return np.asarray(minutes * 60_000_000, dtype=np.int64)
