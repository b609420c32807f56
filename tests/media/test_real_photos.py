"""A hundred real photographs against what ExifTool 12.57 says about them (`photo_facts.tsv`)."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photolineage.media import TakenAtSource, read_original

# Under pytest, which sets the filters of warnings anew for every test.
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:PIL.TiffImagePlugin", "ignore::UserWarning:PIL.JpegImagePlugin"
)
FACTS = [
    line.split("\t") for line in (Path(__file__).parent / "photo_facts.tsv").read_text("utf-8").splitlines()
]
CLOCK_AHEAD = "jpg/WWL_(Polaroid)_ION230.jpg"
DAMAGED = "jpg/corrupted.jpg"


def _preview(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(read_original(path).preview))


def _rounded(number: float | None, digits: int) -> str:
    return "-" if number is None else str(round(number, digits))


def test_every_photo_is_in_the_table(photos: Path) -> None:
    found = {path.relative_to(photos).as_posix() for path in photos.rglob("*") if path.is_file()}
    assert found == {facts[0] for facts in FACTS}
    assert len(found) == 100


@pytest.mark.parametrize("facts", FACTS, ids=[facts[0] for facts in FACTS])
def test_facts_of_a_photo(photos: Path, facts: list[str]) -> None:
    path = photos / facts[0]
    original = read_original(path)
    preview = Image.open(io.BytesIO(original.preview))
    taken_at = original.taken_at.isoformat()
    if original.taken_at_source is TakenAtSource.FILE_TIME:
        assert original.taken_at.timestamp() == pytest.approx(path.stat().st_mtime, abs=1e-5)
        taken_at = "-"
    found = [
        original.format,
        str(original.width),
        str(original.height),
        str(original.orientation),
        taken_at,
        original.taken_at_source.value,
        "-" if original.utc_offset_minutes is None else str(original.utc_offset_minutes),
        original.time_zone or "-",
        _rounded(original.latitude, 6),
        _rounded(original.longitude, 6),
        _rounded(original.altitude_m, 1),
        original.camera or "-",
    ]
    expected = facts[1:]
    if facts[0] == CLOCK_AHEAD and datetime.now(UTC) + timedelta(days=1) >= datetime(
        2026, 11, 24, 14, 41, 16, tzinfo=UTC
    ):
        expected = [*facts[1:5], "2026-11-24T14:41:16+00:00", *facts[6:]]
    assert found == expected
    assert original.size_bytes == path.stat().st_size
    assert original.truncated == (facts[0] == DAMAGED)
    scale = min(1.0, 384 / min(original.width, original.height))
    assert preview.size == pytest.approx((original.width * scale, original.height * scale), rel=0.05, abs=1)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("shape", ["landscape", "portrait"])
def test_all_orientations_come_out_as_the_first(photos: Path, shape: str, orientation: int) -> None:
    folder = photos / "jpg" / "orientation"
    upright = np.asarray(_preview(folder / f"{shape}_1.jpg"), np.int16)
    turned = np.asarray(_preview(folder / f"{shape}_{orientation}.jpg"), np.int16)
    assert turned.shape == upright.shape
    assert np.abs(turned - upright).mean() < 6  # compressed one by one


def test_a_picture_that_is_not_turned_differs_more(photos: Path) -> None:
    """What the bound above is worth: the same picture upside down."""
    upright = np.asarray(_preview(photos / "jpg" / "orientation" / "landscape_1.jpg"), np.int16)
    assert np.abs(upright[::-1, ::-1] - upright).mean() > 40
