"""When and where a photograph was taken: the order of the sources, and what is refused."""
# ruff: noqa: DTZ001 - a camera's clock knows of no zone

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from photolineage.catalog.vocabulary import TakenAtPrecision, UtcOffsetSource
from photolineage.media import TakenAtSource
from photolineage.media.capture_time import EARLIEST, CaptureTime, capture_time
from photolineage.media.exif import ExifFacts, read_exif
from photolineage.media.file_names import time_in_file_name
from photolineage.media.place import Place
from photolineage.media.written_time import WrittenTime, parse_written_time

MakeExif = Callable[..., Image.Exif]
GPS, BASE = ExifTags.GPS, ExifTags.Base
PLACE, STATED, SAME_TIME = UtcOffsetSource.PLACE, UtcOffsetSource.STATED, UtcOffsetSource.SAME_TIME
MINUTE, DAY, MONTH, YEAR = list(TakenAtPrecision)[1:]
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


def captured(
    taken_at: datetime,
    source: TakenAtSource,
    minutes: int | None = None,
    via: UtcOffsetSource | None = None,
    precision: TakenAtPrecision = TakenAtPrecision.SECOND,
) -> CaptureTime:
    return CaptureTime(taken_at, source, precision, minutes, via)


def read(*times: datetime) -> ExifFacts:
    return ExifFacts(times=tuple(map(WrittenTime, times)))


def by_satellite(time: datetime) -> ExifFacts:
    return ExifFacts(gps_time=WrittenTime(time))


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("exif", "name", "zone", "expected"),
    [
        pytest.param(read(LOCAL.replace(tzinfo=timezone(timedelta(hours=2)))), "x.jpg", "Asia/Tokyo",
                     captured(utc(2023, 7, 14, 16, 30, 12), TakenAtSource.EXIF, 120, STATED), id="offset before place"),
        pytest.param(read(LOCAL), "x.jpg", "Europe/Paris",
                     captured(utc(2023, 7, 14, 16, 30, 12), TakenAtSource.EXIF, 120, PLACE), id="place in summer"),
        pytest.param(read(LOCAL.replace(month=1)), "x.jpg", "Europe/Paris",
                     captured(utc(2023, 1, 14, 17, 30, 12), TakenAtSource.EXIF, 60, PLACE), id="place in winter"),
        pytest.param(read(LOCAL), "x.jpg", "Asia/Kathmandu",
                     captured(utc(2023, 7, 14, 12, 45, 12), TakenAtSource.EXIF, 345, PLACE), id="an offset of 5:45"),
        pytest.param(read(LOCAL), "IMG_20200101_000000.jpg", None,
                     captured(utc(2023, 7, 14, 22, 30, 12), TakenAtSource.EXIF), id="assumed zone"),
        pytest.param(read(LOCAL.replace(year=2042), LOCAL), "x.jpg", "UTC",
                     captured(utc(2023, 7, 14, 18, 30, 12), TakenAtSource.EXIF, 0, PLACE), id="the next EXIF time"),
        pytest.param(by_satellite(utc(2023, 7, 14, 16, 30, 12)), "IMG_20200101_000000.jpg", "Europe/Paris",
                     captured(utc(2023, 7, 14, 16, 30, 12), TakenAtSource.GPS, 120, PLACE), id="GPS before name"),
        pytest.param(by_satellite(utc(1980, 1, 6)), "IMG_20230714_183012.jpg", None,
                     captured(utc(2023, 7, 14, 22, 30, 12), TakenAtSource.FILE_NAME), id="GPS without a fix"),
        pytest.param(ExifFacts(), "PXL_20230714_163012123.jpg", "Europe/Paris",
                     captured(utc(2023, 7, 14, 16, 30, 12, 123000), TakenAtSource.FILE_NAME, 120, PLACE),
                     id="name in UTC"),
        pytest.param(ExifFacts(), "IMG_20230714_183012.jpg", "Europe/Paris",
                     captured(utc(2023, 7, 14, 16, 30, 12), TakenAtSource.FILE_NAME, 120, PLACE),
                     id="name in local time"),
        pytest.param(ExifFacts(), "DSC01234.JPG", "Europe/Paris",
                     captured(MODIFIED, TakenAtSource.FILE_TIME, 60, PLACE), id="file time with a place"),
        pytest.param(ExifFacts(), "DSC01234.JPG", None,
                     captured(MODIFIED, TakenAtSource.FILE_TIME), id="file time"),
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
    assert resolve(read(impossible)) == captured(MODIFIED, TakenAtSource.FILE_TIME)


@pytest.mark.parametrize(
    "possible",
    [utc(1826, 1, 1), utc(1998, 1, 1), utc(1980, 1, 2), utc(2025, 6, 2, 12)],
    ids=str,
)
def test_an_extreme_time_is_kept(possible: datetime) -> None:
    assert resolve(read(possible)).taken_at == possible


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
    written = parse_written_time(text, subseconds, offset)
    assert written is not None
    assert (written.time.isoformat(), written.precision) == (expected, TakenAtPrecision.SECOND)


@pytest.mark.parametrize(
    ("text", "expected", "precision"),
    [
        # Phones that count the hours from 1 to 24, e.g. in IMG_20190101_000420.jpg.
        ("2015:08:22 24:08:19", "2015-08-22T00:08:19", TakenAtPrecision.SECOND),
        ("2019:01:01 24:04:20", "2019-01-01T00:04:20", TakenAtPrecision.SECOND),
        ("2002: 1: 8 15: 8:34", "2002-01-08T15:08:34", TakenAtPrecision.SECOND),
        ("2016:12:31 23:59:60", "2017-01-01T00:00:00", TakenAtPrecision.SECOND),
        ("2016:12:31 00:00:00", "2016-12-31T00:00:00", TakenAtPrecision.SECOND),
        ("2016:12:31 23:59", "2016-12-31T23:59:00", MINUTE),
        ("2016:12:31 23:59:  ", "2016-12-31T23:59:00", MINUTE),
        ("2016-12-31T23:59+02:00", "2016-12-31T23:59:00+02:00", MINUTE),
        ("2016:12:31", "2016-12-31T12:00:00", DAY),
        ("2016:12:31   :  :  ", "2016-12-31T12:00:00", DAY),
        ("2016-12-31", "2016-12-31T12:00:00", DAY),
        ("1993:08:   ", "1993-08-01T12:00:00", MONTH),
        ("1993:08:     :  :  ", "1993-08-01T12:00:00", MONTH),
        ("1993:08:00 00:00:00", "1993-08-01T12:00:00", MONTH),
        ("1993-08", "1993-08-01T12:00:00", MONTH),
        ("1950:00:00", "1950-01-01T12:00:00", YEAR),
        ("1950:00:00 00:00:00", "1950-01-01T12:00:00", YEAR),
        ("1950:  :     :  :  ", "1950-01-01T12:00:00", YEAR),
        ("1950", "1950-01-01T12:00:00", YEAR),
    ],
)
def test_times_that_programs_write(text: str, expected: str, precision: TakenAtPrecision) -> None:
    written = parse_written_time(text)
    assert written is not None
    assert (written.time.isoformat(), written.precision) == (expected, precision)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "    :  :     :  :  ",
        "0000:00:00 00:00:00",
        "2008:13:01 00:00:00",
        "2008:02:30 10:00:00",
        "2008:05:30 25:00:00",
        "2008:05:30 15:56:61",
        "2008:05:30 15:60:00",
        "2008:02:30",
        "2008:13",
        "2008:00:30",
        "0000:00:00",
        "0000",
        "20080530",
        "yesterday",
        "٢٠٠٨:٠٥:٣٠ ١٥:٥٦:٠١",
    ],
)
def test_no_exif_time(text: str) -> None:
    assert parse_written_time(text) is None


@given(st.text(), st.text(), st.text())
def test_no_text_makes_the_parsers_raise(text: str, subseconds: str, offset: str) -> None:
    for written in (parse_written_time(text, subseconds, offset), time_in_file_name(text)):
        assert written is None or isinstance(written, WrittenTime)


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
    assert [written.time.isoformat() for written in facts.times] == [
        "2023-07-14T18:30:12.250000+02:00",
        "2024-01-01T00:00:00",
    ]
    assert facts.gps_time == WrittenTime(utc(2023, 7, 14, 16, 30, 11, 500000))
    assert facts.place is not None
    assert facts.place.latitude == pytest.approx(PARIS.latitude)


@pytest.mark.parametrize("orientation", [0, 9, 65535, "6", -1])
def test_an_impossible_orientation_counts_as_upright(exif: MakeExif, orientation: object) -> None:
    assert read_exif(exif({BASE.Orientation: orientation})).orientation == 1


@pytest.mark.parametrize(
    "gps",
    [
        {GPS.GPSDateStamp: "2023:02:30", GPS.GPSTimeStamp: (1.0, 2.0, 3.0)},
        {GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: (25.0, 0.0, 0.0)},
        {GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: (1.0, 2.0)},
        {GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: "01:02:03"},
        {GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: (IFDRational(1, 0), 0.0, 0.0)},
    ],
)
def test_no_gps_time(exif: MakeExif, gps: dict[int, object]) -> None:
    assert read_exif(exif(gps=gps)).gps_time is None


def test_a_date_stamp_without_a_time_is_the_day(exif: MakeExif) -> None:
    facts = read_exif(exif(gps={GPS.GPSDateStamp: "2023:07:14"}))
    assert facts.gps_time == WrittenTime(utc(2023, 7, 14, 12), DAY)
    assert resolve(facts) == captured(utc(2023, 7, 14, 12), TakenAtSource.GPS, precision=DAY)


def test_a_receiver_without_a_fix_is_not_believed(exif: MakeExif) -> None:
    seen = {**PARIS_GPS, GPS.GPSDateStamp: "2023:07:14", GPS.GPSTimeStamp: (16.0, 30.0, 11.5)}
    for status, believed in (("A", True), ("V", False), ("V\0", False), ("", True)):
        facts = read_exif(exif(gps={**seen, GPS.GPSStatus: status}))
        assert (facts.place is not None, facts.gps_time is not None) == (believed, believed)


def test_the_time_of_the_exposure_may_be_in_the_first_directory(exif: MakeExif) -> None:
    facts = read_exif(
        exif({BASE.DateTimeOriginal: "2020:01:02 03:04:05", BASE.DateTime: "2024:01:01 00:00:00"})
    )
    assert [written.time.isoformat() for written in facts.times] == [
        "2020-01-02T03:04:05",
        "2024-01-01T00:00:00",
    ]


@pytest.mark.parametrize(
    ("original", "zone", "expected"),
    [
        ("2023:07:14 18:30:12", None, captured(utc(2023, 7, 14, 9, 30, 12), TakenAtSource.EXIF, 540, SAME_TIME)),
        ("2023:07:14 18:30:12", "Europe/Paris",
         captured(utc(2023, 7, 14, 16, 30, 12), TakenAtSource.EXIF, 120, PLACE)),
        ("2023:07:14 18:30:13", None, captured(utc(2023, 7, 14, 22, 30, 13), TakenAtSource.EXIF)),
        ("2023:07:14", None, captured(utc(2023, 7, 14, 9, 30, 12), TakenAtSource.EXIF, 540, STATED)),
    ],
)  # fmt: skip
def test_an_offset_is_borrowed_from_a_time_that_reads_the_same(
    exif: MakeExif, original: str, zone: str | None, expected: CaptureTime
) -> None:
    facts = read_exif(
        exif(
            {BASE.DateTime: "2023:07:14 18:30:12"},
            {BASE.DateTimeOriginal: original, BASE.OffsetTime: "+09:00"},
        )
    )
    assert resolve(facts, zone=zone) == expected


def test_an_offset_of_its_own_comes_before_a_borrowed_one(exif: MakeExif) -> None:
    same = "2023:07:14 18:30:12"
    camera = {BASE.DateTimeOriginal: same, BASE.OffsetTimeOriginal: "+02:00", BASE.OffsetTime: "+09:00"}
    assert resolve(read_exif(exif({BASE.DateTime: same}, camera))) == captured(
        utc(2023, 7, 14, 16, 30, 12), TakenAtSource.EXIF, 120, STATED
    )


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("2023:07:14", "IMG_20230714_183012.jpg", captured(utc(2023, 7, 14, 22, 30, 12), TakenAtSource.FILE_NAME)),
        ("2023:07:14", "IMG_20230715_183012.jpg",
         captured(utc(2023, 7, 14, 16), TakenAtSource.EXIF, precision=DAY)),
        ("2023:07:  ", "IMG-20230714-WA0001.jpg",
         captured(utc(2023, 7, 14, 16), TakenAtSource.FILE_NAME, precision=DAY)),
        ("2023:07:  ", "x.jpg", captured(utc(2023, 7, 1, 16), TakenAtSource.EXIF, precision=MONTH)),
        ("1950:00:00", "x.jpg", captured(utc(1950, 1, 1, 17), TakenAtSource.EXIF, precision=YEAR)),
        ("1970:00:00", "x.jpg", captured(utc(1970, 1, 1, 17), TakenAtSource.EXIF, precision=YEAR)),
        ("1970:01:01", "x.jpg", captured(MODIFIED, TakenAtSource.FILE_TIME)),
        ("2023:07:14 18:30", "IMG_20230714_183012.jpg",
         captured(utc(2023, 7, 14, 22, 30), TakenAtSource.EXIF, precision=MINUTE)),
    ],
)  # fmt: skip
def test_a_later_source_that_agrees_and_knows_more_is_taken(
    exif: MakeExif, text: str, name: str, expected: CaptureTime
) -> None:
    assert resolve(read_exif(exif(camera={BASE.DateTimeOriginal: text})), name) == expected
