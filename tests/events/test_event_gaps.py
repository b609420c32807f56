"""PhotoTOC's rule agrees with a plain transcription of its formula."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photolineage.events.gaps import MICRONATS, local_mean, log_seconds, phototoc_boundaries

seconds = st.integers(1, 10_000_000)


def transcription(gaps: list[int], window: int, ratio: float) -> list[float]:
    """The difference of log(g_N) and K + the mean of log(g_i) for i = N - d .. N + d."""
    excess = []
    for n in range(len(gaps)):
        near = gaps[max(0, n - window) : n + window + 1]
        excess.append(math.log(gaps[n]) - math.log(ratio) - sum(map(math.log, near)) / len(near))
    return excess


@given(st.lists(seconds, min_size=1, max_size=80))
def test_the_rule_is_the_published_one(gaps: list[int]) -> None:
    found = phototoc_boundaries(np.array(gaps) * 1_000_000)
    for boundary, excess in zip(found, transcription(gaps, 10, 17.0), strict=True):
        if abs(excess) > 1e-5:
            assert boundary == (excess > 0)


def test_a_long_pause_among_short_ones_is_a_boundary() -> None:
    gaps = np.array([60] * 10 + [7200] + [60] * 10) * 1_000_000
    assert np.flatnonzero(phototoc_boundaries(gaps)).tolist() == [10]


def test_even_pauses_are_no_boundaries() -> None:
    assert not phototoc_boundaries(np.full(30, 86_400_000_000)).any()


@given(st.lists(seconds, min_size=1, max_size=30), st.lists(seconds, min_size=1, max_size=30))
def test_nothing_reaches_across_a_closed_gap(left: list[int], right: list[int]) -> None:
    def means(gaps: list[int], closed: list[int]) -> list[int]:
        is_open = np.ones(len(gaps), dtype=bool)
        is_open[closed] = False
        return local_mean(log_seconds(np.array(gaps) * 1_000_000), is_open).tolist()

    together = means([*left, 99_999_999, *right], [len(left)])
    assert together[: len(left)] == means(left, [])
    assert together[len(left) + 1 :] == means(right, [])


def test_gaps_below_a_second_count_as_one_second() -> None:
    assert log_seconds(np.array([0, 1, 999_999, 1_000_000])).tolist() == [0, 0, 0, 0]
    assert log_seconds(np.array([1_000_000 * 1000])).tolist() == [round(math.log(1000) * MICRONATS)]


@pytest.mark.parametrize("count", [0, 1])
def test_few_gaps(count: int) -> None:
    assert phototoc_boundaries(np.full(count, 5_000_000)).tolist() == [False] * count
