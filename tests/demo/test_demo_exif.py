from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from photolineage.demo.plan import COMPACT, COMPACT_CLOCK, LIBRARY_SEED, PHONE, Shot, plan_library
from photolineage.demo.scenes import render_scene
from tests.demo.conftest import DrawnLibrary

SHOTS = plan_library().shots
PHONE_SHOTS = [shot for shot in SHOTS if shot.camera is PHONE]
COMPACT_SHOTS = [shot for shot in SHOTS if shot.camera is COMPACT]


def _tags(photos: Path, shot: Shot) -> tuple[Image.Exif, dict[int, Any], dict[int, Any]]:
    with Image.open(photos / shot.truth.path) as picture:
        exif = picture.getexif()
        return exif, exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)


def _written_time(tags: dict[int, Any]) -> datetime:
    stamp = f"{tags[ExifTags.Base.DateTimeOriginal]}.{tags[ExifTags.Base.SubsecTimeOriginal]}"
    return datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S.%f")  # noqa: DTZ007 - a camera's clock has no zone


def test_the_phone_writes_the_true_instant_with_its_offset(drawn_library: DrawnLibrary) -> None:
    offsets = set()
    for shot in PHONE_SHOTS:
        _, tags, _ = _tags(drawn_library.photos, shot)
        offset = datetime.strptime(tags[ExifTags.Base.OffsetTimeOriginal], "%z").tzinfo
        assert _written_time(tags).replace(tzinfo=offset) == shot.truth.taken_at
        offsets.add(tags[ExifTags.Base.OffsetTimeOriginal])
    assert offsets == {"+00:00", "+01:00", "+02:00", "+03:00", "-04:00"}


def test_the_compact_camera_s_clock_is_apart_by_a_constant_and_has_no_offset(
    drawn_library: DrawnLibrary,
) -> None:
    apart = set()
    for shot in COMPACT_SHOTS:
        _, tags, gps = _tags(drawn_library.photos, shot)
        assert ExifTags.Base.OffsetTimeOriginal not in tags
        assert not gps
        apart.add(_written_time(tags) - shot.truth.taken_at.replace(tzinfo=None))
    assert apart == {COMPACT_CLOCK}
    assert timedelta(hours=1) < COMPACT_CLOCK < timedelta(hours=2)


def test_the_phone_writes_where_it_was(drawn_library: DrawnLibrary) -> None:
    hemispheres = set()
    for shot in PHONE_SHOTS:
        _, _, gps = _tags(drawn_library.photos, shot)
        refs = gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLongitudeRef]
        latitude, longitude = (
            sum(float(part) / 60**power for power, part in enumerate(gps[tag]))
            for tag in (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude)
        )
        assert (-latitude if refs[0] == "S" else latitude) == pytest.approx(shot.truth.latitude, abs=1e-6)
        assert (-longitude if refs[1] == "W" else longitude) == pytest.approx(shot.truth.longitude, abs=1e-6)
        date, clock = gps[ExifTags.GPS.GPSDateStamp], gps[ExifTags.GPS.GPSTimeStamp]
        at = datetime.strptime(date, "%Y:%m:%d").replace(tzinfo=UTC) + timedelta(
            hours=float(clock[0]), minutes=float(clock[1]), seconds=float(clock[2])
        )
        assert at == shot.truth.taken_at.replace(microsecond=0)
        hemispheres.add(refs)
    assert hemispheres == {("N", "E"), ("N", "W"), ("S", "E")}


def test_both_cameras_sign_their_pictures(drawn_library: DrawnLibrary) -> None:
    for shot in (PHONE_SHOTS[0], COMPACT_SHOTS[0]):
        exif, _, _ = _tags(drawn_library.photos, shot)
        assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.Model]) == (shot.camera.make, shot.camera.model)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_picture_comes_out_upright_by_exif(drawn_library: DrawnLibrary, orientation: int) -> None:
    turned = next(shot for shot in SHOTS if shot.orientation == orientation and shot.frame is None)
    width, height = turned.camera.size
    upright_size = (height, width) if orientation >= 5 else (width, height)
    drawn = render_scene(
        turned.truth.scene or "", np.random.default_rng([LIBRARY_SEED, turned.seed]), upright_size
    )
    with Image.open(drawn_library.photos / turned.truth.path) as stored:
        assert stored.size == turned.camera.size
        assert stored.getexif()[ExifTags.Base.Orientation] == orientation
        upright = ImageOps.exif_transpose(stored)
    difference = np.abs(np.asarray(upright, dtype=float) - np.asarray(drawn, dtype=float))
    assert difference.mean() < 4
