"""Which images become one event."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from photolineage.events import undated
from photolineage.events.cluster import cluster_events
from photolineage.events.records import EventClustering
from photolineage.settings.events import EventSettings
from tests.events.conftest import NOON, Photos

Members = Callable[[EventClustering], list[list[int]]]
HOME, LIVORNO = (43.47, 11.88), (43.55, 10.31)


def at(place: tuple[float, float]) -> dict[str, float]:
    return {"latitude": place[0], "longitude": place[1]}


def test_a_pause_of_a_day_ends_an_event(photos: Photos, members: Members) -> None:
    first, second = photos.outing(0, 6), photos.outing(24, 6)
    assert members(photos.cluster()) == [first, second]


def test_a_pause_of_half_an_hour_ends_no_event(photos: Photos, members: Members) -> None:
    everything = photos.outing(0, 6) + photos.outing(0.8, 6)
    assert members(photos.cluster()) == [everything]


def _look_for(photos: Photos, looks: list[str]) -> None:
    """A month of outings, so that the library knows how alike neighbours and strangers look."""
    for day, look in enumerate(looks):
        photos.outing(24 * 7 * (day + 2), 12, minutes=0.5, look=look)


def test_looks_join_what_a_pause_separates(photos: Photos, members: Members) -> None:
    alike = photos.outing(0, 8, look="beach") + photos.outing(2.2, 8, look="beach")
    _look_for(photos, ["town", "lake", "forest", "party", "castle", "snow"])
    assert members(photos.cluster())[0] == alike


def test_looks_separate_what_a_pause_leaves_open(photos: Photos, members: Members) -> None:
    beach, office = photos.outing(0, 8, look="beach"), photos.outing(1.2, 8, look="office")
    _look_for(photos, ["town", "lake", "forest", "party", "castle", "snow"])
    assert members(photos.cluster())[:2] == [beach, office]


def test_place_jump_separates_what_a_pause_leaves_open(photos: Photos, members: Members) -> None:
    home, away = photos.outing(0, 6, **at(HOME)), photos.outing(1.0, 6, **at(LIVORNO))
    stayed = photos.outing(100, 6, **at(HOME)) + photos.outing(101.0, 6, **at(HOME))
    assert members(photos.cluster()) == [home, away, stayed]


def test_local_time_decides_what_a_night_is(photos: Photos) -> None:
    """The pause from 14:10 to 16:18 UTC includes 4:00 in Auckland, and is in the afternoon in Rome."""
    for offset in (120, 720):
        photos.rows.clear()
        photos.outing(2, 3, minutes=5, utc_offset_minutes=offset)
        photos.outing(4.3, 3, minutes=5, utc_offset_minutes=offset)
        assert len(photos.cluster(event_gap_hours=2.2).events) == (1 if offset == 120 else 2)


@pytest.mark.parametrize(("cameras", "events"), [(1, 2), (2, 2), (5, 1)])
def test_a_company_of_cameras_stays_in_one_event(photos: Photos, cameras: int, events: int) -> None:
    for start in (0.0, 2.5):
        for number in range(15):
            photos.add(start + number / 20, camera=f"camera {number % cameras}")
    assert len(photos.cluster().events) == events


def _at_home_for_weeks(photos: Photos) -> None:
    for week in range(12):
        photos.outing(-24 * 7 * (week + 1), 3, **at(HOME))


def test_a_trip_of_several_days_is_one_event_with_parts(photos: Photos, members: Members) -> None:
    _at_home_for_weeks(photos)
    days = [photos.outing(24 * day, 5, **at(LIVORNO)) for day in range(4)]
    trip = photos.cluster().events[-1]
    assert trip.members.tolist() == [image_id for day in days for image_id in day]
    assert [part.image_count for part in trip.parts] == [5, 5, 5, 5]
    assert [part.starts_at for part in trip.parts] == [NOON + timedelta(days=day) for day in range(4)]
    assert trip.parts[-1].ends_at == trip.ends_at == NOON + timedelta(days=3, minutes=12)


def test_days_at_home_are_no_trip(photos: Photos) -> None:
    _at_home_for_weeks(photos)
    for day in range(4):
        photos.outing(24 * day, 5, **at(HOME))
    assert [len(event.members) for event in photos.cluster().events] == [3] * 12 + [5] * 4


def test_a_trip_goes_on_across_pictures_without_place(photos: Photos) -> None:
    _at_home_for_weeks(photos)
    photos.outing(0, 5, **at(LIVORNO))
    photos.outing(24, 5, camera="dslr")
    photos.outing(48, 5, **at(LIVORNO))
    photos.outing(72, 5, camera="dslr")
    assert [len(event.members) for event in photos.cluster().events][-2:] == [15, 5]


def test_no_event_is_longer_than_its_limit(photos: Photos) -> None:
    _at_home_for_weeks(photos)
    for day in range(20):
        photos.outing(24 * day + (6 if day >= 8 else 0), 2, **at(LIVORNO))
    events = photos.cluster(max_event_days=12).events[12:]
    assert [len(event.members) for event in events] == [16, 24]
    assert all(event.ends_at - event.starts_at <= timedelta(days=12) for event in events)


def test_a_duplicate_is_in_the_event_of_its_original(photos: Photos) -> None:
    first = photos.outing(0, 4)
    photos.outing(100, 4)
    copy = photos.add(100.1, shown_by=first[1])
    event = photos.cluster().events[0]
    assert event.members.tolist() == [first[0], first[1], copy, first[2], first[3]]
    assert event.ends_at == NOON + timedelta(minutes=9)


def test_a_duplicate_of_an_undated_original_brings_its_own_time(photos: Photos, members: Members) -> None:
    original = photos.add(None)
    dated = photos.outing(0, 3)
    copy = photos.add(0.01, shown_by=original)
    assert members(photos.cluster()) == [[dated[0], copy, original, *dated[1:]]]


def test_a_burst_counts_once(photos: Photos) -> None:
    """Forty shots in ten seconds do not move the place and do not shorten the usual pause."""
    photos.outing(0, 9, minutes=6, **at(HOME))
    photos.outing(0.85, 40, minutes=1 / 240, latitude=HOME[0] + 0.01, longitude=HOME[1])
    photos.outing(1.0, 9, minutes=6, **at(HOME))
    (event,) = photos.cluster().events
    assert (event.latitude, event.longitude) == HOME
    assert event.radius_m == 0.0


def test_file_times_are_not_trusted(photos: Photos) -> None:
    dated, copied = photos.outing(0, 4), photos.add(0.1, taken_at_source="file_time")
    clustering = photos.cluster()
    assert [event.members.tolist() for event in clustering.events] == [dated]
    assert clustering.undated.tolist() == [copied]


@pytest.mark.parametrize("at_once", [1, 3, 1024])
def test_undated_images_join_the_event_that_looks_and_folder_agree_on(
    photos: Photos, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undated, "_UNDATED_AT_ONCE", at_once)
    _look_for(photos, ["town", "lake", "forest", "party", "castle", "snow"])
    beach = photos.outing(0, 8, look="beach", folder="2023/Sea")
    photos.outing(30, 8, look="office", folder="2023/Sea")
    photos.outing(60, 8, look="beach", folder="2023/Other")
    scan = photos.add(None, look="beach", folder="2023/Sea")
    stranger = photos.add(None, look="cat", folder="2023/Sea")
    elsewhere = photos.add(None, look="beach", folder="2022")
    unseen = photos.add(None, folder="2023/Sea")
    clustering = photos.cluster()
    event = clustering.events[0]
    assert event.members.tolist() == [*beach, scan]
    assert event.joined.tolist() == [scan]
    assert 0.6 <= event.joined_confidence[0] <= 1
    assert clustering.undated.tolist() == [stranger, elsewhere, unseen]


def test_a_folder_without_dated_images_uses_the_events_of_its_siblings(photos: Photos) -> None:
    _look_for(photos, ["town", "lake", "forest", "party", "castle", "snow"])
    beach = photos.outing(0, 8, look="beach", folder="2023/Sea/camera")
    scan = photos.add(None, look="beach", folder="2023/Sea/prints")
    assert photos.cluster().events[0].members.tolist() == [*beach, scan]


@pytest.mark.parametrize("folder", ["2023/Sea", "2023/Sea/camera", "2023/Sea/a/b"])
def test_a_folder_uses_the_events_of_its_parent_and_all_folders_below_it(photos: Photos, folder: str) -> None:
    _look_for(photos, ["town", "lake", "forest", "party", "castle", "snow"])
    beach = photos.outing(0, 8, look="beach", folder=folder)
    scan = photos.add(None, look="beach", folder="2023/Sea/prints")
    assert photos.cluster().events[0].members.tolist() == [*beach, scan]


@pytest.mark.parametrize("folder", ["2023/Sea-side", "2023/Seaside", "2023/Sea0", "2023", "2022/Sea"])
def test_a_folder_does_not_use_the_events_beside_its_parent(photos: Photos, folder: str) -> None:
    _look_for(photos, ["town", "lake", "forest", "party", "castle", "snow"])
    photos.outing(0, 8, look="beach", folder=folder)
    scan = photos.add(None, look="beach", folder="2023/Sea/prints")
    assert photos.cluster().undated.tolist() == [scan]


def test_start_end_zone_and_place(photos: Photos) -> None:
    photos.outing(0, 3, utc_offset_minutes=None)
    photos.outing(0.2, 3, utc_offset_minutes=60, **at(HOME))
    (event,) = photos.cluster().events
    assert (event.starts_at, event.ends_at) == (NOON, NOON + timedelta(minutes=18))
    assert event.utc_offset_minutes == 60
    assert (event.latitude, event.longitude, event.radius_m) == (*HOME, 0.0)


def test_unknown_values_are_none(photos: Photos) -> None:
    photos.outing(0, 3, utc_offset_minutes=None)
    (event,) = photos.cluster().events
    assert (event.utc_offset_minutes, event.latitude, event.longitude, event.radius_m) == (None,) * 4
    assert event.cohesion is None
    assert event.cover_image_id == 2


def test_a_doubtful_boundary_lowers_the_confidence(photos: Photos) -> None:
    photos.outing(0, 6)
    photos.outing(1.15, 6)
    photos.outing(200, 6)
    events = photos.cluster(event_gap_hours=0.8).events
    assert events[-1].confidence == 1.0
    assert 0.5 <= events[0].confidence < 0.9


def test_no_images() -> None:
    photos = Photos()
    clustering = photos.cluster()
    assert (list(clustering.events), clustering.undated.tolist(), clustering.clock_offsets) == ([], [], ())


def test_every_dated_image_is_in_exactly_one_event(photos: Photos) -> None:
    rng = np.random.default_rng(3)
    for hours in rng.exponential(2.0, 300).cumsum():
        photos.add(float(hours), look=str(rng.integers(5)))
    ids = np.concatenate([event.members for event in photos.cluster().events])
    assert sorted(ids.tolist()) == list(range(1, 301))


def test_a_missing_column_is_named(photos: Photos) -> None:
    photos.add(0)
    with pytest.raises(ValueError, match="images: missing column camera, folder"):
        cluster_events(
            photos.images().drop_columns(["camera", "folder"]), photos.embeddings(), EventSettings()
        )


def test_vectors_of_another_type_are_an_error(photos: Photos) -> None:
    photos.add(0)
    lists = pa.table({"image_id": [1], "vector": [[1.0, 0.0]]})
    with pytest.raises(
        ValueError, match=r"expected vector as a fixed-size list .*, found .*list<.*double.*>"
    ):
        cluster_events(photos.images(), lists, EventSettings())


def test_an_image_listed_twice_is_an_error(photos: Photos) -> None:
    photos.add(0)
    twice = pa.concat_tables([photos.images(), photos.images()])
    with pytest.raises(ValueError, match="an image_id occurs more than once"):
        cluster_events(twice, photos.embeddings(), EventSettings())


@pytest.mark.parametrize(("trip_gap_hours", "events"), [(60, 2), (100, 1)])
def test_a_trip_survives_pauses_up_to_the_setting(photos: Photos, trip_gap_hours: float, events: int) -> None:
    """Also a pause that is longer than the usual end of a segment."""
    _at_home_for_weeks(photos)
    photos.outing(0, 5, **at(LIVORNO))
    photos.outing(90, 5, **at(LIVORNO))
    assert len(photos.cluster(trip_gap_hours=trip_gap_hours).events[12:]) == events


@pytest.mark.parametrize(("event_gap_hours", "events"), [(1.1, 3), (3, 2), (100, 1)])
def test_a_pause_shorter_than_the_setting_ends_no_event(
    photos: Photos, event_gap_hours: float, events: int
) -> None:
    for start in (0, 2.5, 80):
        photos.outing(start, 6)
    assert len(photos.cluster(event_gap_hours=event_gap_hours).events) == events


@pytest.mark.parametrize(("away_km", "events"), [(40, 1), (150, 2)])
def test_a_trip_begins_at_the_distance_in_the_settings(photos: Photos, away_km: float, events: int) -> None:
    """Livorno is 127 km from home."""
    _at_home_for_weeks(photos)
    photos.outing(0, 5, **at(LIVORNO))
    photos.outing(24, 5, **at(LIVORNO))
    assert len(photos.cluster(away_km=away_km).events[12:]) == events


@pytest.mark.parametrize(("min_confidence", "joined"), [(0.6, True), (1.0, False)])
def test_an_undated_image_joins_at_the_confidence_in_the_settings(
    photos: Photos, min_confidence: float, joined: bool
) -> None:
    _look_for(photos, ["town", "lake", "forest", "party", "castle", "snow"])
    photos.outing(0, 8, look="beach", folder="2023/Sea")
    scan = photos.add(None, look="beach", folder="2023/Sea")
    clustering = photos.cluster(undated_min_confidence=min_confidence)
    assert (scan in clustering.events[0].joined) is joined


def test_file_times_are_trusted_if_the_settings_say_so(photos: Photos, members: Members) -> None:
    dated, copied = photos.outing(0, 4), photos.add(0.5, taken_at_source="file_time")
    assert members(photos.cluster(trusted_time_sources=["exif", "file_time"])) == [[*dated, copied]]
