"""The progress that a step reports while it runs, in images."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a step. Earlier runs committed `resumed` of the `done` images."""

    done: int
    total: int | None
    failed: int = 0
    resumed: int = 0


OnProgress = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """Does nothing; for callers that report no progress."""
    del progress
