"""Titles of events: what they show, where and when, e.g. "Beach at sunset · Livorno · 14 Jul 2023"."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photolineage.events.looks import BLOCK_ROWS, Embeddings, blocks_of_runs
from photolineage.events.records import Event
from photolineage.events.timeline import positions

TextEncoder = Callable[[list[str]], NDArray[np.float32]]

PROMPT = "a photo of {}"
LOGIT_SCALE = 100.0  # the limit of CLIP's trained temperature (Radford et al. 2021)
IMAGES_ASKED = 64
SEPARATOR = " · "
_NIGHT_ENDS = timedelta(hours=4)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def title_events(
    events: Sequence[Event],
    embeddings: pa.Table,
    encode_text: TextEncoder,
    words: Sequence[str],
    *,
    names: Sequence[str | None] | None = None,
) -> list[str]:
    """A title for each event: its subject, the name of its place and its days. Unknown parts are left out.

    The subject is the one of `words` that most images of the event vote for by zero-shot classification. `encode_text`
    returns unit vectors in the space of `embeddings`, shape (words, dimension). `names` has a place name per event.
    """
    subjects = _subjects(events, Embeddings(embeddings), encode_text, words)
    places = names if names is not None else [None] * len(events)
    return [
        SEPARATOR.join(part for part in (subject, place, days(event)) if part)
        for event, subject, place in zip(events, subjects, places, strict=True)
    ]


def days(event: Event) -> str:
    """The local days of an event, e.g. "30 Jul – 2 Aug 2023". The hours before 4:00 belong to the day before."""
    shift = timedelta(minutes=event.utc_offset_minutes or 0)
    first = (event.starts_at + shift).date()
    last = max(first, _day(event.ends_at + shift))
    if first == last:
        return f"{first.day} {_month(first)} {first.year}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last.day} {_month(last)} {last.year}"
    beginning = f"{first.day} {_month(first)}" + (f" {first.year}" if first.year != last.year else "")
    return f"{beginning} – {last.day} {_month(last)} {last.year}"


def _day(moment: datetime) -> date:
    return (moment - _NIGHT_ENDS).date()


def _month(day: date) -> str:
    return _MONTHS[day.month - 1]


def _subjects(
    events: Sequence[Event], embeddings: Embeddings, encode_text: TextEncoder, words: Sequence[str]
) -> list[str | None]:
    subjects: list[str | None] = [None] * len(events)
    if not events or not words:
        return subjects
    texts = np.asarray(encode_text([PROMPT.format(word) for word in words]), dtype=np.float32)
    if texts.shape != (len(words), embeddings.dimension):
        raise ValueError(
            f"encode_text returned shape {texts.shape} for {len(words)} words; expected "
            f"({len(words)}, {embeddings.dimension}). Encode text with the model that embedded the images"
        )
    asked = [event.members[_evenly(len(event.members))] for event in events]
    rows = positions(embeddings.image_ids, np.concatenate(asked))
    event_of_row = np.repeat(np.arange(len(events)), [len(ids) for ids in asked])[rows >= 0]
    numbers, starts = np.unique(event_of_row, return_index=True)
    rows = rows[rows >= 0]
    for first, last in blocks_of_runs(starts, len(rows), BLOCK_ROWS):
        end = starts[last] if last < len(starts) else len(rows)
        votes = np.add.reduceat(
            _shares(embeddings.vectors(rows[starts[first] : end]) @ texts.T),
            starts[first:last] - starts[first],
            axis=0,
        )
        for number, word in zip(numbers[first:last], votes.argmax(axis=1), strict=True):
            subjects[number] = words[word][:1].upper() + words[word][1:]
    return subjects


def _evenly(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, IMAGES_ASKED)).astype(np.int64))


def _shares(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    odds = np.exp(LOGIT_SCALE * (cosines - cosines.max(axis=1, keepdims=True)))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)
