"""Work ahead of its consumer keeps the order and is bounded."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from photolineage.steps.lookahead import map_ahead, until


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item * item

    assert list(map_ahead(slow_first, range(20), threads=4, ahead=8)) == [item * item for item in range(20)]


def test_no_more_items_are_taken_than_the_bound() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = map_ahead(lambda item: item, items(), threads=2, ahead=5)
    assert taken == []
    for received in range(1, 11):
        next(results)
        assert len(taken) == received + 4
    results.close()
    assert len(taken) == 14


def test_an_error_is_raised_in_its_place_and_ends_the_work() -> None:
    started: set[int] = set()

    def fail_at_three(item: int) -> int:
        started.add(item)
        if item == 3:
            raise ValueError("three")
        return item

    results = map_ahead(fail_at_three, range(1000), threads=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert max(started) < 10
    with pytest.raises(StopIteration):
        next(results)


def test_work_goes_on_while_the_consumer_is_busy() -> None:
    barrier = threading.Barrier(3, timeout=10)

    def meet(item: int) -> int:
        barrier.wait()
        return item

    assert list(map_ahead(meet, range(6), threads=3, ahead=3)) == list(range(6))


def test_what_comes_after_the_deadline_is_left_for_the_next_who_asks() -> None:
    items = iter(range(5))
    assert list(until(time.monotonic() - 1, items)) == [0]
    assert list(itertools.islice(until(time.monotonic() + 60, items), 2)) == [1, 2]
    assert list(until(time.monotonic() + 60, items)) == [3, 4]
    assert list(until(time.monotonic() + 60, items)) == []
