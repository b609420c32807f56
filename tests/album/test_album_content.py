"""What the album shows: months and days by local time."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from photolineage.album.content import AlbumPicture, by_day, by_month
from photolineage.album.pages import Album, event_page, month_page, overview_page
from photolineage.catalog.listing import ListedEvent
from photolineage.catalog.vocabulary import TakenAtPrecision

EAST = timezone(timedelta(hours=2))


def event(number: int, starts_at: datetime, images: int = 1, **facts: float) -> ListedEvent:
    known = {"latitude": None, "longitude": None, "radius_m": None, "cohesion": None} | facts
    return ListedEvent(
        id=number,
        title=f"Event {number}",
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=1),
        utc_offset_minutes=None,
        image_count=images,
        confidence=0.7,
        cover_image_id=None,
        **known,
    )


def picture(number: int, taken_at: datetime | None) -> AlbumPicture:
    return AlbumPicture(number, f"{number:064}", f"{number}.jpg", taken_at)


def album(*events: ListedEvent, in_no_event: int = 0) -> Album:
    images = sum(found.image_count for found in events)
    return Album("a-model", by_month(events), images, in_no_event, {}, set())


def test_an_event_is_in_the_month_in_which_it_began_where_it_was() -> None:
    new_year = event(1, datetime(2024, 1, 1, 0, 30, tzinfo=EAST))
    before = event(2, datetime(2023, 12, 31, 23, 0, tzinfo=UTC))
    months = by_month([new_year, before])
    assert [(month.key, [found.id for found in month.events]) for month in months] == [
        ("2024-01", [1]),
        ("2023-12", [2]),
    ]


def test_the_largest_events_of_a_month_come_first() -> None:
    start = datetime(2024, 5, 1, tzinfo=UTC)
    (month,) = by_month([event(1, start, 3), event(2, start, 9), event(3, start, 9)])
    assert [found.id for found in month.largest] == [2, 3, 1]
    assert month.image_count == 21


def test_days_are_local_and_pictures_without_a_time_come_last() -> None:
    late = datetime(2024, 5, 1, 23, 50, tzinfo=EAST)
    pictures = [picture(1, late), picture(2, late + timedelta(minutes=20)), picture(3, None)]
    assert [(day.date, [found.image_id for found in day.pictures]) for day in by_day(pictures)] == [
        (date(2024, 5, 1), [1]),
        (date(2024, 5, 2), [2]),
        (None, [3]),
    ]


def test_an_album_without_events_says_so() -> None:
    assert "<p>No events yet.</p>" in overview_page(album())


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (1, "1 picture is not in any event, because its date cannot be trusted."),
        (1200, "1,200 pictures are not in any event, because their dates cannot be trusted."),
    ],
)
def test_pictures_in_no_event_are_counted(count: int, sentence: str) -> None:
    found = event(1, datetime(2024, 5, 1, tzinfo=UTC))
    assert sentence in overview_page(album(found, in_no_event=count))
    assert "no date" not in overview_page(album(found))


def test_a_month_of_many_events_names_the_largest_and_counts_the_rest() -> None:
    start = datetime(2024, 5, 1, tzinfo=UTC)
    page = overview_page(album(*(event(number, start, number) for number in range(1, 7))))
    assert [number for number in range(1, 7) if f"<bdi>Event {number}</bdi>" in page] == [4, 5, 6]
    assert "<span>and 3 more</span>" in page


@pytest.mark.parametrize(
    ("facts", "place"),
    [
        (
            {"latitude": 43.46741, "longitude": 11.885, "radius_m": 320.4},
            "43.4674° N, 11.8850° E, most within 320 m",
        ),
        (
            {"latitude": -6.5, "longitude": -70.25, "radius_m": 12_345.0},
            "6.5000° S, 70.2500° W, most within 12.3 km",
        ),
        ({"latitude": 0.0, "longitude": 0.0, "radius_m": 0.0}, "0.0000° N, 0.0000° E<"),
    ],
)
def test_a_place_is_told_in_degrees_and_metres(facts: dict[str, float], place: str) -> None:
    found = event(1, datetime(2024, 5, 1, tzinfo=UTC), 1, **facts)
    assert place in event_page(album(found), found, [], 1, [], {}, (None, None))
    nowhere = event(1, datetime(2024, 5, 1, tzinfo=UTC))
    assert "Where" not in event_page(album(nowhere), nowhere, [], 1, [], {}, (None, None))


@pytest.mark.parametrize(
    ("hours", "when"),
    [
        (0, "14 July 2023, 22:30<"),
        (1, "14 July 2023, 22:30 to 23:30<"),
        (3, "14 July 2023, 22:30 to 15 July 2023, 01:30<"),
    ],
)
def test_times_are_told_as_people_do(hours: int, when: str) -> None:
    start = datetime(2023, 7, 14, 22, 30, tzinfo=EAST)
    found = ListedEvent(
        1, "Party", start, start + timedelta(hours=hours), 120, 1, None, None, None, None, 1.0, None
    )
    shown = album(found)
    assert when in month_page(shown, shown.months[0])


def test_a_picture_without_a_preview_is_counted_instead_of_shown() -> None:
    found = event(1, datetime(2024, 5, 1, tzinfo=UTC), 2)
    page = event_page(album(found), found, [picture(1, None), picture(2, None)], 3, [], {}, (None, None))
    assert "<dd>2, and 1 file more, a copy or part of a stack, 2 have no preview</dd>" in page
    assert "<img" not in page


def test_a_day_and_a_time_that_are_not_known_are_not_shown() -> None:
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)
    exact, of_day, of_month, undated = (
        AlbumPicture(number, f"{number:064}", f"{number}.jpg", taken_at, precision)
        for number, (taken_at, precision) in enumerate(
            [(noon, None), (noon, TakenAtPrecision.DAY), (noon, TakenAtPrecision.MONTH), (None, None)]
        )
    )
    days = by_day([exact, of_day, of_month, undated])
    assert [(day.date, list(day.pictures)) for day in days] == [
        (date(2024, 6, 1), [exact, of_day]),
        (None, [of_month, undated]),
    ]
    assert [each.has_clock for each in (exact, of_day, of_month, undated)] == [True, False, False, False]
