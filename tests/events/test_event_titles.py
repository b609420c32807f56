"""Titles show what, where and when. Unknown parts are left out."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from photolineage.events.records import Event
from photolineage.events.titles import PROMPT, days, title_events

WORDS = ("beach at sunset", "forest", "party")
AXES = np.eye(3, dtype=np.float32)


def event(
    members: list[int], start: datetime, end: datetime | None = None, offset: int | None = 120
) -> Event:
    ids = np.array(members, dtype=np.int64)
    return Event(
        members=ids,
        image_count=len(ids),
        starts_at=start,
        ends_at=end or start,
        utc_offset_minutes=offset,
        latitude=None,
        longitude=None,
        radius_m=None,
        cover_image_id=int(ids[0]),
        cohesion=None,
        confidence=1.0,
        parts=(),
        joined=ids[:0],
        joined_confidence=np.empty(0),
    )


def encode(texts: list[str]) -> NDArray[np.float32]:
    assert texts == [PROMPT.format(word) for word in WORDS]
    return AXES


def embeddings(rows: dict[int, int]) -> pa.Table:
    values = AXES[list(rows.values())].ravel()
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values), 3)
    return pa.table({"image_id": pa.array(list(rows), pa.int64()), "vector": vectors})


DAY = datetime(2023, 7, 14, 18, tzinfo=UTC)


def test_subject_place_and_day() -> None:
    titles = title_events(
        [event([5, 6, 7], DAY)], embeddings({5: 0, 6: 0, 7: 1}), encode, WORDS, names=["Livorno"]
    )
    assert titles == ["Beach at sunset · Livorno · 14 Jul 2023"]


def test_each_event_has_its_own_subject() -> None:
    events = [event([2], DAY), event([9], DAY), event([1, 3], DAY)]
    titles = title_events(
        events, embeddings({1: 2, 2: 1, 3: 2}), encode, WORDS, names=[None, "Livorno", None]
    )
    assert titles == ["Forest · 14 Jul 2023", "Livorno · 14 Jul 2023", "Party · 14 Jul 2023"]


def test_without_words_the_model_is_not_used() -> None:
    def never(texts: list[str]) -> NDArray[np.float32]:
        raise AssertionError(texts)

    assert title_events([event([1], DAY)], embeddings({1: 0}), never, ()) == ["14 Jul 2023"]
    assert title_events([], embeddings({}), never, WORDS) == []


def test_text_of_another_model_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"encode_text returned shape \(3, 4\) for 3 words"):
        title_events([event([1], DAY)], embeddings({1: 0}), lambda _: np.zeros((3, 4), np.float32), WORDS)


@pytest.mark.parametrize(
    ("start", "end", "offset", "text"),
    [
        ((2023, 7, 14, 18), (2023, 7, 14, 20), 120, "14 Jul 2023"),
        ((2023, 7, 14, 23), (2023, 7, 14, 23), 120, "15 Jul 2023"),
        ((2023, 7, 14, 20), (2023, 7, 15, 1), 120, "14 Jul 2023"),
        ((2023, 7, 14, 20), (2023, 7, 15, 3), 120, "14–15 Jul 2023"),
        ((2023, 7, 14, 20), (2023, 7, 20, 9), None, "14–20 Jul 2023"),
        ((2023, 7, 30, 9), (2023, 8, 2, 9), 0, "30 Jul – 2 Aug 2023"),
        ((2023, 12, 30, 9), (2024, 1, 2, 18), -480, "30 Dec 2023 – 2 Jan 2024"),
    ],
)
def test_days(
    start: tuple[int, int, int, int], end: tuple[int, int, int, int], offset: int | None, text: str
) -> None:
    assert days(event([1], datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC), offset)) == text
