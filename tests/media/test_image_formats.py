"""Generated images of every format, mode and orientation come out upright in sRGB."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from photolineage.media import SUPPORTED_SUFFIXES, decode_upright, read_original
from photolineage.media.decode import decode
from photolineage.media.original import content_hash

Encode = Callable[..., bytes]
CORNERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
# The orientations of EXIF 2.32, 4.6.4 A, as what has to be done to an upright picture before it is stored.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "TIFF-LZW": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "HEIF": {"quality": 95, "chroma": 444},
}


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    width, height = image.size
    return [image.getpixel((x * width // 4, y * height // 4)) for y in (1, 3) for x in (1, 3)]  # type: ignore[misc]


def assert_quadrants(
    image: Image.Image, expected: list[tuple[int, int, int]] = CORNERS, within: int = 12
) -> None:
    assert image.mode == "RGB"
    assert np.abs(np.array(corners(image)) - np.array(expected)).max() <= within, corners(image)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", FORMATS)
def test_orientation(
    quadrants: Image.Image, encode: Encode, exif: Callable[..., Image.Exif], name: str, orientation: int
) -> None:
    turn = STORED[orientation]
    stored = quadrants if turn is None else quadrants.transpose(turn)
    tags = exif({ExifTags.Base.Orientation: orientation})
    described = {"exif": tags.tobytes() if name == "HEIF" else tags}  # pillow-heif turns by bytes alone
    decoded = decode(encode(stored, name.removesuffix("-LZW"), **described, **FORMATS[name]), short_side=32)
    assert_quadrants(decoded.image)
    assert decoded.image.size == (48, 32)
    assert (decoded.width, decoded.height, decoded.exif.orientation) == (96, 64, orientation)


@pytest.mark.parametrize("image_format", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF"])
def test_format_by_content_and_not_by_suffix(tmp_path, quadrants, encode, image_format) -> None:  # type: ignore[no-untyped-def]
    options = {"append_images": [quadrants], "save_all": True} if image_format == "MPO" else {}
    path = tmp_path / "misnamed.png"
    path.write_bytes(encode(quadrants, image_format, **options))
    original = read_original(path)
    assert (original.format, original.width, original.height) == (image_format, 96, 64)
    preview = Image.open(io.BytesIO(original.preview))
    assert (preview.format, preview.mode, preview.size) == ("JPEG", "RGB", (96, 64))
    assert_quadrants(preview, within=40)  # the quadrants' edges ring in a JPEG of chroma at half resolution


def _grey16(quadrants: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(quadrants.convert("L"), np.uint16) * 257)


def _float(quadrants: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(quadrants.convert("L"), np.float32) / 255)


def _see_through(quadrants: Image.Image) -> Image.Image:
    image = quadrants.convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 48, 32))
    return image


GREYS = [(76, 76, 76), (150, 150, 150), (29, 29, 29), (255, 255, 255)]
SEE_THROUGH = [(255, 255, 255), *CORNERS[1:]]


@pytest.mark.parametrize(
    ("image_format", "make", "options", "expected"),
    [
        pytest.param("JPEG", lambda q: q.convert("L"), {}, GREYS, id="grey JPEG"),
        pytest.param("JPEG", lambda q: q.convert("CMYK"), {"quality": 95}, CORNERS, id="CMYK JPEG"),
        pytest.param("TIFF", lambda q: q.convert("CMYK"), {}, CORNERS, id="CMYK TIFF"),
        pytest.param("TIFF", lambda q: q.convert("YCbCr"), {}, CORNERS, id="YCbCr TIFF"),
        pytest.param("PNG", _grey16, {}, GREYS, id="16-bit PNG"),
        pytest.param("TIFF", _grey16, {}, GREYS, id="16-bit TIFF"),
        pytest.param("TIFF", lambda q: _grey16(q).convert("I"), {}, GREYS, id="32-bit TIFF"),
        pytest.param("TIFF", _float, {}, GREYS, id="float TIFF"),
        pytest.param("TIFF", lambda q: q.getchannel("R").convert("1"), {"compression": "group4"},
                     [(255,) * 3, (0,) * 3, (0,) * 3, (255,) * 3], id="1-bit TIFF"),
        pytest.param("PNG", lambda q: q.quantize(8), {}, CORNERS, id="palette PNG"),
        pytest.param("PNG", _see_through, {}, SEE_THROUGH, id="RGBA PNG"),
        pytest.param("PNG", lambda q: _see_through(q).quantize(8), {}, SEE_THROUGH, id="see-through palette PNG"),
        pytest.param("PNG", lambda q: q, {"transparency": (255, 0, 0)}, SEE_THROUGH, id="PNG without red"),
        pytest.param("PNG", lambda q: _see_through(q).convert("LA"), {},
                     [(255,) * 3, *GREYS[1:]], id="grey PNG with alpha"),
        pytest.param("WEBP", _see_through, {"lossless": True}, SEE_THROUGH, id="RGBA WebP"),
        pytest.param("GIF", lambda q: q, {"save_all": True, "append_images": [Image.new("RGB", (96, 64))]}, CORNERS,
                     id="first frame of a GIF"),
        pytest.param("WEBP", lambda q: q, {"save_all": True, "lossless": True,
                     "append_images": [Image.new("RGB", (96, 64))]}, CORNERS, id="first frame of a WebP"),
        pytest.param("TIFF", lambda q: q, {"save_all": True, "append_images": [Image.new("RGB", (9, 9))]}, CORNERS,
                     id="first page of a TIFF"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("short_side", [None, 32])
def test_mode(quadrants, encode, image_format, make, options, expected, short_side) -> None:  # type: ignore[no-untyped-def]
    image = decode_upright(encode(make(quadrants), image_format, **options), short_side=short_side)
    assert image.size == ((96, 64) if short_side is None else (48, 32))
    assert_quadrants(image, expected)


def test_lab(quadrants: Image.Image, encode: Encode) -> None:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    assert_quadrants(decode_upright(encode(to_lab.apply(quadrants), "TIFF")), within=24)


def _profile_with_red_and_blue_exchanged() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")


EXCHANGED = [CORNERS[2], CORNERS[1], CORNERS[0], CORNERS[3]]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_a_profile_is_converted_to_srgb(quadrants: Image.Image, encode: Encode, image_format: str) -> None:
    data = encode(
        quadrants, image_format, icc_profile=_profile_with_red_and_blue_exchanged(), **FORMATS[image_format]
    )
    assert_quadrants(decode_upright(data), EXCHANGED)


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(b"no profile", id="garbage"),
        pytest.param(_profile_with_red_and_blue_exchanged()[:200], id="cut short"),
        pytest.param(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), id="of another mode"),
    ],
)
def test_a_broken_profile_is_ignored(quadrants: Image.Image, encode: Encode, profile: bytes) -> None:
    assert_quadrants(decode_upright(encode(quadrants, "JPEG", icc_profile=profile, **FORMATS["JPEG"])))


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((4000, 3000), 384, (500, 375)),  # an eighth: 2% short of 384, and kept
        ((3264, 2448), 384, (512, 384)),
        ((1000, 3000), 384, (384, 1152)),
        ((383, 500), 384, (383, 500)),
        ((300, 200), None, (300, 200)),
        ((20000, 400), 384, (6144, 123)),  # no side longer than 16 times 384
        ((40000, 1), 384, (6144, 1)),
    ],
)
def test_scaled_size(encode, size, short_side, expected) -> None:  # type: ignore[no-untyped-def]
    decoded = decode(encode(Image.new("RGB", size, "navy"), "JPEG"), short_side=short_side)
    assert decoded.image.size == expected
    assert (decoded.width, decoded.height) == size


def test_a_preview_carries_no_metadata(tmp_path, quadrants, encode, exif) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "described.jpg"
    described = {
        "exif": exif({ExifTags.Base.Make: "Canon"}),
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "comment": "private",
        "xmp": b"<x:xmpmeta/>",
    }
    path.write_bytes(encode(quadrants, "JPEG", **described))
    assert set(Image.open(path).info) >= set(described)
    preview = Image.open(io.BytesIO(read_original(path).preview))
    assert set(preview.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_the_suffixes() -> None:
    expected = {
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".tif",
        ".tiff",
        ".gif",
        ".bmp",
        ".heic",
        ".heif",
        ".avif",
        ".dng",
        ".jxl",
        ".jp2",
        ".psd",
        ".crw",
        ".iiq",
        ".insp",
        ".jpg_large",
    }
    assert not expected - SUPPORTED_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUPPORTED_SUFFIXES)
    assert not SUPPORTED_SUFFIXES & {".mp4", ".mov", ".txt", ".psb", ".xmp"}


def test_the_hash_of_a_content_is_its_blake3() -> None:
    """The official vector of "abc"."""
    assert content_hash(b"abc") == "6437b3ac38465133ffb63b75273a8db5"
