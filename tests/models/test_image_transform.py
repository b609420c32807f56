"""The two halves of a transform are the whole."""

import numpy as np
import pytest
import torch
from open_clip.transform import image_transform
from PIL import Image

from photolineage.models.image_transform import ImageTransform

MEAN, DEVIATION = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


@pytest.mark.parametrize(
    ("size", "mode", "shape"),
    [
        (64, "shortest", (3, 64, 64)),
        (64, "squash", (3, 64, 64)),
        (64, "longest", (3, 64, 64)),
        ((48, 64), "shortest", (3, 48, 64)),
    ],
)
def test_the_halves_are_open_clips_transform_within_two_levels(
    size: int | tuple[int, int], mode: str, shape: tuple[int, int, int]
) -> None:
    blocks = np.random.default_rng(1).integers(0, 256, (9, 12, 3), np.uint8)
    image = Image.fromarray(blocks).resize((400, 300), Image.Resampling.BICUBIC)
    whole = image_transform(size, is_train=False, mean=MEAN, std=DEVIATION, resize_mode=mode)
    halves = ImageTransform(whole)

    seen = halves.of_image(image)

    assert (seen.dtype, tuple(seen.shape)) == (torch.uint8, shape)
    difference = (halves.normalize(seen[None])[0] - whole(image)).abs()
    assert float((difference * torch.tensor(DEVIATION)[:, None, None]).max()) <= 2.01 / 255
