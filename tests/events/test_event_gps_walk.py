"""A real walk through Arezzo: nine pictures in half an hour, with GPS, are one event."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from photolineage.events.titles import days
from tests.events.conftest import Photos

WALK = Path(__file__).parents[3] / "shared/photos/exif/jpg/gps"


def degrees(gps: dict[int, Any], value: int, reference: int, negative: str) -> float:
    whole, minutes, seconds = (float(part) for part in gps[value])
    return (whole + minutes / 60 + seconds / 3600) * (-1 if gps[reference] == negative else 1)


def read(path: Path) -> dict[str, Any]:
    with Image.open(path) as image:
        exif = image.getexif()
    taken = exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal]
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    return {
        "taken_at": datetime.strptime(taken, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC),
        "latitude": degrees(gps, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S"),
        "longitude": degrees(gps, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W"),
        "camera": exif[ExifTags.Base.Model],
    }


@pytest.mark.skipif(not WALK.is_dir(), reason=f"no real photos at {WALK}")
def test_the_walk_is_one_event(photos: Photos) -> None:
    paths = sorted(WALK.glob("*.jpg"))
    for path in paths:
        photos.add(0, utc_offset_minutes=None)
        photos.rows[-1] |= read(path)
    (event,) = photos.cluster().events
    assert len(event.members) == len(paths) > 0
    assert days(event) == "22 Oct 2008"
    assert (round(event.latitude or 0, 1), round(event.longitude or 0, 1)) == (43.5, 11.9)
    assert 100 < (event.radius_m or 0) < 600
