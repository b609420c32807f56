"""The comparison with ExifTool finds what differs, and nothing differs in the real photos."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from benchmarks import metadata
from photolineage.media import read_original
from tests.media.conftest import PHOTOS
from tests.media.test_capture_time import BASE, GPS, PARIS_GPS

needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")


def _photo(path: Path) -> Path:
    exif = Image.Exif()
    exif.update({BASE.Make: "Maker", BASE.Model: "Camera 1", BASE.Orientation: 6})
    exif.get_ifd(0x8769).update(
        {BASE.DateTimeOriginal: "2023:07:14 18:30:12", BASE.OffsetTimeOriginal: "+02:00"}
    )
    exif.get_ifd(0x8825).update({**PARIS_GPS, GPS.GPSAltitudeRef: b"\0", GPS.GPSAltitude: 35.0})
    Image.new("RGB", (64, 48)).save(path, exif=exif)
    return path


@needs_exiftool
@pytest.mark.parametrize(
    ("fact", "changes"),
    [
        ("offset", {"utc_offset_minutes": 60}),
        ("place", {"latitude": 48.9}),
        ("altitude", {"altitude_m": 36.0}),
        ("orientation", {"orientation": 1}),
        ("size", {"width": 64}),
        ("camera", {"camera": "Maker"}),
    ],
)
def test_a_wrong_fact_is_found(tmp_path: Path, fact: str, changes: dict[str, Any]) -> None:
    path = _photo(tmp_path / "x.jpg")
    (theirs,) = metadata.read_with_exiftool(tmp_path).values()
    original = read_original(path)
    assert list(metadata.differences("x.jpg", theirs, original)) == []
    found = list(metadata.differences("x.jpg", theirs, replace(original, **changes)))
    assert fact in [difference.fact for difference in found if not difference.reason]


@needs_exiftool
def test_a_wrong_time_is_found(tmp_path: Path) -> None:
    path = _photo(tmp_path / "x.jpg")
    (theirs,) = metadata.read_with_exiftool(tmp_path).values()
    original = read_original(path)
    late = replace(original, taken_at=original.taken_at + timedelta(seconds=1))
    (found,) = metadata.differences("x.jpg", theirs, late)
    assert (found.fact, found.exiftool, found.photolineage, found.reason) == (
        "time",
        "2023:07:14 18:30:12",
        "2023:07:14 18:30:13",
        "",
    )


@needs_exiftool
def test_nothing_differs_in_the_real_photos() -> None:
    if not PHOTOS.is_dir():
        pytest.skip(f"the real photos are not at {PHOTOS}")
    figures = metadata.measure(PHOTOS)
    assert (figures["files"], figures["disagreements"], figures["unreadable"]) == (100, 0, [])


def test_without_exiftool_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    app = typer.Typer()
    app.command()(metadata.main)
    result = CliRunner().invoke(app, [str(tmp_path)])
    assert result.exit_code == 2
    assert "exiftool is not installed" in result.output
