"""Formats and variants that are rare among photos have the right pixels too."""

import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image

from photolineage.media import FailureReason, UnreadableImageError, decode_upright, read_original
from photolineage.media.decode import decode
from photolineage.media.formats import format_of
from photolineage.media.jpeg_xl import size_of_jpeg_xl
from tests.media.conftest import needs_jpeg_xl

Encode = Callable[..., bytes]
# Under pytest, which sets the filters of warnings anew for every test.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.")
ROWS, COLUMNS = np.mgrid[0:64, 0:96]
COLORS = np.stack([COLUMNS / 95, ROWS / 63, np.full((64, 96), 0.25)], axis=-1)
GREY = COLORS[..., 0]
WANTED = (COLORS * 255).round().astype(int)


def tiff(samples: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def difference(data: bytes, wanted: NDArray[Any]) -> int:
    """The largest difference of a channel, in 8-bit levels."""
    if wanted.ndim == 2:
        wanted = np.repeat(wanted[..., None], 3, axis=-1)
    return int(np.abs(np.asarray(decode_upright(data), int) - wanted).max())


def planes(samples: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(samples, -1, 0))


RGB = {"photometric": "rgb"}
PLANES = RGB | {"planarconfig": "separate"}
DEEP = (COLORS * 65535).round().astype(np.uint16)
LONG = (COLORS * (2**32 - 1)).astype(np.uint32)


@pytest.mark.parametrize(
    ("samples", "options"),
    [
        pytest.param(DEEP, RGB, id="16 bits"),
        pytest.param(planes(DEEP), PLANES, id="16 bits in planes"),
        pytest.param(planes(DEEP), PLANES | {"byteorder": ">"}, id="16 bits in planes, big-endian"),
        pytest.param(planes(DEEP), PLANES | {"compression": "zlib"}, id="16 bits in planes, compressed"),
        pytest.param(DEEP, RGB | {"bigtiff": True}, id="BigTIFF"),
        pytest.param(DEEP, RGB | {"bigtiff": True, "byteorder": ">"}, id="BigTIFF, big-endian"),
        pytest.param(LONG, RGB, id="32 bits"),
        pytest.param(COLORS.astype(np.float32), RGB, id="float"),
        pytest.param(planes(COLORS.astype(np.float32)), PLANES, id="float in planes"),
        pytest.param(COLORS, RGB, id="double"),
        pytest.param(COLORS.astype(np.float32), RGB | {"compression": "zlib"}, id="float, compressed"),
    ],
)
def test_tiffs_with_deep_colors(samples: NDArray[Any], options: dict[str, object]) -> None:
    assert difference(tiff(samples, **options), WANTED) <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_tiffs(kind: type[np.generic], photometric: str) -> None:
    levels = 1 - GREY if photometric == "miniswhite" else GREY
    full = 1 if np.issubdtype(kind, np.floating) else np.iinfo(kind).max  # type: ignore[type-var]
    data = tiff((levels * full).astype(kind), photometric=photometric)
    assert difference(data, (GREY * 255).round()) <= 1


def test_a_deep_tiff_is_turned_and_has_its_facts() -> None:
    tags = [(ExifTags.Base.Orientation, 3, 1, 6, True), (ExifTags.Base.Model, 2, 5, "Scan", True)]
    decoded = decode(tiff(planes(DEEP), **PLANES, extratags=tags))
    assert (decoded.width, decoded.height, decoded.image.size) == (64, 96, (64, 96))
    assert (decoded.exif.orientation, decoded.exif.camera) == (6, "Scan")
    assert np.abs(np.asarray(decoded.image.transpose(Image.Transpose.ROTATE_90), int) - WANTED).max() <= 1


def test_values_that_are_not_numbers_are_black() -> None:
    samples = GREY.astype(np.float32).copy()
    samples[10, 10:20] = np.nan
    pixels = np.asarray(decode_upright(tiff(samples, photometric="minisblack")))
    assert not pixels[10, 10:20].any()
    assert pixels[11, 95].tolist() == [255, 255, 255]


def test_a_tiff_that_cannot_be_read_says_what_it_is() -> None:
    data = tiff(COLORS.astype(np.float32), **RGB, compression="zlib").replace(
        struct.pack("<HHII", 259, 3, 1, 8), struct.pack("<HHII", 259, 3, 1, 50_002)
    )
    with pytest.raises(UnreadableImageError) as caught:
        decode(data)
    assert caught.value.reason is FailureReason.UNSUPPORTED
    assert "samples of 32 bits (float32) and the compression JPEGXL" in caught.value.detail


@pytest.mark.parametrize("header", [12, 16, 40, 64, 108, 124])
def test_bmps_with_headers_of_every_size(header: int) -> None:
    pixels = WANTED[::-1, :, ::-1].astype(np.uint8).tobytes()
    if header == 12:
        head = struct.pack("<IHHHH", 12, 96, 64, 1, 24)
    else:
        head = struct.pack("<IiiHH", header, 96, 64, 1, 24).ljust(header, b"\0")
    start = b"BM" + struct.pack("<IHHI", 14 + len(head) + len(pixels), 0, 0, 14 + len(head))
    assert difference(start + head + pixels, WANTED) == 0


def test_a_text_that_begins_like_a_bmp_is_none() -> None:
    assert format_of(b"BMW, a maker of cars and of motorcycles") is None


@pytest.mark.parametrize("before", [b"\r\n", b"\n"])
def test_line_breaks_before_a_jpeg(
    tmp_path: Path, quadrants: Image.Image, encode: Encode, before: bytes
) -> None:
    jpeg = encode(quadrants, "JPEG", quality=95)
    path = tmp_path / "download.jpg"
    path.write_bytes(before + jpeg)
    original = read_original(path)
    assert (original.format, original.width, original.lost_share) == ("JPEG", 96, None)
    assert np.array_equal(np.asarray(decode_upright(before + jpeg)), np.asarray(decode_upright(jpeg)))


def test_a_heic_of_more_items_than_its_library_allows() -> None:
    file = pillow_heif.HeifFile()  # type: ignore[no-untyped-call]
    for _ in range(1_001):
        file.add_from_pillow(Image.new("RGB", (64, 64), (200, 30, 60)))
    buffer = io.BytesIO()
    file.save(buffer, quality=30)
    assert difference(buffer.getvalue(), np.full((64, 64, 3), (200, 30, 60))) < 12
    assert not pillow_heif.options.DISABLE_SECURITY_LIMITS


@pytest.mark.parametrize(
    ("image_format", "options", "name"),
    [
        pytest.param("JXL", {"quality": 99}, "JXL", marks=needs_jpeg_xl),
        pytest.param("JXL", {"lossless": True, "use_container": True}, "JXL", marks=needs_jpeg_xl),
        ("JPEG2000", {}, "JPEG2000"),
        ("JPEG2000", {"no_jp2": True}, "JPEG2000"),
    ],
)
def test_jpeg_xl_and_jpeg_2000(
    tmp_path: Path, encode: Encode, image_format: str, options: dict[str, object], name: str
) -> None:
    data = encode(Image.fromarray(WANTED.astype(np.uint8)), image_format, **options)
    assert difference(data, WANTED) < 16
    path = tmp_path / "photo.of-any-name"
    path.write_bytes(data)
    original = read_original(path)
    assert (original.format, original.width, original.height) == (name, 96, 64)


@needs_jpeg_xl
def test_a_jpeg_xl_is_turned_once_and_has_its_facts(encode: Encode, exif: Callable[..., Image.Exif]) -> None:
    facts = exif({ExifTags.Base.Orientation: 6, ExifTags.Base.Model: "Pixel 9"})
    decoded = decode(
        encode(Image.fromarray(WANTED.astype(np.uint8)), "JXL", lossless=True, exif=facts.tobytes())
    )
    assert (decoded.width, decoded.height, decoded.exif.camera) == (96, 64, "Pixel 9")
    assert np.abs(np.asarray(decoded.image, int) - WANTED).max() == 0


@needs_jpeg_xl
def test_a_jpeg_that_was_packed_as_jpeg_xl_is_that_jpeg(tmp_path: Path, photos: Path) -> None:
    source = photos / "jpg/orientation/landscape_6.jpg"
    with Image.open(source) as jpeg:
        jpeg.save(tmp_path / "packed.jxl")
    packed, plain = read_original(tmp_path / "packed.jxl"), read_original(source)
    assert packed.format == "JXL"
    assert (packed.width, packed.height, packed.orientation) == (plain.width, plain.height, 6)
    assert packed.preview == plain.preview


@pytest.mark.parametrize(
    "size", [(8, 8), (256, 256), (257, 9), (1000, 1000), (1200, 1000), (4000, 3000), (7, 3001)]
)
@pytest.mark.parametrize("container", [False, True])
@needs_jpeg_xl
def test_the_size_of_a_jpeg_xl_is_in_its_first_bytes(
    encode: Encode, size: tuple[int, int], container: bool
) -> None:
    assert (
        size_of_jpeg_xl(encode(Image.new("L", size), "JXL", use_container=container, effort=1)[:256]) == size
    )


def test_jpeg_xl_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(UnreadableImageError) as caught:
        decode(b"\xff\x0a" + bytes(100))
    assert caught.value.reason is FailureReason.UNSUPPORTED
    assert caught.value.detail.endswith("pip install pillow-jxl-plugin")


def test_a_photoshop_file_has_its_merged_picture(tmp_path: Path) -> None:
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 64, 96, 8, 3) + struct.pack(">III", 0, 0, 0)
    data = head + struct.pack(">H", 0) + planes(WANTED).astype(np.uint8).tobytes()
    assert difference(data, WANTED) == 0
    (tmp_path / "a.psd").write_bytes(data)
    assert read_original(tmp_path / "a.psd").format == "PSD"


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"II\x1a\0\0\0HEAPCCDR", "RAW"),
        (b"II*\0\x10\0\0\0IIIICwaR", "RAW"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG2000"),
        (b"8BPS\0\2", None),
        (b"%PDF-1.7 or another file", None),
    ],
)
def test_the_first_bytes_decide(start: bytes, kind: str | None) -> None:
    assert format_of(start) == kind
