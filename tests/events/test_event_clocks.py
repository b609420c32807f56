"""Common scenes show a constant clock offset. Without common scenes or without an offset, none is reported."""

from datetime import timedelta

import numpy as np
import pytest

from tests.events.conftest import Photos

OUTINGS = 12


def two_cameras(photos: Photos, fast_by_minutes: float, *, common: bool = True) -> None:
    """Add outings of five scenes, ten minutes each. Both cameras see the same scenes, or each sees its own."""
    rng = np.random.default_rng(1)
    for outing in range(OUTINGS):
        start = 24.0 * float(rng.integers(2, 9)) + 170 * outing
        for scene in range(5):
            for camera, wrong in (("phone", 0.0), ("dslr", fast_by_minutes)):
                look = f"{outing} {scene}" if common else f"{camera} {outing} {scene}"
                for minute in range(0, 10, 2):
                    hours = start + scene * 0.4 + (minute + rng.uniform(0, 2) + wrong) / 60
                    place = {"latitude": 43.5, "longitude": 11.9} if camera == "phone" else {}
                    photos.add(hours, camera=camera, look=look, **place)


@pytest.mark.parametrize("fast_by_minutes", [-600.0, -60.0, 25.0, 437.0, 1500.0])
def test_a_constant_offset_is_found_and_corrected(photos: Photos, fast_by_minutes: float) -> None:
    two_cameras(photos, fast_by_minutes)
    clustering = photos.cluster()
    (offset,) = clustering.clock_offsets
    assert (offset.camera, offset.reference) == ("dslr", "phone")
    assert offset.correction_seconds / 60 == pytest.approx(-fast_by_minutes, abs=4)
    assert [len(event.members) for event in clustering.events] == [50] * OUTINGS


def test_equal_clocks_have_no_offset(photos: Photos) -> None:
    two_cameras(photos, 0.0)
    assert photos.cluster().clock_offsets == ()


def test_small_clock_errors_are_ignored(photos: Photos) -> None:
    two_cameras(photos, 2.0)
    assert photos.cluster().clock_offsets == ()


def test_without_common_scenes_no_offset_is_found(photos: Photos) -> None:
    two_cameras(photos, 437.0, common=False)
    assert photos.cluster().clock_offsets == ()


def test_the_input_times_are_unchanged(photos: Photos) -> None:
    two_cameras(photos, 437.0)
    images = photos.images()
    before = images["taken_at"].to_pylist()
    photos.cluster()
    assert images["taken_at"].to_pylist() == before


def test_of_three_cameras_the_two_that_agree_are_right(photos: Photos) -> None:
    two_cameras(photos, 0.0)
    for row in list(photos.rows):
        if row["camera"] == "dslr":
            third = photos.add(None, camera="wrong")
            photos.rows[-1] |= {"taken_at": row["taken_at"], "taken_at_source": "exif"}
            photos.vectors[third] = photos.vectors[row["image_id"]]
    for row in photos.rows:
        if row["camera"] == "phone":
            row["taken_at"] += np.timedelta64(2, "h").astype("timedelta64[us]").item()
    (offset,) = photos.cluster().clock_offsets
    assert offset.camera == "phone"
    assert offset.correction_seconds == pytest.approx(-7200, abs=240)


def test_times_that_somebody_corrected_are_not_corrected_again(photos: Photos) -> None:
    """Of each scene, the time of one photo was corrected in a sidecar, and another has the time of the satellites."""
    two_cameras(photos, 437.0)
    taken_of_dslr = [row for row in photos.rows if row["camera"] == "dslr"]
    for source, rows in (("sidecar", taken_of_dslr[::5]), ("gps", taken_of_dslr[1::5])):
        for row in rows:
            row["taken_at_source"] = source
            row["taken_at"] -= timedelta(minutes=437)
    clustering = photos.cluster()
    (offset,) = clustering.clock_offsets
    assert offset.correction_seconds / 60 == pytest.approx(-437, abs=4)
    assert [len(event.members) for event in clustering.events] == [50] * OUTINGS


def test_a_camera_whose_times_were_all_corrected_has_no_offset(photos: Photos) -> None:
    two_cameras(photos, 437.0)
    for row in photos.rows:
        if row["camera"] == "dslr":
            row["taken_at_source"] = "sidecar"
    assert photos.cluster().clock_offsets == ()
