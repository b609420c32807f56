"""B-cubed and pairwise agreement, against values worked out by hand and against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.clustering_metrics import b_cubed, pairwise


def test_bagga_and_baldwin_example() -> None:
    """Bagga and Baldwin 1998: of chains 1-5, 6-7, 8-12 the last two are joined to the first, or to each other."""
    truth = np.array([0] * 5 + [1] * 2 + [2] * 5)
    small_and_large = np.array([0] * 5 + [1] * 7)
    both_large = np.array([0] * 5 + [1] * 2 + [0] * 5)
    assert b_cubed(small_and_large, truth).precision == pytest.approx(16 / 21)
    assert b_cubed(both_large, truth).precision == pytest.approx(7 / 12)
    assert b_cubed(small_and_large, truth).recall == b_cubed(both_large, truth).recall == 1.0


def test_pairs() -> None:
    agreement = pairwise(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    assert (agreement.precision, agreement.recall) == pytest.approx((1 / 3, 1 / 2))
    assert agreement.f1 == pytest.approx(0.4)


def test_no_pairs_are_no_mistakes() -> None:
    alone = np.arange(4)
    assert pairwise(alone, alone).f1 == 1.0
    assert pairwise(alone, np.zeros(4, dtype=np.int64)).f1 == 0.0


labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


@given(labels)
def test_by_definition(pairs: list[tuple[int, int]]) -> None:
    found, truth = np.array(pairs).T
    precision = np.mean([np.mean(truth[found == f] == t) for f, t in pairs])
    recall = np.mean([np.mean(found[truth == t] == f) for f, t in pairs])
    agreement = b_cubed(found, truth)
    assert (agreement.precision, agreement.recall) == pytest.approx((precision, recall))
