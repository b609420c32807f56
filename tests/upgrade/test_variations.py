"""Near-duplicates are what they are said to be, and the same for the same seed."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photolineage.upgrade.comparing import Variation
from photolineage.upgrade.comparing.variations import vary


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (60, 80, 3), np.uint8))


def pixels(picture: Image.Image) -> NDArray[np.int16]:
    return np.asarray(picture, np.int16)


def test_a_crop_is_a_window_of_the_picture(picture: Image.Image) -> None:
    cropped = vary(picture, Variation.CROP, 3)
    assert cropped.size == (64, 48)
    windows = np.lib.stride_tricks.sliding_window_view(pixels(picture), (48, 64, 3))
    assert (windows == pixels(cropped)).all(axis=(-3, -2, -1)).sum() == 1
    assert vary(picture, Variation.CROP, 3) == cropped
    assert vary(picture, Variation.CROP, 4) != cropped


def test_a_rescaled_picture_is_half_as_wide_and_high(picture: Image.Image) -> None:
    assert vary(picture, Variation.RESCALE, 0).size == (40, 30)
    assert vary(Image.new("RGB", (1, 1)), Variation.RESCALE, 0).size == (1, 1)


def test_a_recompressed_picture_has_lost_detail_and_no_pixel(picture: Image.Image) -> None:
    recompressed = vary(picture, Variation.RECOMPRESS, 0)
    assert recompressed.size == picture.size
    assert recompressed.mode == "RGB"
    assert np.abs(pixels(recompressed) - pixels(picture)).mean() > 5
