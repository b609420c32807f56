"""What the command line shows: progress bars that count images, tables, and JSON."""

import io
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgressBar
from rich.prompt import Confirm
from rich.style import Style
from rich.table import Table
from rich.text import Text

from photolineage.catalog.listing import ListedEvent
from photolineage.plain_text import encodable, printable
from photolineage.steps.progress import OnProgress, Progress

if TYPE_CHECKING:
    from dagster import AssetExecutionContext

    from photolineage.steps.library_status import LibraryFigures

console = Console()
errors = Console(stderr=True)
LISTED_STALE = 20
"""How many stale partitions of each step `print_status` lists."""


class _Escaping(logging.Formatter):
    """The messages of logs, which contain paths, with control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def show_logs() -> None:
    """Show the warnings of all libraries on standard error."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Escaping())
    logging.basicConfig(
        handlers=[handler]
    )  # does nothing if a program that embeds this one shows them already


def escape_what_cannot_be_shown() -> None:
    """Show letters that the terminal's encoding lacks as in `\\xe9`, as with LC_ALL=C. Python would end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _is_utf8(stream):
            stream.reconfigure(errors="backslashreplace")


def _is_utf8(stream: TextIO) -> bool:
    return stream.encoding.lower().replace("-", "") == "utf8"


class ProgressBars:
    """One progress bar for each step. It counts the images of all partitions of the step."""

    def __init__(self, *, visible: bool = True) -> None:
        self._bar = RichProgressBar(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]} {task.fields[rate]}", markup=False),
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
        """Add the bar of a step. `images` is the number of images, or None if that is unknown."""
        self._task = self._bar.add_task(title, total=images, unit="images", rate="")

    def end(self) -> None:
        """Mark the step as done: its bar is shown full."""
        if self._task is not None:
            task = self._bar.tasks[self._bar.task_ids.index(self._task)]
            self._bar.update(self._task, total=task.completed, rate="")
            self._task = None

    def say(self, message: str) -> None:
        """Print a message above the bars, on standard error."""
        self._bar.console.print(shown(message), soft_wrap=True)

    def counter(self, title: str, unit: str = "images") -> Callable[[int, int], None]:
        """Add a bar, and return the function that moves it to (done, total)."""
        task = self._bar.add_task(title, total=None, unit=unit, rate="")
        return lambda done, total: self._bar.update(task, completed=done, total=total)

    def track(self, context: "AssetExecutionContext", label: str) -> OnProgress:
        """A callback that moves the bar of the current step as one partition progresses."""
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
    """Print the value as JSON on standard output. An output that is not UTF-8 gets only ASCII."""
    text = json.dumps(value, default=_json_value, ensure_ascii=not _is_utf8(sys.stdout), indent=2)
    print("".join(map(_in_json, encodable(text))))  # noqa: T201 (programs read it)


def _in_json(letter: str) -> str:
    """The letter as JSON has it; one that a terminal would obey as in `\\u202e`."""
    return letter if letter == "\n" or printable(letter) == letter else json.dumps(letter)[1:-1]


def confirmed(question: str) -> bool:
    """Whether the person answers yes. The question stands on standard error."""
    return Confirm.ask(Text(printable(question)), console=errors, default=False)


def _json_value(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return encodable(value)
    if isinstance(value, frozenset | set | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def shown(text: object) -> Text:
    """Text from outside as rich shows it unchanged: no markup, and control characters escaped line by line."""
    return Text("\n".join(printable(line) for line in str(text).split("\n")))


def linked(path: Path) -> Text:
    """The path on one line, as a link that a terminal opens on a click."""
    return Text(printable(path), Style(link=path.as_uri()))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table of texts and numbers. A column whose name ends in `#` is aligned to the right.

    No cell is read as markup: strings go through `shown`, and only a `Text` has a style of its own.
    """
    result = Table(title=Text(printable(title), "table.title"), title_justify="left")
    for column in columns:
        result.add_column(
            shown(column.rstrip("#")), justify="right" if column.endswith("#") else "left", overflow="fold"
        )
    for row in rows:
        result.add_row(*(_cell(value) for value in row))
    return result


def _cell(value: object) -> Text:
    if isinstance(value, Text):
        return value
    return shown(f"{value:,}" if isinstance(value, int) else value)


def print_status(status: "LibraryFigures") -> None:
    """Print the sources, the progress, the models, what is stale and the unfinished jobs as tables."""
    console.print(
        table(
            "Images by source",
            [
                "source",
                "images#",
                "registered#",
                "duplicates#",
                "unreadable#",
                "not read yet#",
                "missing#",
            ],
            [
                (
                    s.key,
                    s.images,
                    s.registered,
                    s.duplicates,
                    s.failed,
                    s.discovered,
                    s.missing,
                )
                for s in status.sources
            ],
        )
    )
    verified = [s for s in status.sources if s.verified_at or s.rotten]
    if verified:
        console.print(
            table(
                "Originals that were read again",
                ["source", "all since", "changed on the disk (rotten)#"],
                [
                    (s.key, f"{s.verified_at:%Y-%m-%d}" if s.verified_at else "not all yet", s.rotten)
                    for s in verified
                ],
            )
        )
    passed_over = [s for s in status.sources if s.passed_over]
    if passed_over:
        console.print(
            table(
                "Not read: files of other kinds, and folders of copies that programs made",
                ["source", "kinds"],
                [(s.key, _counted(s.passed_over)) for s in passed_over],
            )
        )
    console.print(
        table(
            "Models",
            ["model", "serving", "dimension#", "embeddings#", "expected#", "incomplete shards#", "events#"],
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
    console.print(
        table(
            "Images by step",
            [
                "step",
                "source",
                "model",
                "done#",
                "left#",
                "per second#",
                "time left#",
            ],
            [
                (
                    Text(p.step, no_wrap=True),
                    p.source or "all",
                    p.model or "",
                    p.done,
                    p.left,
                    "" if p.images_per_second is None else f"{p.images_per_second:,.1f}",
                    _time(p.seconds_left),
                )
                for p in status.progress
            ],
        )
    )
    if status.speeds:
        console.print(
            table(
                "How each machine computes the models (photolineage models shows more)",
                ["model", "precision", "backend", "images per second#", "machine", "measured"],
                [
                    (
                        s.model,
                        s.way.precision,
                        s.way.backend,
                        "" if s.way.images_per_second is None else f"{s.way.images_per_second:,.1f}",
                        s.machine,
                        f"{s.measured_at:%Y-%m-%d}",
                    )
                    for s in status.speeds
                ],
            )
        )
    if status.stale:
        console.print(
            table(
                "Stale partitions",
                ["step", "partition", "reason", "images#"],
                [
                    (of.step, p.partition, p.reason, "" if p.images is None else p.images)
                    for of in status.stale
                    for p in of.partitions[:LISTED_STALE]
                ],
            )
        )
    if status.problem is not None:
        errors.print(
            Text.assemble(("Unknown what is stale:", "bold yellow"), f" {printable(status.problem)}")
        )
    if status.jobs:
        console.print(
            table(
                "Jobs that are running or did not succeed",
                [
                    "kind",
                    "partition",
                    "state",
                    "images#",
                    "expected#",
                    "images per second#",
                    "time left#",
                    "error",
                ],
                [
                    (
                        j.kind,
                        j.subject,
                        j.state,
                        j.done,
                        j.total,
                        f"{j.images_per_second:.1f}",
                        _time(j.seconds_left if j.state == "running" else None),
                        j.error or "",
                    )
                    for j in status.jobs
                ],
            )
        )


def _counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count:,} × {kind}" for kind, count in kinds.items())


def _time(seconds: float | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))


def print_events(events: Sequence[ListedEvent]) -> None:
    """Print the events as a table, in the given order."""
    console.print(
        table(
            f"{len(events)} events",
            ["id#", "from", "to", "images#", "title"],
            [
                (
                    e.id,
                    f"{e.starts_at:%Y-%m-%d %H:%M}",
                    f"{e.ends_at:%Y-%m-%d %H:%M}",
                    e.image_count,
                    printable(e.title),
                )
                for e in events
            ],
        )
    )
