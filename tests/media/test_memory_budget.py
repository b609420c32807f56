"""Requests for memory wait for each other, in their order."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from photolineage.media.memory_budget import MemoryBudget, _cgroup_limits, default_budget


class Request:
    """A thread that reserves memory, and holds it until it is told to end."""

    def __init__(self, budget: MemoryBudget, size: int) -> None:
        self.holds, self._end = threading.Event(), threading.Event()

        def hold() -> None:
            with budget.reserved(size):
                self.holds.set()
                assert self._end.wait(10)

        self._thread = threading.Thread(target=hold)
        self._thread.start()
        time.sleep(0.05)

    def end(self) -> None:
        self._end.set()
        self._thread.join()


def test_what_fits_is_held_at_once_and_the_rest_waits() -> None:
    budget = MemoryBudget(100)
    requests = [Request(budget, size) for size in (60, 40, 1)]
    assert [request.holds.is_set() for request in requests] == [True, True, False]
    requests[1].end()
    assert requests[2].holds.wait(5)
    requests[0].end()
    requests[2].end()


def test_small_requests_do_not_overtake_a_large_one() -> None:
    budget = MemoryBudget(100)
    first, large, small = (Request(budget, size) for size in (50, 80, 10))
    assert (large.holds.is_set(), small.holds.is_set()) == (False, False)
    first.end()
    assert large.holds.wait(5)
    assert small.holds.wait(5)
    large.end()
    small.end()


def test_a_request_above_the_budget_is_alone() -> None:
    budget = MemoryBudget(100)
    first, huge, small = (Request(budget, size) for size in (1, 150, 1))
    assert not huge.holds.is_set()
    first.end()
    assert huge.holds.wait(5)
    assert not small.holds.wait(0.1)
    huge.end()
    assert small.holds.wait(5)
    small.end()


def test_an_error_gives_the_memory_back() -> None:
    budget = MemoryBudget(10)
    with pytest.raises(RuntimeError), budget.reserved(10):
        raise RuntimeError
    with budget.reserved(10):
        pass


def test_a_larger_budget_lets_those_in_who_wait() -> None:
    budget = MemoryBudget(10)
    first, second = Request(budget, 10), Request(budget, 10)
    assert not second.holds.is_set()
    budget.resize(20)
    assert second.holds.wait(5)
    first.end()
    second.end()


@pytest.fixture
def control_groups(tmp_path: Path) -> Callable[[str, dict[str, str]], list[int]]:
    """The limits that are found if the process is in these groups, and the files of the groups are these."""

    def limits(memberships: str, files: dict[str, str]) -> list[int]:
        for name, text in files.items():
            file = tmp_path / "cgroup" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (tmp_path / "memberships").write_text(memberships)
        return _cgroup_limits(tmp_path / "cgroup", tmp_path / "memberships")

    return limits


@pytest.mark.parametrize(
    ("memberships", "files", "limit"),
    [
        (
            "0::/app.slice/run\n",
            {"app.slice/memory.max": "3000\n", "app.slice/run/memory.max": "max\n"},
            3000,
        ),
        ("0::/app.slice/run\n", {"app.slice/run/memory.max": "max", "app.slice/run/memory.high": "70"}, 70),
        ("0::/\n", {"memory.max": "5000\n"}, 5000),
        ("0::/docker/of-the-host\n", {"memory.max": "5000\n"}, 5000),
        ("7:cpu:/a\n9:memory:/a\n", {"memory/a/memory.limit_in_bytes": "900", "cpu/a/memory.max": "1"}, 900),
        ("0::/\n", {}, 2**63),
    ],
)
def test_the_limit_of_a_container(
    control_groups: Callable[[str, dict[str, str]], list[int]],
    memberships: str,
    files: dict[str, str],
    limit: int,
) -> None:
    assert min(control_groups(memberships, files)) == limit


def test_the_default_is_at_most_a_quarter_of_the_machine() -> None:
    assert 0 < default_budget() <= psutil.virtual_memory().total // 4
