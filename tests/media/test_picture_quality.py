"""Of two pictures that show the same, the sharp and level one has the higher quality."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from photolineage.media.quality import picture_quality


def harbour() -> Image.Image:
    """A horizon, masts and houses, with the grain of a photograph."""
    picture = Image.new("RGB", (640, 480), (190, 210, 230))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 260, 640, 480), fill=(40, 80, 120))
    for left in range(40, 600, 90):
        draw.rectangle((left, 180, left + 50, 262), fill=(170, 90, 60))
        draw.line((left + 60, 90, left + 60, 300), fill=(30, 30, 30), width=4)
    grain = np.random.default_rng(0).normal(0, 4, (480, 640, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def tilted(picture: Image.Image, degrees: float) -> Image.Image:
    """The middle of the picture, turned."""
    width, height = picture.size
    middle = (width // 6, height // 6, width * 5 // 6, height * 5 // 6)
    return picture.rotate(degrees, Image.Resampling.BICUBIC).crop(middle)


@pytest.mark.parametrize("radius", [2, 4])
def test_a_blurred_picture_is_worse(radius: int) -> None:
    picture = harbour()
    assert picture_quality(picture.filter(ImageFilter.GaussianBlur(radius))) < picture_quality(picture) - 0.05


@pytest.mark.parametrize("degrees", [-8, -4, 4, 8])
def test_a_tilted_picture_is_worse(degrees: float) -> None:
    picture = harbour()
    assert picture_quality(tilted(picture, degrees)) < picture_quality(tilted(picture, 0)) - 0.05


def test_a_portrait_is_as_good_as_its_landscape() -> None:
    picture = harbour()
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    assert picture_quality(turned) == pytest.approx(picture_quality(picture), abs=0.06)


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 2), (192, 192)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_of_one_colour_has_a_quality_whatever_its_size(mode: str, size: tuple[int, int]) -> None:
    assert picture_quality(Image.new(mode, size, 128 if mode == "L" else (0, 128, 255))) == pytest.approx(
        0.083
    )


def test_blurred_photographs_are_worse(real_photos: Path) -> None:
    worse = []
    for path in sorted((real_photos / "jpg" / "gps").glob("*.jpg")):
        with Image.open(path) as picture:
            shown = picture.convert("RGB")
        worse.append(picture_quality(shown) - picture_quality(shown.filter(ImageFilter.GaussianBlur(4))))
    assert len(worse) == 9
    assert min(worse) > 0
