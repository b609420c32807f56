"""What is wrong with a file becomes a reason and a sentence; what can be read in spite of it is read."""

import io
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile

from photolineage.media import (
    MAX_FILE_BYTES,
    FailureReason,
    UnreadableImageError,
    decode_upright,
    read_original,
)
from photolineage.media.decode import decode
from photolineage.media.original import content_hash

Encode = Callable[..., bytes]
# Under pytest, which sets the filters of warnings anew for every test.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")

ROOT = Path(__file__).parents[2]
JPEG_START = b"\xff\xd8\xff\xe0"


def failure(path: str | bytes | Path) -> UnreadableImageError:
    with pytest.raises(UnreadableImageError) as caught:
        read_original(path)
    assert caught.value.detail
    return caught.value


@pytest.fixture(scope="module")
def gradient() -> Image.Image:
    """256 × 192 without a plain area, so that rows that were not decoded show."""
    ramp = np.linspace(40, 250, 256, dtype=np.uint8)
    grey = np.broadcast_to(ramp, (192, 256))
    return Image.fromarray(np.stack([grey, grey[:, ::-1], np.full_like(grey, 90)], axis=-1))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(png: bytes, chunk: bytes) -> bytes:
    """The PNG with a chunk after its header."""
    return png[:33] + chunk + png[33:]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("empty.jpg", b"", FailureReason.EMPTY),
        ("zeros.jpg", bytes(5000), FailureReason.CORRUPT),
        ("page.jpg", b"<!DOCTYPE html><html>", FailureReason.CORRUPT),
        ("notes.txt", b"nothing to see", FailureReason.UNSUPPORTED),
        ("no-suffix", b"nothing to see", FailureReason.UNSUPPORTED),
        ("film.mov", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", FailureReason.UNSUPPORTED),
        ("start.jpg", JPEG_START, FailureReason.CORRUPT),
        ("start.png", b"\x89PNG\r\n\x1a\n", FailureReason.CORRUPT),
        ("start.gif", b"GIF89a", FailureReason.CORRUPT),
        ("start.bmp", b"BM", FailureReason.CORRUPT),
        ("start.tif", b"II*\0", FailureReason.CORRUPT),
        ("start.webp", b"RIFF\x10\0\0\0WEBPVP8 ", FailureReason.CORRUPT),
        ("start.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", FailureReason.CORRUPT),
        ("start.avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", FailureReason.CORRUPT),
    ],
)
def test_reason(tmp_path: Path, name: str, data: bytes, reason: FailureReason) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert failure(path).reason is reason


@pytest.mark.parametrize(
    ("data", "begins"),
    [(b"<!DOCTYPE html><html>", "“<!DOCTYPE html><”"), (bytes(5000), "the bytes 00 00 00")],
)
def test_how_a_file_that_is_no_picture_begins(tmp_path: Path, data: bytes, begins: str) -> None:
    (tmp_path / "page.jpg").write_bytes(data)
    assert failure(tmp_path / "page.jpg").detail.startswith(f"no known image format begins with {begins}")


def test_vanished(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert failure(tmp_path / "gone.jpg").reason is FailureReason.VANISHED
    assert failure(tmp_path / "file" / "below.jpg").reason is FailureReason.VANISHED


def test_a_name_in_any_bytes(tmp_path: Path, gradient: Image.Image, encode: Encode) -> None:
    path = os.fsencode(tmp_path) + b'/\xff\xfe "\n\xf0\x9f\x8c\x85.jpg'
    Path(os.fsdecode(path)).write_bytes(encode(gradient, "JPEG"))
    assert read_original(path) == read_original(os.fsdecode(path))


@pytest.mark.timeout(10)
def test_what_is_no_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert failure(tmp_path / "pipe.jpg").reason is FailureReason.UNSUPPORTED
    assert failure(tmp_path).reason is FailureReason.UNSUPPORTED
    assert failure("/dev/zero").reason is FailureReason.UNSUPPORTED


def test_permission_denied(tmp_path: Path) -> None:
    path = tmp_path / "mine.jpg"
    path.touch(mode=0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        assert failure(path).reason is FailureReason.PERMISSION_DENIED
    finally:
        os.seteuid(user)


def test_an_error_of_the_disk() -> None:
    """The first page of a process is never mapped: reading it is a real EIO."""
    error = failure("/proc/self/mem")
    assert error.reason is FailureReason.UNREADABLE
    assert str(error) == "unreadable: Input/output error"


def test_too_many_bytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.write(JPEG_START)
        file.truncate(MAX_FILE_BYTES + 1)
    start = time.perf_counter()
    error = failure(path)
    assert error.reason is FailureReason.TOO_LARGE
    assert error.detail == "1,073,741,825 bytes exceed the limit of 1,073,741,824"
    assert time.perf_counter() - start < 0.2


def _png_bomb(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + png_chunk(b"IDAT", zlib.compress(bytes(10_000_000)))
        + png_chunk(b"IEND", b"")
    )


def _jpeg_bomb(encode: Encode) -> bytes:
    data = encode(Image.new("RGB", (16, 16)), "JPEG", progressive=True)
    frame = data.index(b"\xff\xc2") + 5
    return data[:frame] + struct.pack(">HH", 65000, 65000) + data[frame + 4 :]


@pytest.mark.timeout(10)
def test_decompression_bombs_are_refused_by_their_header(encode: Encode) -> None:
    bmp = bytearray(encode(Image.new("RGB", (8, 8)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 30_000, 30_000)
    gif = bytearray(encode(Image.new("P", (8, 8)), "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    for data in (_png_bomb(50_000, 50_000), _jpeg_bomb(encode), bytes(bmp), bytes(gif)):
        with pytest.raises(UnreadableImageError, match="pixels exceed the limit of 268,435,456") as caught:
            decode_upright(data, short_side=384)
        assert caught.value.reason is FailureReason.TOO_LARGE


@pytest.mark.parametrize(
    ("image_format", "options"), [("JPEG", {}), ("TIFF", {"compression": "tiff_adobe_deflate"})]
)
def test_a_sensor_of_200_megapixels_is_read(
    encode: Encode, image_format: str, options: dict[str, object]
) -> None:
    """More than Pillow's own limit, which is one for the process and stays as it was."""
    limit = Image.MAX_IMAGE_PIXELS
    data = encode(Image.new("L", (16320, 12240), 90), image_format, **options)
    decoded = decode(data, short_side=384)
    assert decoded.lost_share is None
    assert (decoded.width, decoded.height, decoded.image.size) == (16320, 12240, (512, 384))
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("TIFF", {}),
        ("BMP", {}),
        ("GIF", {}),
    ],
)
def test_a_truncated_file_is_read_as_far_as_it_goes(  # type: ignore[no-untyped-def]
    tmp_path, gradient, encode, image_format, options
) -> None:
    noise = np.random.default_rng(0).integers(0, 30, (192, 256, 1), dtype=np.uint8)
    data = encode(Image.fromarray(np.asarray(gradient) - noise), image_format, **options)
    path = tmp_path / "cut"
    path.write_bytes(data[: len(data) * 7 // 10])
    original = read_original(path)
    assert original.truncated
    assert (original.width, original.height) == (256, 192)
    assert original.content_hash == content_hash(path.read_bytes())
    first = slice(-80, None) if image_format == "BMP" else slice(80)  # BMP begins with the last row
    rows = np.asarray(Image.open(io.BytesIO(original.preview)), np.int16)[first]
    assert np.abs(rows - np.asarray(gradient, np.int16)[first]).mean() < 25
    path.write_bytes(data)
    assert not read_original(path).truncated


def test_threads_do_not_make_each_other_tolerant(
    tmp_path: Path, gradient: Image.Image, encode: Encode
) -> None:
    """Cut and whole files read at once give what they give one by one."""
    noise = np.random.default_rng(0).integers(0, 40, (192, 256, 3), dtype=np.uint8)
    for number, image_format in enumerate(["JPEG", "PNG", "TIFF", "GIF", "BMP"] * 8):
        data = encode(Image.fromarray(np.asarray(gradient) - noise), image_format)
        (tmp_path / f"{number:02}").write_bytes(data if number % 3 else data[: len(data) * 2 // 3])
    paths = sorted(tmp_path.iterdir())
    one_by_one = [read_original(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read_original, paths)) == one_by_one
    assert [original.truncated for original in one_by_one] == [number % 3 == 0 for number in range(40)]
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_truncated_tiff_is_turned(
    gradient: Image.Image, encode: Encode, exif: Callable[..., Image.Exif]
) -> None:
    data = encode(
        gradient.transpose(Image.Transpose.ROTATE_90), "TIFF", exif=exif({ExifTags.Base.Orientation: 6})
    )
    decoded = decode(data[:-30_000], short_side=96)
    assert decoded.truncated
    assert (decoded.image.size, decoded.width, decoded.height) == ((128, 96), 256, 192)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "HEIF", "WEBP", "AVIF"])
def test_a_file_cut_before_its_first_row_is_corrupt(  # type: ignore[no-untyped-def]
    tmp_path, gradient, encode, image_format
) -> None:
    data = encode(gradient, image_format)
    ends = {
        "JPEG": data.find(b"\xff\xda") + 14,
        "PNG": data.find(b"IDAT") + 6,
    }  # the head of the scan, of zlib
    path = tmp_path / "cut"
    path.write_bytes(data[: ends.get(image_format, len(data) // 2)])
    assert failure(path).reason is FailureReason.CORRUPT


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(
            png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000))), id="text that unpacks"
        ),
        pytest.param(
            png_chunk(b"iTXt", b"C\0\1\0\0\0" + zlib.compress(bytes(50_000_000))), id="international text"
        ),
        pytest.param(png_chunk(b"eXIf", b"MM\0*" + bytes(6_000_000)), id="huge EXIF"),
        pytest.param(
            png_chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + b"\x0e\x01" * 400_000), id="EXIF of 65,535 tags"
        ),
        pytest.param(png_chunk(b"eXIf", b"no EXIF"), id="no EXIF"),
        pytest.param(
            png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(50_000_000))), id="profile that unpacks"
        ),
        pytest.param(b"\0\0\0\x04eXIfMM\0*\0\0\0\0", id="wrong checksum"),
    ],
)
def test_a_png_is_read_in_spite_of_its_metadata(gradient: Image.Image, encode: Encode, chunk: bytes) -> None:
    start = time.perf_counter()
    decoded = decode(png_with(encode(gradient, "PNG"), chunk))
    assert time.perf_counter() - start < 2
    assert not decoded.truncated
    assert np.array_equal(np.asarray(decoded.image), np.asarray(gradient))


@pytest.mark.timeout(20)
def test_of_thousands_of_frames_the_first_is_read(encode: Encode) -> None:
    frames = [Image.new("P", (64, 64), number % 250) for number in range(3000)]
    data = encode(Image.new("RGB", (64, 64), "red"), "GIF", save_all=True, append_images=frames)
    start = time.perf_counter()
    assert decode_upright(data).getpixel((9, 9)) == (255, 0, 0)
    assert time.perf_counter() - start < 0.2


@pytest.mark.timeout(20)
def test_pages_of_a_tiff_in_a_circle(gradient: Image.Image, encode: Encode) -> None:
    data = bytearray(encode(gradient, "TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    assert np.array_equal(np.asarray(decode_upright(bytes(data))), np.asarray(gradient))


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_jpeg_is_read_in_spite_of_damaged_exif(  # type: ignore[no-untyped-def]
    gradient, encode, exif, cut
) -> None:
    tags = exif(
        {ExifTags.Base.Make: "Canon", ExifTags.Base.XResolution: 72.0, ExifTags.Base.ResolutionUnit: 2},
        {ExifTags.Base.DateTimeOriginal: "2023:07:14 18:30:12"},
        {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (48.0, 51.0, 30.0)},
    ).tobytes()
    for damaged in (tags[: 6 + cut], tags[: 6 + cut] + b"\xff" * 8 + tags[14 + cut :]):
        decoded = decode(encode(gradient, "JPEG", exif=damaged))
        assert not decoded.truncated
        assert decoded.image.size == (256, 192)


def test_damage_prints_nothing(tmp_path: Path, gradient: Image.Image, encode: Encode) -> None:
    """In a process of its own, with Python's filters and libtiff's error handler as they are from the start."""
    (tmp_path / "exif.jpg").write_bytes(encode(gradient, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\1\x0f"))
    fax = encode(gradient.convert("1"), "TIFF", compression="group4")
    (tmp_path / "fax.tif").write_bytes(fax[:20] + bytes(byte ^ 0x5A for byte in fax[20:200]) + fax[200:])
    script = (
        "import pathlib, sys\n{imports}\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try: {read}\n"
        "    except Exception as error: print(type(error).__name__)\n"
    )

    def printed(imports: str, read: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script.format(imports=imports, read=read), str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    by_pillow = printed("from PIL import Image", "Image.open(path).load()")
    assert "Corrupt EXIF data" in by_pillow.stderr
    assert "Fax4Decode" in by_pillow.stderr
    ours = printed("from photolineage.media import read_original", "print(read_original(path).format)")
    assert ours.stderr == ""
    assert ours.stdout.splitlines() == ["JPEG", "TIFF"]


def test_a_raw_file_without_rawpy(monkeypatch: pytest.MonkeyPatch, raw_file: Callable[..., bytes]) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(UnreadableImageError) as caught:
        decode(raw_file(Image.new("RGB", (320, 240)), 1))
    error = caught.value
    assert error.reason is FailureReason.UNSUPPORTED
    assert error.detail.endswith("pip install rawpy")
