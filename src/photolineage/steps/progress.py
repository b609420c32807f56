"""Progress in images: what a step reports while it runs."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a step is. `resumed` of the `done` images were committed by earlier runs."""

    done: int
    total: int | None
    failed: int = 0
    resumed: int = 0


OnProgress = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """For callers that nobody watches."""
    del progress
