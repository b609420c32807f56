"""12-megapixel JPEGs that cost as much to decode as photographs: detail at every scale, and sensor grain."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 4000, 3000
_MARGIN = 400
_GRAIN = 3.0
_QUALITY = 92
_SCALES = (8, 16, 32, 64, 128, 256, 512, 1024)
_PICTURES = 24


def write_photographs(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write `count` different files of about 4 megabytes each. Returns their paths in order.

    After the first two dozen, pictures are repeated with another comment and so another hash. Decoding costs the same,
    and drawing takes less time.
    """
    folder.mkdir(parents=True)
    encoded = [_encoded(picture) for picture in _pictures(min(count, _PICTURES), seed)]
    paths = []
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        path.write_bytes(_with_comment(encoded[number % len(encoded)], f"{number:05}"))
        paths.append(path)
    return paths


def _pictures(count: int, seed: int) -> Iterator[Image.Image]:
    """Crops of one canvas, some of them mirrored or upside down."""
    draw = np.random.default_rng(seed)
    canvas = _canvas(draw)
    for _ in range(count):
        top, left = draw.integers(0, _MARGIN, 2)
        crop = canvas[top : top + HEIGHT, left : left + WIDTH]
        yield Image.fromarray(crop[:: draw.choice([-1, 1]), :: draw.choice([-1, 1])])


def _canvas(draw: np.random.Generator) -> NDArray[np.uint8]:
    """Noise with an amplitude that falls with its frequency, as in natural images (Field 1987), and grain."""
    size = WIDTH + _MARGIN, HEIGHT + _MARGIN
    canvas = np.full((size[1], size[0], 3), 118, np.float32)
    for cells in _SCALES:
        coarse = draw.normal(size=(max(2, cells * 3 // 4), cells, 3)).astype(np.float32)
        coarse = 0.75 * coarse.mean(axis=2, keepdims=True) + 0.25 * coarse
        for channel in range(3):
            layer = Image.fromarray(coarse[:, :, channel]).resize(size, Image.Resampling.BICUBIC)
            canvas[:, :, channel] += 45 * (cells / _SCALES[0]) ** -0.4 * np.asarray(layer)
    canvas += draw.normal(scale=_GRAIN, size=(size[1], size[0], 1)).astype(np.float32)
    return canvas.clip(0, 255).astype(np.uint8)


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def _with_comment(jpeg: bytes, comment: str) -> bytes:
    """The JPEG with a comment segment after its first marker."""
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment.encode() + jpeg[2:]
