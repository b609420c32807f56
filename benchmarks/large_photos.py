"""Draws JPEGs as large as a camera's, and decodes them: the least work that registering needs."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image
from PIL.Image import Resampling

SIZE = (4032, 3024)
DRAWINGS = 8
NOISE = 6.0
"""The standard deviation of sensor noise in 8-bit steps. With it, a photo of quality 90 has 3 to 4 MB."""
SHORT_SIDE = 368
"""The smallest short side to decode for a preview of 384: it allows an eighth of 3,024 pixels, which is 378."""


def draw_photos(folder: Path, count: int, seed: int) -> Iterator[Path]:
    """Draw `count` different JPEGs of 12 megapixels, with EXIF and with enough detail for a preview."""
    rng = np.random.default_rng(seed)
    drawings = [_draw(rng) for _ in range(min(DRAWINGS, count))]
    folder.mkdir(parents=True)
    for number in range(count):
        path = folder / f"IMG_{number:05}.jpg"
        drawing = drawings[number % len(drawings)]
        comment = f"{seed}/{number}".encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        path.write_bytes(drawing[:2] + segment + drawing[2:])
        yield path


def _draw(rng: np.random.Generator) -> bytes:
    blocks = Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).resize(SIZE, Resampling.BICUBIC)
    noise = rng.normal(0, NOISE, (SIZE[1], SIZE[0], 1))
    pixels = np.clip(np.asarray(blocks, np.float32) + noise, 0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "a camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


def decode_alone(path: Path) -> tuple[int, int]:
    """Decode a JPEG, scaled by the decoder to at least the size of a preview. Returns its size."""
    with Image.open(path) as image:
        image.draft("RGB", (SHORT_SIDE, SHORT_SIDE))
        image.load()
        return image.size
