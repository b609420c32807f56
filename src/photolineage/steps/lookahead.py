"""Bounded, order-preserving work ahead of its consumer."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Generator[Result, None, None]:
    """`work(item)` for each item, in the items' order, with at most `ahead` results waiting.

    An error of `work` is raised in its place, and the work ahead of it is cancelled.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def until(deadline: float, items: Iterator[Item]) -> Iterator[Item]:
    """The next items, until this time of `time.monotonic()` has come; at least one. The rest stays in `items`."""
    for item in items:
        yield item
        if time.monotonic() >= deadline:
            return
