"""Distances, usual places, and where events are."""

import numpy as np
import pytest

from photolineage.events.places import distance_km, is_away, place_names, usual_places, whereabouts
from photolineage.events.timeline import read_library
from tests.events.conftest import Photos


@pytest.mark.parametrize(
    ("here", "there", "km"),
    [
        ((0, 0), (0, 180), 20015.1),
        ((0, 179.5), (0, -179.5), 111.195),
        ((43.47, 11.88), (43.55, 10.31), 126.9),
    ],
)
def test_distances(here: tuple[float, float], there: tuple[float, float], km: float) -> None:
    arrays = (np.array([value], dtype=float) for value in (*here, *there))
    assert distance_km(*arrays) == pytest.approx([km], rel=1e-3)


def test_a_group_has_its_centre_and_the_radius_of_nine_tenths() -> None:
    """Nine pictures within 100 m of each other and one a kilometre away, on both sides of the date line."""
    longitude = np.array([179.9995, -179.9995, 180, 179.9998, -179.9999, 180, 180, 180, 180, -179.99])
    where = whereabouts(np.zeros(10), longitude, np.zeros(10, dtype=np.int64), 1)
    assert where.latitude.tolist() == [0.0]
    assert where.longitude.tolist() == [-179.9995]
    assert 30 < where.radius_m[0] < 120


def test_groups_without_a_place_have_none() -> None:
    latitude = np.array([np.nan, 43.0, np.nan])
    where = whereabouts(latitude, latitude, np.array([0, 1, 2]), 3)
    assert np.isnan(where.latitude).tolist() == [True, False, True]
    assert where.radius_m[1] == 0.0


def test_home_is_usual_and_a_long_stay_is_not(photos: Photos) -> None:
    for week in range(20):
        photos.outing(168 * week, 2, latitude=43.47, longitude=11.88)
    for day in range(20):
        photos.outing(168 * 30 + 24 * day, 5, latitude=-33.9, longitude=151.2)
    timeline = read_library(photos.images(), np.empty(0, np.int64), ("exif",)).dated
    usual = usual_places(timeline)
    assert usual == pytest.approx(np.array([[43.45, 11.85]]))
    assert is_away(timeline, usual, 40.0).tolist() == [False] * 40 + [True] * 100


def test_without_a_usual_place_nothing_is_away(photos: Photos) -> None:
    photos.outing(0, 5, latitude=43.47, longitude=11.88)
    timeline = read_library(photos.images(), np.empty(0, np.int64), ("exif",)).dated
    usual = usual_places(timeline)
    assert usual.shape == (0, 2)
    assert not is_away(timeline, usual, 40.0).any()


def test_places_have_names() -> None:
    pytest.importorskip("reverse_geocode", reason="the optional package reverse_geocode is not installed")
    assert place_names([(43.467, 11.885), None, (43.55, 10.31)]) == ["Arezzo", None, "Livorno"]
    assert place_names([None]) == [None]
