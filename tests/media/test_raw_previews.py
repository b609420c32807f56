"""A camera's raw file is read by the preview embedded in it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from photolineage.media import FailureReason, UnreadableImageError, decode_upright, read_original

pytest.importorskip("rawpy", reason="the extra `raw` is not installed")
SKY, GROUND = (30, 30, 200), (200, 30, 30)


@pytest.fixture
def preview() -> Image.Image:
    image = Image.new("RGB", (320, 240), GROUND)
    image.paste(SKY, (0, 0, 320, 60))
    return image


def _nearest(pixel: tuple[int, ...]) -> tuple[int, int, int]:
    return min((SKY, GROUND), key=lambda color: sum(abs(a - b) for a, b in zip(pixel, color, strict=True)))


@pytest.mark.parametrize(
    ("orientation", "size", "sky"),
    [
        (1, (320, 240), (160, 10)),
        (3, (320, 240), (160, 230)),
        (6, (240, 320), (230, 160)),
        (8, (240, 320), (10, 160)),
    ],
)
def test_the_preview_is_turned_as_the_sensor_was(  # type: ignore[no-untyped-def]
    tmp_path: Path, preview, raw_file, orientation, size, sky
) -> None:
    path = tmp_path / "photo.dng"
    path.write_bytes(raw_file(preview, orientation))
    original = read_original(path, assumed_time_zone="Asia/Tokyo")
    assert (original.format, original.width, original.height) == ("RAW", *size)
    assert (original.orientation, original.camera) == (orientation, "PENTAX K10D")
    assert original.taken_at == datetime.fromisoformat("2008-05-04T16:47:24+09:00")
    image = decode_upright(path.read_bytes())
    assert image.size == size
    assert _nearest(image.getpixel(sky)) == SKY  # type: ignore[arg-type]
    assert _nearest(image.getpixel((size[0] // 2, size[1] // 2))) == GROUND  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", [200, 2100, 3100])
def test_a_damaged_raw_file_has_a_reason(
    preview: Image.Image, raw_file: Callable[..., bytes], cut: int
) -> None:
    with pytest.raises(UnreadableImageError) as caught:
        decode_upright(raw_file(preview, 1)[:cut])
    assert caught.value.reason in (FailureReason.CORRUPT, FailureReason.UNSUPPORTED)
