"""Photos that look alike, drawn: of one shot, of a burst, or of one picture."""

import itertools
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import ExifTags
from PIL import Image as PillowImage

_shades = itertools.count()


def draw_shot(path: Path, look: int, taken_at: datetime, *, width: int = 192) -> Path:
    """Draw a JPEG by a camera. Photos with the same `look` look alike, but are not the same, byte by byte."""
    colours = np.random.default_rng(look).integers(0, 230, (6, 8, 3), np.uint8) + np.uint8(next(_shades) % 20)
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Model] = "R5"
    facts = exif.get_ifd(ExifTags.IFD.Exif)
    facts[ExifTags.Base.DateTimeOriginal] = f"{taken_at:%Y:%m:%d %H:%M:%S}"
    facts[ExifTags.Base.OffsetTimeOriginal] = "+00:00"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PillowImage.fromarray(colours).resize((width, width * 3 // 4), PillowImage.Resampling.BICUBIC)
    picture.save(path, exif=exif)
    return path
