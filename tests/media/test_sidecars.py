"""Sidecars: what is read from them, what is refused, and when a time in them is a correction."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from photolineage.catalog.vocabulary import UtcOffsetSource, WrittenField
from photolineage.media import TakenAtSource, read_original
from photolineage.media.sidecars import MAX_SIDECAR_BYTES, read_sidecars
from photolineage.media.written import Written
from tests.library import draw_photo
from tests.media.test_xmp import packet

TAKEN = datetime(2024, 7, 20, 18, 30, 12, tzinfo=UTC)
TAKEOUT = {
    "title": "IMG_1234.jpg",
    "description": "Anna&#39;s kayak",
    "creationTime": {"timestamp": "1700000000"},
    "photoTakenTime": {"timestamp": "1564653600", "formatted": "1 Aug 2019, 10:00:00 UTC"},
    "geoData": {"latitude": 43.55, "longitude": 10.3, "altitude": 0.0},
    "people": [{"name": "Anna"}, {"name": "Bob\u0007"}],
    "favorited": True,
}


def sidecar(folder: Path, name: str, content: bytes | dict[str, Any]) -> str:
    (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return name


def said(folder: Path, name: str) -> list[tuple[str, str]]:
    ((_, found),) = read_sidecars(str(folder), [name])
    return [(one.field.value, one.value) for one in found]


def test_the_json_of_takeout(tmp_path: Path) -> None:
    assert said(tmp_path, sidecar(tmp_path, "a.jpg.json", TAKEOUT)) == [
        ("description", "Anna's kayak"),
        ("person", "Anna"),
        ("person", "Bob"),
        ("keyword", "favorite"),
        ("time", "2019-08-01T10:00:00+00:00"),
        ("position", "43.55 10.3"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        {"name": "package", "version": "1"},
        b"[1, 2]",
        {"photoTakenTime": {"timestamp": "soon"}, "people": 3, "favorited": "no"},
    ],
)
def test_the_json_of_others_says_nothing(tmp_path: Path, content: bytes | dict[str, Any]) -> None:
    assert said(tmp_path, sidecar(tmp_path, "a.jpg.json", content)) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b"[" * 1_000_000, "more than 32 levels"),
        ("a.json", b'{"a": "' + b'\\"' * 2_000_000, "damaged"),
        ("a.json", b'{"photoTakenTime": ', "damaged"),
        ("a.json", b'{"a": ' + b"9" * 10_000 + b"}", "damaged"),
        ("a.json", b"\xff\xfe{}", "not valid UTF-8"),
        ("a.xmp", b" " * (MAX_SIDECAR_BYTES + 1), "exceed the limit of 4,194,304 for a sidecar"),
        ("a.xmp", b"", "the file is empty"),
        ("a.xmp", b"<a>", "damaged"),
    ],
    ids=["levels", "a string without an end", "cut off", "a long number", "UTF-16", "too large", "empty", "no end"],
)  # fmt: skip
def test_a_broken_sidecar_is_a_reason_and_the_photo_is_read(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    photo = draw_photo(tmp_path / "a.jpg", 1, taken_at=TAKEN)
    original = read_original(photo, sidecars=[sidecar(tmp_path, name, content)])
    assert original.taken_at == TAKEN
    (problem,) = original.written
    assert (problem.field, problem.origin) == (WrittenField.PROBLEM, name)
    assert reason in problem.value


def test_a_pipe_and_a_missing_file_are_reasons(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xmp")
    assert said(tmp_path, "a.xmp") == [("problem", "unsupported: not a regular file")]
    assert said(tmp_path, "b.xmp") == [("problem", "vanished: No such file or directory")]


def test_the_first_file_that_says_something_counts(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "a.jpg", 1, taken_at=TAKEN)
    sidecar(tmp_path, "a.jpg.xmp", packet("<dc:subject>Sea</dc:subject>", 'xmp:Rating="2" dc:title="One"'))
    sidecar(
        tmp_path,
        "a.xmp",
        packet("<dc:subject>sea</dc:subject><dc:subject>sun</dc:subject>", 'dc:title="Two"'),
    )
    assert read_original(photo, sidecars=["a.jpg.xmp", "a.xmp"]).written == (
        Written(WrittenField.TITLE, "One", "XMP dc:title", "a.jpg.xmp"),
        Written(WrittenField.KEYWORD, "Sea", "XMP dc:subject", "a.jpg.xmp"),
        Written(WrittenField.RATING, "2", "XMP xmp:Rating", "a.jpg.xmp"),
        Written(WrittenField.KEYWORD, "sun", "XMP dc:subject", "a.xmp"),
    )


@pytest.mark.parametrize(
    ("properties", "expected", "source"),
    [
        ('exif:DateTimeOriginal="2024-07-20T18:30:12"', TAKEN, TakenAtSource.EXIF),
        ('exif:DateTimeOriginal="2024-07-20T20:30:12+02:00"', TAKEN, TakenAtSource.EXIF),
        ('photoshop:DateCreated="2024-07-20"', TAKEN, TakenAtSource.EXIF),
        ('exif:DateTimeOriginal="2024-07-20T18:30"', TAKEN, TakenAtSource.EXIF),
        ('xmp:CreateDate="1999-01-01T00:00:00"', TAKEN, TakenAtSource.EXIF),
        ('exif:DateTimeOriginal="2023-07-20T18:30:12"', TAKEN.replace(year=2023), TakenAtSource.SIDECAR),
        ('exif:DateTimeOriginal="2024:07:20 18:31:12"', TAKEN.replace(minute=31), TakenAtSource.SIDECAR),
        ('exif:DateTimeOriginal="2124-07-20T18:30:12"', TAKEN, TakenAtSource.EXIF),
    ],
    ids=["same", "same instant", "same day", "same minute", "no correction", "year", "minute", "impossible"],
)
def test_a_corrected_time_in_xmp(
    tmp_path: Path, properties: str, expected: datetime, source: TakenAtSource
) -> None:
    photo = draw_photo(tmp_path / "a.jpg", 1, taken_at=TAKEN)
    original = read_original(photo, sidecars=[sidecar(tmp_path, "a.xmp", packet("", properties))])
    assert (original.taken_at, original.taken_at_source) == (expected, source)
    times = [one.origin for one in original.written if one.field is WrittenField.TIME]
    assert times == (["a.xmp"] if source is TakenAtSource.SIDECAR else [])


@pytest.mark.parametrize(
    ("seconds", "source"),
    [
        (0, TakenAtSource.EXIF),
        (-7200, TakenAtSource.EXIF),
        (5 * 3600 + 1800, TakenAtSource.EXIF),
        (61, TakenAtSource.SIDECAR),
        (15 * 3600, TakenAtSource.SIDECAR),
        (-86400 * 365, TakenAtSource.SIDECAR),
    ],
)
def test_a_time_of_takeout_that_differs_by_a_time_zone_is_no_correction(
    tmp_path: Path, seconds: int, source: TakenAtSource
) -> None:
    photo = draw_photo(tmp_path / "a.jpg", 1, taken_at=TAKEN)
    facts = TAKEOUT | {"photoTakenTime": {"timestamp": str(int(TAKEN.timestamp()) + seconds)}}
    original = read_original(photo, sidecars=[sidecar(tmp_path, "a.jpg.json", facts)])
    assert original.taken_at_source is source
    moved = original.taken_at - TAKEN
    assert moved.total_seconds() == (seconds if source is TakenAtSource.SIDECAR else 0)


def test_a_photo_without_exif_gets_the_time_and_the_place_of_its_sidecar(tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "a.jpg", 1)
    original = read_original(photo, sidecars=[sidecar(tmp_path, "a.jpg.json", TAKEOUT)])
    assert original.taken_at == datetime(2019, 8, 1, 10, tzinfo=UTC)
    assert (original.taken_at_source, original.utc_offset_source) == (
        TakenAtSource.SIDECAR,
        UtcOffsetSource.PLACE,
    )
    assert (original.latitude, original.longitude, original.time_zone) == (43.55, 10.3, "Europe/Rome")


def test_the_place_that_somebody_set_comes_before_the_receivers(photos: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes((photos / "jpg" / "gps" / "DSCN0010.jpg").read_bytes())
    sidecar(tmp_path, "a.jpg.json", TAKEOUT)
    sidecar(tmp_path, "a.xmp", packet("", 'exif:GPSLatitude="48,51.504N" exif:GPSLongitude="2,17,40.2E"'))
    assert read_original(photo, sidecars=["a.jpg.json"]).latitude == read_original(photo).latitude
    assert read_original(photo, sidecars=["a.xmp"]).latitude == 48.8584
