"""Progress in a run's log: images done, rate and time left, every ten seconds."""

import time
from datetime import timedelta
from typing import Any, Protocol

from dagster import AssetExecutionContext, MetadataValue

from photolineage.steps.progress import OnProgress, Progress

LOG_INTERVAL_SECONDS = 10.0


class ProgressSink(Protocol):
    """Shows the progress of an asset."""

    def track(self, context: AssetExecutionContext, label: str) -> OnProgress:
        """A callback that shows the progress of one partition."""
        ...


class LoggedProgress:
    """Progress in the run's log: when work resumes, then every ten seconds, and at the end."""

    def track(self, context: AssetExecutionContext, label: str) -> OnProgress:
        """A callback that logs the progress of one partition."""
        started = time.monotonic()
        last_logged = started

        def log(progress: Progress) -> None:
            nonlocal last_logged
            now = time.monotonic()
            if progress.resumed and progress.done == progress.resumed and progress.total != progress.done:
                context.log.info(f"{label}: continuing at {progress.done:,} of {progress.total:,} images")
                return
            ended = progress.done == progress.total
            if ended or now - last_logged >= LOG_INTERVAL_SECONDS:
                last_logged = now
                context.log.info(f"{label}: {describe_progress(progress, now - started)}")

        return log


def rate_metadata(images: int, seconds: float) -> dict[str, MetadataValue[Any]]:
    """The metadata entry for the images per second; no entry if there was nothing to do, because a plot shows it."""
    return {"images_per_second": MetadataValue.float(round(images / max(seconds, 1e-6), 1))} if images else {}


def describe_progress(progress: Progress, seconds: float) -> str:
    """`1,500 of 5,000 images (3 unreadable), 24.1/s, 0:02:25 left`."""
    total = "" if progress.total is None else f" of {progress.total:,}"
    text = f"{progress.done:,}{total} images"
    if progress.failed:
        text += f" ({progress.failed:,} unreadable)"
    fresh = progress.done - progress.resumed
    if fresh <= 0 or seconds <= 0:
        return text
    rate = fresh / seconds
    text += f", {rate:,.1f}/s"
    if progress.total is not None and progress.done < progress.total:
        text += f", {timedelta(seconds=round((progress.total - progress.done) / rate))} left"
    return text
