"""How much memory an image takes is known from its header, in every format."""

import io
from collections.abc import Callable

import pytest
from PIL import Image

from photolineage.media.memory_need import memory_to_decode
from tests.media.conftest import needs_jpeg_xl

Encode = Callable[..., bytes]
SIDE = 400


def need(data: bytes, short_side: int | None = 384) -> int:
    """Without the file's bytes and what every image takes."""
    empty = memory_to_decode(io.BytesIO(b""), 0, short_side)
    return memory_to_decode(io.BytesIO(data), len(data), short_side) - empty - len(data)


@pytest.mark.parametrize(
    ("image_format", "mode", "options", "bytes_per_pixel"),
    [
        ("JPEG", "RGB", {}, 9),
        ("JPEG", "RGB", {"progressive": True}, 12),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 0}, 15),
        ("JPEG", "L", {"progressive": True}, 11),
        ("JPEG", "CMYK", {"progressive": True, "subsampling": 0}, 17),
        ("PNG", "RGB", {}, 9),
        ("PNG", "I;16", {}, 12),
        ("GIF", "P", {}, 9),
        ("BMP", "RGB", {}, 9),
        ("WEBP", "RGB", {}, 17),
        ("WEBP", "RGB", {"lossless": True}, 17),
        ("WEBP", "RGBA", {}, 17),
        ("TIFF", "L", {}, 10),
        ("TIFF", "RGB", {}, 12),
        ("TIFF", "F", {}, 16),
        ("TIFF", "RGB", {"big_tiff": True}, 12),
        ("HEIF", "RGB", {}, 8),
        ("AVIF", "RGB", {}, 12),
        pytest.param("JXL", "RGB", {}, 24, marks=needs_jpeg_xl),
        ("JPEG2000", "RGB", {}, 21),
        ("JPEG2000", "L", {}, 13),
    ],
)
def test_the_need_grows_with_the_pixels(
    encode: Encode, image_format: str, mode: str, options: dict[str, object], bytes_per_pixel: float
) -> None:
    data = encode(Image.new(mode, (2 * SIDE, SIDE), 9 if len(mode) == 1 else None), image_format, **options)
    assert need(data) == pytest.approx(bytes_per_pixel * 2 * SIDE * SIDE, rel=0.02)


def test_a_jpeg_of_one_scan_is_scaled_while_it_is_decoded(encode: Encode) -> None:
    data = encode(Image.new("RGB", (3_200, 3_200)), "JPEG", progressive=False)
    assert need(data) < need(data, 1_600) / 3.9
    assert need(data, 1_600) < need(data, None) / 3.9


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_a_header_that_ends_early_is_no_error(encode: Encode, image_format: str) -> None:
    data = encode(Image.new("RGB", (64, 64)), image_format)
    for cut in range(min(200, len(data))):
        assert memory_to_decode(io.BytesIO(data[:cut]), cut, 384) < 2**26
