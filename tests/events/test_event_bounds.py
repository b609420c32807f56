"""Images of which only the day, the month or the year is known change no event of others."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from photolineage.events.records import EventClustering
from tests.events.conftest import NOON, Photos

Members = Callable[[EventClustering], list[list[int]]]


def _scenes(photos: Photos) -> None:
    """A month of outings, so that the library knows how alike neighbours and strangers look."""
    for week, look in enumerate(["town", "lake", "forest", "party", "castle", "snow"]):
        photos.outing(24 * 7 * (week + 5), 12, minutes=0.5, look=look)


def _known(photos: Photos, precision: str, days: float, **columns: Any) -> int:
    """An image of which only the day, month or year that begins `days` after 14 July 2023 is known."""
    return photos.add(24 * days, taken_at_precision=precision, **columns)


@pytest.mark.parametrize("precision", ["day", "month", "year"])
def test_such_an_image_joins_no_two_events(photos: Photos, members: Members, precision: str) -> None:
    """At noon between two outings, it would be a bridge over their pause if its time were believed."""
    morning, evening = photos.outing(-4, 6), photos.outing(4, 6)
    expected = members(photos.cluster())
    assert expected == [morning, evening]
    for minutes in range(-200, 230, 10):
        photos.add(minutes / 60, taken_at_precision=precision)
    assert members(photos.cluster()) == expected


@pytest.mark.parametrize("precision", [None, "second", "minute"])
def test_an_exact_image_does(photos: Photos, members: Members, precision: str | None) -> None:
    photos.outing(-4, 6), photos.outing(4, 6)
    for minutes in range(-200, 230, 10):
        photos.add(minutes / 60, taken_at_precision=precision)
    assert len(members(photos.cluster())) == 1


def test_an_image_of_a_day_joins_the_event_of_that_day_that_it_looks_like(photos: Photos) -> None:
    photos.rng = np.random.default_rng(0)  # by chance, another joke looks like a beach
    _scenes(photos)
    beach, office = photos.outing(-3, 8, look="beach"), photos.outing(5, 8, look="office")
    other = photos.outing(24 * 9, 8, look="beach")
    sent = _known(photos, "day", 0, look="beach", folder="WhatsApp Images", camera=None)
    joke = _known(photos, "day", 0, look="joke", folder="WhatsApp Images", camera=None)
    clustering = photos.cluster()
    assert [event.members.tolist() for event in clustering.events[:3]] == [[*beach, sent], office, other]
    assert clustering.events[0].ends_at == NOON + timedelta(hours=-3, minutes=21)
    assert clustering.undated.tolist() == [joke]


def test_images_of_a_day_on_which_nothing_else_was_taken_are_its_event(photos: Photos) -> None:
    before, after = photos.outing(-24, 6), photos.outing(24, 6)
    sent = [_known(photos, "day", 0, folder="WhatsApp Images") for _ in range(3)]
    clustering = photos.cluster()
    assert [event.members.tolist() for event in clustering.events] == [before, sent, after]
    assert clustering.undated.tolist() == []


def test_noons_say_nothing_about_the_clock_of_a_camera(photos: Photos) -> None:
    """One camera gives only the day, and another one is out at three in the afternoon, on other days."""
    _scenes(photos)
    for day in range(0, 60, 2):
        photos.outing(24 * day + 3, 4, look=f"scene {day}", camera="phone")
        for _ in range(3):
            _known(photos, "day", day + 1, look=f"scene {day}", camera="scanner")
    assert photos.cluster().clock_offsets == ()


def test_an_image_of_a_month_joins_only_an_event_of_that_month(photos: Photos) -> None:
    _scenes(photos)
    july, september = photos.outing(0, 8, look="beach"), photos.outing(24 * 60, 8, look="beach")
    of_july = _known(photos, "month", -13, look="beach")
    of_september = _known(photos, "month", 49, look="beach")
    of_june = _known(photos, "month", -43, look="beach")
    elsewhere = _known(photos, "month", -13, look="beach", folder="Prints/1950")
    clustering = photos.cluster()
    found = {event.members[0]: event.members.tolist() for event in clustering.events}
    assert (found[july[0]], found[september[0]]) == ([*july, of_july], [*september, of_september])
    assert clustering.undated.tolist() == [of_june, elsewhere]


def test_an_image_of_a_year_joins_an_event_of_that_year(photos: Photos) -> None:
    _scenes(photos)
    beach = photos.outing(0, 8, look="beach")
    of_2023, of_2022 = (_known(photos, "year", days, look="beach") for days in (-194, -559))
    clustering = photos.cluster()
    assert clustering.events[0].members.tolist() == [*beach, of_2023]
    assert clustering.undated.tolist() == [of_2022]


def test_a_day_whose_source_is_not_trusted_bounds_nothing(photos: Photos) -> None:
    _scenes(photos)
    beach = photos.outing(0, 8, look="beach")
    copied = _known(photos, "day", 90, look="beach", taken_at_source="file_time")
    assert photos.cluster().events[0].members.tolist() == [*beach, copied]


def test_the_exact_one_of_two_copies_gives_the_time(photos: Photos) -> None:
    outing = photos.outing(0, 4)
    exact = photos.add(0.1)
    copy = _known(photos, "day", 0, shown_by=exact)
    (event,) = photos.cluster().events
    assert sorted(event.members.tolist()) == sorted([*outing, exact, copy])
