"""Events keep their ids in a new clustering, and the changes of each event are reported."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photolineage.events.stability import match_events


def test_the_same_events_keep_their_ids() -> None:
    matching = match_events({7: {1, 2}, 3: {4, 5}}, [{4, 5}, {2, 1}])
    assert matching.kept == (3, 7)
    assert (matching.created, matching.grown, matching.shrunk, matching.vanished) == ((), (), (), ())
    assert (matching.split, matching.merged) == ({}, {})


def test_growth_keeps_the_id() -> None:
    matching = match_events({7: {1, 2}}, [{1, 2, 3, 4, 5, 6}, {8, 9}])
    assert (matching.kept, matching.grown, matching.created) == ((7, None), (7,), (1,))


def test_loss_of_deleted_images_keeps_the_id() -> None:
    matching = match_events({7: {1, 2, 3, 4, 5}}, [{1}])
    assert (matching.kept, matching.shrunk) == ((7,), (7,))


def test_a_split_leaves_the_id_with_the_larger_part() -> None:
    matching = match_events({7: range(10)}, [range(3), range(3, 10)])
    assert (matching.kept, matching.created) == ((None, 7), (0,))
    assert matching.split == {7: (0, 1)}
    assert matching.shrunk == (7,)


def test_losing_a_few_images_is_not_a_split() -> None:
    assert match_events({7: range(10)}, [[0], range(1, 10)]).split == {}


def test_a_merger_keeps_the_id_of_the_larger_event() -> None:
    matching = match_events({1: range(3), 2: range(3, 10)}, [range(10)])
    assert (matching.kept, matching.merged, matching.vanished) == ((2,), {0: (1, 2)}, (1,))


def test_below_half_in_common_the_id_is_not_kept() -> None:
    """Three of five and three of five in common: a Jaccard index of 3/7."""
    previous = {1: {1, 2, 3, 4, 5}, 2: {6, 7, 8, 9}}
    matching = match_events(previous, [{1, 2, 3, 6, 7}, {4, 5, 8, 9}])
    assert matching.kept == (None, None)
    assert (matching.created, matching.vanished) == ((0, 1), (1, 2))


@pytest.mark.parametrize(("parts", "kept"), [([{1, 2}, {3, 4}], (9, None)), ([{3, 4}, {1, 2}], (9, None))])
def test_equal_halves_leave_the_id_with_one(parts: list[set[int]], kept: tuple[int | None, ...]) -> None:
    assert match_events({9: {1, 2, 3, 4}}, parts).kept == kept


def test_nothing_before_and_nothing_now() -> None:
    assert match_events({}, [{1}]).created == (0,)
    assert match_events({4: {1}}, []).vanished == (4,)
    assert match_events({}, []).kept == ()


def test_arrays_are_taken_as_they_are() -> None:
    assert match_events({4: np.array([3, 1])}, [np.array([1, 3])]).kept == (4,)


partitions = st.lists(st.integers(0, 5), min_size=1, max_size=40)


@given(partitions, st.data())
def test_ids_are_kept_one_to_one_and_by_half_in_common(labels: list[int], data: st.DataObject) -> None:
    now = data.draw(st.lists(st.integers(0, 5), min_size=len(labels), max_size=len(labels)))
    previous = {label + 100: {i for i, own in enumerate(labels) if own == label} for label in set(labels)}
    current = [{i for i, own in enumerate(now) if own == label} for label in sorted(set(now))]
    matching = match_events(previous, current)
    kept = [event_id for event_id in matching.kept if event_id is not None]
    assert len(kept) == len(set(kept))
    for position, event_id in enumerate(matching.kept):
        indices = {
            key: len(old & current[position]) / len(old | current[position]) for key, old in previous.items()
        }
        if event_id is not None:
            assert indices[event_id] >= 0.5
        assert all(index <= 0.5 for key, index in indices.items() if key != event_id)
    assert sorted([*kept, *matching.vanished]) == sorted(previous)
    assert sorted(matching.created) == [p for p, event_id in enumerate(matching.kept) if event_id is None]
