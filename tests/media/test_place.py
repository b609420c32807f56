"""Places of GPS data, and their time zones."""

import pytest
from PIL import ExifTags
from PIL.TiffImagePlugin import IFDRational

from photolineage.media.place import Place, place_of_gps, time_zone_at

GPS = ExifTags.GPS
PARIS = Place(48.8584, 2.2945, None)

PARIS_GPS: dict[int, object] = {
    GPS.GPSLatitudeRef: "N",
    GPS.GPSLatitude: (48.0, 51.0, 30.24),
    GPS.GPSLongitudeRef: "E",
    GPS.GPSLongitude: (2.0, 17.0, 40.2),
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (48.8584, 2.2945, None)),
        ({GPS.GPSLatitudeRef: "S"}, (-48.8584, 2.2945, None)),
        ({GPS.GPSLongitudeRef: "W"}, (48.8584, -2.2945, None)),
        ({GPS.GPSLongitudeRef: "w\0"}, (48.8584, -2.2945, None)),
        ({GPS.GPSLatitude: (48.8584,)}, (48.8584, 2.2945, None)),
        ({GPS.GPSAltitude: 35.5, GPS.GPSAltitudeRef: b"\0"}, (48.8584, 2.2945, 35.5)),
        ({GPS.GPSAltitude: 35.5, GPS.GPSAltitudeRef: b"\1"}, (48.8584, 2.2945, -35.5)),
        ({GPS.GPSAltitude: 35.5, GPS.GPSAltitudeRef: "1"}, (48.8584, 2.2945, -35.5)),
        ({GPS.GPSAltitude: 35.5, GPS.GPSAltitudeRef: "0"}, (48.8584, 2.2945, 35.5)),
        ({GPS.GPSAltitude: 35.5, GPS.GPSAltitudeRef: b"3"}, (48.8584, 2.2945, -35.5)),
        ({GPS.GPSAltitude: -35.5, GPS.GPSAltitudeRef: b"\1"}, (48.8584, 2.2945, -35.5)),
        ({GPS.GPSAltitude: -35.5, GPS.GPSAltitudeRef: b"\0"}, (48.8584, 2.2945, -35.5)),
        ({GPS.GPSLatitude: (48.0, 51.0, 75.0)}, (48.8708, 2.2945, None)),
        ({GPS.GPSLatitude: (0.0, 3150.0, 0.0)}, (52.5, 2.2945, None)),
        ({GPS.GPSLatitude: (48.0, 61.0, 0.0)}, (49.0167, 2.2945, None)),
        ({GPS.GPSLatitude: (-48.0, -51.0, -30.24)}, (48.8584, 2.2945, None)),
        ({GPS.GPSLatitude: (-48.0, -51.0, -30.24), GPS.GPSLatitudeRef: "S"}, (-48.8584, 2.2945, None)),
        (
            {GPS.GPSLatitude: (IFDRational(48, 1), IFDRational(5150, 100), IFDRational(0, 0))},
            (48.8583, 2.2945, None),
        ),
        ({GPS.GPSAltitude: 4294967295.0}, (48.8584, 2.2945, None)),
        ({GPS.GPSAltitude: IFDRational(1, 0)}, (48.8584, 2.2945, None)),
    ],
)
def test_place(change: dict[int, object], expected: tuple[float, float, float | None]) -> None:
    place = place_of_gps({**PARIS_GPS, **change})
    assert place is not None
    assert (round(place.latitude, 4), round(place.longitude, 4), place.altitude_m) == expected


@pytest.mark.parametrize(
    "change",
    [
        {GPS.GPSLatitude: (0.0, 0.0, 0.0), GPS.GPSLongitude: (0.0, 0.0, 0.0)},
        {GPS.GPSLatitude: (0.0, 0.0, 1.0), GPS.GPSLongitude: (0.0, 0.0, 2.0)},
        {GPS.GPSLatitude: (90.0, 0.0, 1.0)},
        {GPS.GPSLongitude: (180.0, 30.0, 0.0)},
        {GPS.GPSLatitude: (0.0, 5401.0, 0.0)},
        {GPS.GPSLatitude: (IFDRational(48, 1), IFDRational(0, 0), IFDRational(0, 0))},
        {GPS.GPSLatitude: (IFDRational(48, 1), IFDRational(51, 1), IFDRational(5, 0))},
        {GPS.GPSLatitude: (float("nan"), 0.0, 0.0)},
        {GPS.GPSLatitude: (float("inf"), 0.0, 0.0)},
        {GPS.GPSLatitude: (IFDRational(48, 1), IFDRational(51, 0), IFDRational(0, 1))},
        {GPS.GPSLatitude: (IFDRational(0, 0),) * 3},
        {GPS.GPSLatitude: ()},
        {GPS.GPSLatitude: (1.0, 2.0, 3.0, 4.0)},
        {GPS.GPSLatitude: "48"},
        {GPS.GPSLatitude: None},
        {GPS.GPSLatitudeRef: None},
        {GPS.GPSLatitudeRef: "X"},
        {GPS.GPSLatitudeRef: 7},
    ],
)
def test_no_place(change: dict[int, object]) -> None:
    assert place_of_gps({**PARIS_GPS, **change}) is None


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        (PARIS, "Europe/Paris"),
        (Place(-33.86, 151.21, None), "Australia/Sydney"),
        (Place(27.72, 85.32, None), "Asia/Kathmandu"),
        (Place(0.0, -30.0, None), "Etc/GMT+2"),
        (Place(90.0, 180.0, None), "Etc/GMT-12"),
    ],
)
def test_time_zone(place: Place, zone: str) -> None:
    assert time_zone_at(place) == zone
