"""What the command line shows: progress bars that count images, tables, and JSON for programs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgressBar
from rich.table import Table

from photolineage.catalog.listing import JobStatus, LibraryStatus, ListedEvent
from photolineage.plain_text import printable
from photolineage.steps.progress import OnProgress, Progress

if TYPE_CHECKING:
    from dagster import AssetExecutionContext

console = Console()
errors = Console(stderr=True)


class ProgressBars:
    """One bar a step, over the images of all its partitions."""

    def __init__(self, *, visible: bool = True) -> None:
        self._bar = RichProgressBar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("images {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=errors,
            disable=not visible,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "ProgressBars":
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()

    def begin(self, title: str, images: int | None) -> None:
        """A bar for a step; one of unknown length pulses."""
        self._task = self._bar.add_task(title, total=images, rate="")

    def end(self) -> None:
        """The step is done; its bar stays, full."""
        if self._task is not None:
            task = self._bar.tasks[self._bar.task_ids.index(self._task)]
            self._bar.update(self._task, total=task.completed, rate="")
            self._task = None

    def counter(self, title: str) -> Callable[[int, int], None]:
        """A bar of its own, moved by (done, total)."""
        task = self._bar.add_task(title, total=None, rate="")
        return lambda done, total: self._bar.update(task, completed=done, total=total)

    def track(self, context: "AssetExecutionContext", label: str) -> OnProgress:
        """A callback that moves the step's bar by one partition's progress."""
        del context, label
        shown = 0

        def advance(progress: Progress) -> None:
            nonlocal shown
            if self._task is None:
                return
            self._bar.advance(self._task, progress.done - shown)
            shown = progress.done
            speed = self._bar.tasks[self._bar.task_ids.index(self._task)].speed
            unreadable = f", {progress.failed} unreadable" if progress.failed else ""
            self._bar.update(self._task, rate=(f"({speed:,.0f}/s{unreadable})" if speed else ""))

        return advance


def print_json(value: Any) -> None:
    """Any of our values as JSON on standard output."""
    print(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))  # noqa: T201 (programs read it)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return printable(value)
    if isinstance(value, frozenset | set | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not for JSON")


def plain(text: str) -> str:
    """A text in one line that cannot steer the terminal: what is not printable is escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def linked(path: Path) -> str:
    """A path as markup that a terminal opens on a click."""
    shown = escape(plain(printable(path)))
    return f"[link={path.as_uri()}]{shown}[/link]" if str(path) == printable(path) else shown


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table; columns whose name ends in `#` are numbers."""
    shown = Table(title=title, title_justify="left")
    for column in columns:
        shown.add_column(
            column.rstrip("#"), justify="right" if column.endswith("#") else "left", overflow="fold"
        )
    for row in rows:
        shown.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    return shown


def print_status(status: LibraryStatus) -> None:
    """Sources, models and unfinished jobs as tables."""
    console.print(
        table(
            "Images by source",
            ["source", "images#", "registered#", "duplicates#", "unreadable#", "to read#", "missing#"],
            [
                (s.key, s.images, s.registered, s.duplicates, s.failed, s.discovered, s.missing)
                for s in status.sources
            ],
        )
    )
    console.print(
        table(
            "Models",
            ["model", "serves", "dimension#", "embeddings#", "to have#", "shards left#", "events#"],
            [
                (
                    m.key,
                    "yes" if m.serving else "",
                    m.embedding_dim,
                    m.committed_embeddings,
                    m.embeddable,
                    m.shards_left,
                    m.events,
                )
                for m in status.models
            ],
        )
    )
    if status.jobs:
        console.print(
            table(
                "Jobs that run or did not succeed",
                ["kind", "partition", "state", "images#", "of#", "per second#", "left#", "error"],
                [
                    (
                        j.kind,
                        j.subject,
                        j.state,
                        j.done,
                        j.total,
                        f"{j.images_per_second:.1f}",
                        _time_left(j),
                        j.error or "",
                    )
                    for j in status.jobs
                ],
            )
        )


def _time_left(job: JobStatus) -> str:
    left = job.seconds_left if job.state == "running" else None
    return "" if left is None else str(timedelta(seconds=round(left)))


def print_events(events: Sequence[ListedEvent]) -> None:
    """Events as a table, the newest first."""
    console.print(
        table(
            f"{len(events)} events",
            ["id#", "from", "to", "images#", "title"],
            [
                (e.id, f"{e.starts_at:%Y-%m-%d %H:%M}", f"{e.ends_at:%Y-%m-%d %H:%M}", e.image_count, e.title)
                for e in events
            ],
        )
    )
