"""Pictures whose every corner is known, and EXIF for them."""

import io
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pillow_heif
import pytest
from PIL import ExifTags, Image

Entries = list[tuple[int, int, list[int] | bytes]]
PHOTOS = Path(__file__).parents[3] / "shared" / "photos" / "exif"
pillow_heif.register_heif_opener()
needs_jpeg_xl = pytest.mark.skipif(
    find_spec("pillow_jxl") is None, reason="needs pillow-jxl-plugin (extra jxl)"
)
if find_spec("pillow_jxl"):
    import pillow_jxl  # noqa: F401 (registers the format, to write it)


@pytest.fixture(scope="session")
def photos() -> Path:
    if not PHOTOS.is_dir():
        pytest.skip(f"the real photos are not at {PHOTOS}")
    return PHOTOS


@pytest.fixture(scope="session")
def quadrants() -> Image.Image:
    """96 × 64: red and green above, blue and white below."""
    image = Image.new("RGB", (96, 64), "white")
    image.paste((255, 0, 0), (0, 0, 48, 32))
    image.paste((0, 255, 0), (48, 0, 96, 32))
    image.paste((0, 0, 255), (0, 32, 48, 64))
    return image


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    def encode(image: Image.Image, image_format: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, image_format, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def exif() -> Callable[..., Image.Exif]:
    """EXIF from the tags of its three directories."""

    def exif(
        base: dict[int, object] | None = None,
        camera: dict[int, object] | None = None,
        gps: dict[int, object] | None = None,
    ) -> Image.Exif:
        made = Image.Exif()
        made.update(base or {})
        made.get_ifd(ExifTags.IFD.Exif).update(camera or {})
        made.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
        return made

    return exif


@pytest.fixture(scope="session")
def raw_file(encode: Callable[..., bytes]) -> Callable[[Image.Image, int], bytes]:
    """A DNG of 320 × 240 whose first directory is a JPEG preview and whose sensor was held as the orientation says."""

    def raw_file(preview: Image.Image, orientation: int) -> bytes:
        jpeg = encode(preview, "JPEG", quality=92)
        sensor = struct.pack("<H", 2000) * (320 * 240)
        directory, camera, raw, jpeg_at = 8, 2048, 3072, 4096
        raw_at = jpeg_at + len(jpeg) + len(jpeg) % 2
        first: Entries = [
            (254, LONG, [1]), (256, LONG, [preview.width]), (257, LONG, [preview.height]), (258, SHORT, [8, 8, 8]),
            (259, SHORT, [7]), (262, SHORT, [6]), (271, ASCII, b"Pentax\0"), (272, ASCII, b"PENTAX K10D\0"),
            (273, LONG, [jpeg_at]), (274, SHORT, [orientation]), (277, SHORT, [3]), (278, LONG, [preview.height]),
            (279, LONG, [len(jpeg)]), (284, SHORT, [1]), (330, LONG, [raw]), (34665, LONG, [camera]),
            (50706, BYTE, [1, 4, 0, 0]), (50708, ASCII, b"PENTAX K10D\0"), (50778, SHORT, [21]),
        ]  # fmt: skip
        mosaic: Entries = [
            (254, LONG, [0]), (256, LONG, [320]), (257, LONG, [240]), (258, SHORT, [16]), (259, SHORT, [1]),
            (262, SHORT, [32803]), (273, LONG, [raw_at]), (277, SHORT, [1]), (278, LONG, [240]),
            (279, LONG, [len(sensor)]), (284, SHORT, [1]), (33421, SHORT, [2, 2]), (33422, BYTE, [0, 1, 1, 2]),
        ]  # fmt: skip
        data = bytearray(raw_at + len(sensor))
        for start, part in (
            (0, b"II*\0" + struct.pack("<I", directory)),
            (directory, _tiff_directory(first, directory)),
            (camera, _tiff_directory([(36867, ASCII, b"2008:05:04 16:47:24\0")], camera)),
            (raw, _tiff_directory(mosaic, raw)),
            (jpeg_at, jpeg),
            (raw_at, sensor),
        ):
            data[start : start + len(part)] = part
        return bytes(data)

    return raw_file


BYTE, ASCII, SHORT, LONG = 1, 2, 3, 4
_CODES = {BYTE: "B", ASCII: "B", SHORT: "H", LONG: "I"}


def _tiff_directory(entries: Entries, offset: int) -> bytes:
    """A little-endian TIFF directory that will lie at `offset`, its longer values behind it."""
    table, values = b"", b""
    behind = offset + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        packed = struct.pack(f"<{len(value)}{_CODES[kind]}", *value)
        table += struct.pack("<HHI", tag, kind, len(value))
        if len(packed) <= 4:
            table += packed.ljust(4, b"\0")
        else:
            table += struct.pack("<I", behind + len(values))
            values += packed + b"\0" * (len(packed) % 2)
    return struct.pack("<H", len(entries)) + table + bytes(4) + values
