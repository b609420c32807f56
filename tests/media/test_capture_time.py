"""When and where a photograph was taken: the order of the sources, and what is refused."""
# ruff: noqa: DTZ001 - a camera's clock knows of no zone

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from photolineage.media import TakenAtSource
from photolineage.media.capture_time import EARLIEST, CaptureTime, capture_time
from photolineage.media.exif import ExifFacts, parse_exif_time, read_exif
from photolineage.media.file_names import time_in_file_name
from photolineage.media.place import Place, place_of_gps, time_zone_at

MakeExif = Callable[..., Image.Exif]
GPS, BASE = ExifTags.GPS, ExifTags.Base
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
MODIFIED = datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)
LOCAL = datetime(2023, 7, 14, 18, 30, 12)
NO_EXIF = ExifFacts()
PARIS = Place(48.8584, 2.2945, None)
PARIS_GPS: dict[int, object] = {
    GPS.GPSLatitudeRef: "N",
    GPS.GPSLatitude: (48.0, 51.0, 30.24),
    GPS.GPSLongitudeRef: "E",
    GPS.GPSLongitude: (2.0, 17.0, 40.2),
}


def resolve(
    exif: ExifFacts = NO_EXIF, name: str = "x.jpg", zone: str | None = None, modified: datetime = MODIFIED
) -> CaptureTime:
    return capture_time(
        exif,
        name,
        int(modified.timestamp()) * 10**9,
        time_zone=zone,
        assumed_time_zone="America/New_York",
        now=NOW,
    )


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("exif", "name", "zone", "expected"),
    [
        pytest.param(ExifFacts(times=(LOCAL.replace(tzinfo=timezone(timedelta(hours=2))),)), "x.jpg", "Asia/Tokyo",
                     CaptureTime(utc(2023, 7, 14, 16, 30, 12), TakenAtSource.EXIF, 120), id="offset before place"),
        pytest.param(ExifFacts(times=(LOCAL,)), "x.jpg", "Europe/Paris",
                     CaptureTime(utc(2023, 7, 14, 16, 30, 12), TakenAtSource.EXIF, 120), id="place in summer"),
        pytest.param(ExifFacts(times=(LOCAL.replace(month=1),)), "x.jpg", "Europe/Paris",
                     CaptureTime(utc(2023, 1, 14, 17, 30, 12), TakenAtSource.EXIF, 60), id="place in winter"),
        pytest.param(ExifFacts(times=(LOCAL,)), "x.jpg", "Asia/Kathmandu",
                     CaptureTime(utc(2023, 7, 14, 12, 45, 12), TakenAtSource.EXIF, 345), id="an offset of 5:45"),
        pytest.param(ExifFacts(times=(LOCAL,)), "IMG_20200101_000000.jpg", None,
                     CaptureTime(utc(2023, 7, 14, 22, 30, 12), TakenAtSource.EXIF, None), id="assumed zone"),
        pytest.param(ExifFacts(times=(LOCAL.replace(year=2042), LOCAL)), "x.jpg", "UTC",
                     CaptureTime(utc(2023, 7, 14, 18, 30, 12), TakenAtSource.EXIF, 0), id="the next EXIF time"),
        pytest.param(ExifFacts(gps_time=utc(2023, 7, 14, 16, 30, 12)), "IMG_20200101_000000.jpg", "Europe/Paris",
                     CaptureTime(utc(2023, 7, 14, 16, 30, 12), TakenAtSource.GPS, 120), id="GPS before name"),
        pytest.param(ExifFacts(gps_time=utc(1980, 1, 6)), "IMG_20230714_183012.jpg", None,
                     CaptureTime(utc(2023, 7, 14, 22, 30, 12), TakenAtSource.FILE_NAME, None), id="GPS without a fix"),
        pytest.param(ExifFacts(), "PXL_20230714_163012123.jpg", "Europe/Paris",
                     CaptureTime(utc(2023, 7, 14, 16, 30, 12, 123000), TakenAtSource.FILE_NAME, 120), id="name in UTC"),
        pytest.param(ExifFacts(), "IMG_20230714_183012.jpg", "Europe/Paris",
                     CaptureTime(utc(2023, 7, 14, 16, 30, 12), TakenAtSource.FILE_NAME, 120), id="name in local time"),
        pytest.param(ExifFacts(), "DSC01234.JPG", "Europe/Paris",
                     CaptureTime(MODIFIED, TakenAtSource.FILE_TIME, 60), id="file time with a place"),
        pytest.param(ExifFacts(), "DSC01234.JPG", None,
                     CaptureTime(MODIFIED, TakenAtSource.FILE_TIME, None), id="file time"),
    ],
)  # fmt: skip
def test_order_of_sources(exif: ExifFacts, name: str, zone: str | None, expected: CaptureTime) -> None:
    assert resolve(exif, name, zone) == expected


@pytest.mark.parametrize(
    "impossible",
    [
        datetime(1825, 12, 31, 23, 59, 59),
        datetime(1, 1, 1),
        datetime(1969, 12, 31, 19),
        datetime(1970, 1, 1),
        datetime(1980, 1, 1, 0, 3),
        datetime(2025, 6, 2, 12, 0, 1),
        datetime(9999, 12, 31, 23, 59, 59),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=12))),
    ],
    ids=str,
)
def test_an_impossible_time_is_refused(impossible: datetime) -> None:
    assert resolve(ExifFacts(times=(impossible,))) == CaptureTime(MODIFIED, TakenAtSource.FILE_TIME, None)


@pytest.mark.parametrize(
    "possible",
    [utc(1826, 1, 1), utc(1998, 1, 1), utc(1980, 1, 2), utc(2025, 6, 2, 12)],
    ids=str,
)
def test_an_extreme_time_is_kept(possible: datetime) -> None:
    assert resolve(ExifFacts(times=(possible,))).taken_at == possible


@pytest.mark.parametrize(
    ("modified", "expected"),
    [(utc(2033, 1, 1), NOW), (utc(1970, 1, 1), utc(1970, 1, 1)), (utc(1700, 1, 1), EARLIEST)],
)
def test_the_file_time_is_moved_into_range(modified: datetime, expected: datetime) -> None:
    assert resolve(modified=modified).taken_at == expected


@pytest.mark.parametrize(
    ("text", "subseconds", "offset", "expected"),
    [
        ("2008:05:30 15:56:01", "", "", "2008-05-30T15:56:01"),
        ("2008:05:30 15:56:01", "054", "", "2008-05-30T15:56:01.054000"),
        ("2008:05:30 15:56:01", "7629999", "+01:00", "2008-05-30T15:56:01.762999+01:00"),
        ("2008:05:30 15:56:01", " 5 ", "-0530", "2008-05-30T15:56:01.500000-05:30"),
        ("2008:05:30 15:56:01", "", "Z", "2008-05-30T15:56:01+00:00"),
        ("2008:05:30 15:56:01", "", "   :  ", "2008-05-30T15:56:01"),
        ("2008:05:30 15:56:01", "", "+25:00", "2008-05-30T15:56:01"),
        ("2008-05-30T15:56:01+02:00", "", "", "2008-05-30T15:56:01+02:00"),
        (" 2008:05:30 15:56:01 ", "", "", "2008-05-30T15:56:01"),
    ],
)
def test_exif_time(text: str, subseconds: str, offset: str, expected: str) -> None:
    time = parse_exif_time(text, subseconds, offset)
    assert time is not None
    assert time.isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "    :  :     :  :  ",
        "0000:00:00 00:00:00",
        "2008:13:01 00:00:00",
        "2008:02:30 10:00:00",
        "2008:05:30 24:00:00",
        "2008:05:30 15:56:60",
        "2008:05:30",
        "yesterday",
        "٢٠٠٨:٠٥:٣٠ ١٥:٥٦:٠١",
    ],
)
def test_no_exif_time(text: str) -> None:
    assert parse_exif_time(text) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IMG_20230714_183012.jpg", "2023-07-14T18:30:12"),
        ("IMG_20230714_183012_1.jpg", "2023-07-14T18:30:12"),
        ("IMG_20230714_183012~2.jpg", "2023-07-14T18:30:12"),
        ("IMG_20230714_183012_HDR.jpg", "2023-07-14T18:30:12"),
        ("VID_20230714_183012.mp4", "2023-07-14T18:30:12"),
        ("20230714_183012.jpg", "2023-07-14T18:30:12"),
        ("20230714183012.jpg", "2023-07-14T18:30:12"),
        ("DSCPDC_0003_BURST20230714183012345.JPG", "2023-07-14T18:30:12.345000"),
        ("PXL_20230714_163012123.jpg", "2023-07-14T16:30:12.123000+00:00"),
        ("PXL_20230714_163012123.PORTRAIT.jpg", "2023-07-14T16:30:12.123000+00:00"),
        ("2023-07-14 18.30.12.jpg", "2023-07-14T18:30:12"),
        ("2023-07-14 18.30.12-2.jpg", "2023-07-14T18:30:12"),
        ("Screenshot_2023-07-14-18-30-12.png", "2023-07-14T18:30:12"),
        ("Screenshot_2023-07-14-18-30-12-123_com.app.png", "2023-07-14T18:30:12.123000"),
        ("Screenshot_20230714-183012.png", "2023-07-14T18:30:12"),
        ("Screen Shot 2023-07-14 at 18.30.12.png", "2023-07-14T18:30:12"),
        ("Screenshot 2023-07-14 at 6.30.12 PM.png", "2023-07-14T18:30:12"),
        ("Screenshot 2023-07-14 at 12.30.12\u202fAM.png", "2023-07-14T00:30:12"),
        ("WhatsApp Image 2023-07-14 at 18.30.12.jpeg", "2023-07-14T18:30:12"),
        ("signal-2023-07-14-183012.jpg", "2023-07-14T18:30:12"),
        ("signal-2023-07-14-18-30-12-345.jpg", "2023-07-14T18:30:12.345000"),
        ("photo_2023-07-14_18-30-12.jpg", "2023-07-14T18:30:12"),
        ("IMG-20230714-WA0001.jpg", "2023-07-14T12:00:00"),
        ("1923-05-04 grandmother.jpg", "1923-05-04T12:00:00"),
        ("FB_IMG_1500000000000.jpg", "2017-07-14T02:40:00+00:00"),
        ("mmexport1500000000123.jpg", "2017-07-14T02:40:00.123000+00:00"),
    ],
)
def test_time_in_a_file_name(name: str, expected: str) -> None:
    time = time_in_file_name(name)
    assert time is not None
    assert time.isoformat() == expected


@pytest.mark.parametrize(
    "name",
    [
        "DSC01234.JPG",
        "DSC_0001.JPG",
        "IMG_1234.HEIC",
        "P1010001.JPG",
        "20231399_250000.jpg",
        "2023-02-30.jpg",
        "received_10154321098765432.jpeg",
        "123456789012.jpg",
        "IMG_99999999_999999.jpg",
        "\udcff\udcfe.jpg",
        "",
    ],
)
def test_no_time_in_a_file_name(name: str) -> None:
    assert time_in_file_name(name) is None


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2099, 12, 31)))
def test_every_time_survives_its_file_name(time: datetime) -> None:
    time = time.replace(microsecond=0)
    assert time_in_file_name(f"IMG_{time:%Y%m%d_%H%M%S}.jpg") == time
    assert time_in_file_name(f"{time:%Y-%m-%d %H.%M.%S}.png") == time


@given(st.text(), st.text(), st.text())
def test_no_text_makes_the_parsers_raise(text: str, subseconds: str, offset: str) -> None:
    for time in (parse_exif_time(text, subseconds, offset), time_in_file_name(text)):
        assert time is None or isinstance(time, datetime)


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
        {GPS.GPSLatitude: (48.0, 61.0, 0.0)},
        {GPS.GPSLatitude: (-48.0, 51.0, 0.0)},
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


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("Canon", "Canon EOS 40D", "Canon EOS 40D"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("EASTMAN KODAK COMPANY", "KODAK CX7530 ZOOM DIGITAL CAMERA", "KODAK CX7530 ZOOM DIGITAL CAMERA"),
        ("SONY", "DSC-D700", "SONY DSC-D700"),
        ("PENTAX Corporation ", "PENTAX K10D        ", "PENTAX K10D"),
        ("Apple\0\0", "iPhone 6\0junk", "Apple iPhone 6"),
        ("Apple\x01", "iPhone\r\n6", "Apple iPhone6"),
        ("", "X100", "X100"),
        ("Leica", "", "Leica"),
        ("Hüawei".encode().decode("latin-1"), "P30", "Hüawei P30"),
        ("x" * 500, "y", "x" * 128),
        ("  ", "\0", None),
    ],
)
def test_camera(exif: MakeExif, make: str, model: str, expected: str | None) -> None:
    assert read_exif(exif({BASE.Make: make, BASE.Model: model})).camera == expected


def test_exif_of_a_telephone(exif: MakeExif) -> None:
    tags = exif(
        {BASE.Orientation: 6, BASE.DateTime: "2024:01:01 00:00:00"},
        {
            BASE.DateTimeOriginal: "2023:07:14 18:30:12",
            BASE.SubsecTimeOriginal: "25",
            BASE.OffsetTimeOriginal: "+02:00",
        },
        {**PARIS_GPS, GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: (16.0, 30.0, 11.5)},
    )
    stored = Image.Exif()
    stored.load(tags.tobytes())
    facts = read_exif(stored)
    assert facts.orientation == 6
    assert [time.isoformat() for time in facts.times] == [
        "2023-07-14T18:30:12.250000+02:00",
        "2024-01-01T00:00:00",
    ]
    assert facts.gps_time == utc(2023, 7, 14, 16, 30, 11, 500000)
    assert facts.place is not None
    assert facts.place.latitude == pytest.approx(PARIS.latitude)


@pytest.mark.parametrize("orientation", [0, 9, 65535, "6", -1])
def test_an_impossible_orientation_counts_as_upright(exif: MakeExif, orientation: object) -> None:
    assert read_exif(exif({BASE.Orientation: orientation})).orientation == 1


@pytest.mark.parametrize(
    "gps",
    [
        {GPS.GPSDateStamp: "2023:07:14"},
        {GPS.GPSDateStamp: "2023:02:30", GPS.GPSTimeStamp: (1.0, 2.0, 3.0)},
        {GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: (25.0, 0.0, 0.0)},
        {GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: (1.0, 2.0)},
        {GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: "01:02:03"},
        {GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: (IFDRational(1, 0), 0.0, 0.0)},
    ],
)
def test_no_gps_time(exif: MakeExif, gps: dict[int, object]) -> None:
    assert read_exif(exif(gps=gps)).gps_time is None
