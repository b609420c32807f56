"""Photos of one shot, drawn."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags
from PIL import Image as PillowImage

DrawShot = Callable[..., Path]


@pytest.fixture
def draw_shot() -> DrawShot:
    """Draws a JPEG by a camera. Photos with the same `look` look alike, but no two have the same bytes."""
    count = 0

    def draw(path: Path, look: int, taken_at: datetime, *, width: int = 192, camera: str = "R5") -> Path:
        nonlocal count
        count += 1
        colours = np.random.default_rng(look).integers(0, 230, (6, 8, 3), np.uint8) + np.uint8(count % 20)
        exif = PillowImage.Exif()
        exif[ExifTags.Base.Model] = camera
        facts = exif.get_ifd(ExifTags.IFD.Exif)
        facts[ExifTags.Base.DateTimeOriginal] = f"{taken_at:%Y:%m:%d %H:%M:%S}"
        facts[ExifTags.Base.OffsetTimeOriginal] = "+00:00"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = PillowImage.fromarray(colours).resize(
            (width, width * 3 // 4), PillowImage.Resampling.BICUBIC
        )
        picture.save(path, exif=exif)
        return path

    return draw
