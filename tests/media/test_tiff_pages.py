"""A TIFF may have a thumbnail before its picture, as raw files have."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from photolineage.media import decode_upright, read_original
from photolineage.media.formats import format_of
from photolineage.media.memory_need import memory_to_decode

SCANNER = b"Scanner 1\0"


def _pages(*pages: tuple[Image.Image, int], camera: bytes = b"") -> bytes:
    """A TIFF of these pages, each with its NewSubfileType. The first one names the camera."""
    data, link = bytearray(b"II*\0" + bytes(4)), 4
    for number, (image, kind) in enumerate(pages):
        pixels = image.tobytes()
        pixels_at = len(data)
        data += pixels + bytes(len(pixels) % 2)
        model_at = len(data)
        model = camera if number == 0 else b""
        data += model + bytes(len(model) % 2)
        bands = len(image.getbands())
        entries = [
            (254, 4, 1, kind), (256, 4, 1, image.width), (257, 4, 1, image.height), (258, 3, 1, 8), (259, 3, 1, 1),
            (262, 3, 1, 2 if bands == 3 else 1), *([(272, 2, len(model), model_at)] if model else []),
            (273, 4, 1, pixels_at), (277, 3, 1, bands), (278, 4, 1, image.height), (279, 4, 1, len(pixels)),
        ]  # fmt: skip
        struct.pack_into("<I", data, link, len(data))
        data += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        link = len(data)
        data += bytes(4)
    return bytes(data)


@pytest.fixture
def thumbnail() -> Image.Image:
    return Image.new("RGB", (16, 12), "black")


@pytest.fixture
def picture() -> Image.Image:
    return Image.new("RGB", (320, 240), "red")


def test_the_picture_behind_a_thumbnail_is_read(
    tmp_path: Path, thumbnail: Image.Image, picture: Image.Image
) -> None:
    data = _pages((thumbnail, 1), (picture, 0))
    assert format_of(data) == "TIFF"
    path = tmp_path / "scan.tif"
    path.write_bytes(data)
    original = read_original(path)
    assert (original.format, original.width, original.height) == ("TIFF", 320, 240)
    assert decode_upright(data).getpixel((100, 100)) == (255, 0, 0)


def test_the_second_of_two_thumbnails_is_passed_over(thumbnail: Image.Image, picture: Image.Image) -> None:
    data = _pages((thumbnail, 1), (thumbnail, 1), (picture, 0))
    assert decode_upright(data).size == (320, 240)


def test_a_picture_before_its_thumbnail_is_read(thumbnail: Image.Image, picture: Image.Image) -> None:
    assert decode_upright(_pages((picture, 0), (thumbnail, 1))).size == (320, 240)


def test_a_thumbnail_alone_is_the_picture(thumbnail: Image.Image) -> None:
    data = _pages((thumbnail, 1))
    assert format_of(data) == "TIFF"
    assert decode_upright(data).size == (16, 12)


def test_the_memory_is_that_of_the_picture(thumbnail: Image.Image) -> None:
    large = Image.new("L", (4000, 4000))
    front, alone = _pages((thumbnail, 1), (large, 0)), _pages((large, 0))
    needs = [memory_to_decode(io.BytesIO(data), 0, 384) for data in (front, alone)]
    assert needs[0] == needs[1] > 16_000_000


def test_the_facts_may_be_in_front(thumbnail: Image.Image, picture: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(_pages((thumbnail, 1), (picture, 0), camera=SCANNER))
    assert read_original(path).camera == "Scanner 1"


def test_a_dng_with_a_preview_in_front_is_a_raw_file(
    raw_file: Callable[[Image.Image, int], bytes], picture: Image.Image
) -> None:
    assert format_of(raw_file(picture, 1)) == "RAW"
