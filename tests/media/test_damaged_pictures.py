"""Which share of a damaged picture is lost, and what takes its decoder too long."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photolineage.media import FailureReason, UnreadableImageError, read_original
from photolineage.media.decode import decode

Encode = Callable[..., bytes]
END_OF_IMAGE = b"\xff\xd9"
JUNK = 40_000_000


@pytest.fixture(scope="module")
def photo(photos: Path) -> bytes:
    """8 megapixels in 0.8 MB, with detail everywhere."""
    return (photos / "jpg/mobile/jolla.jpg").read_bytes()


@pytest.fixture(scope="module")
def detailed(photo: bytes) -> Image.Image:
    return Image.open(io.BytesIO(photo)).resize((1600, 1200))


def zeroed(data: bytes, begin: int, size: int | None = None) -> bytes:
    """The data with zeros from `begin` on, so many or to the end."""
    size = len(data) - begin if size is None else size
    return data[:begin] + bytes(size) + data[begin + size :]


def refused(data: bytes) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(data, short_side=384)
    assert caught.value.reason is FailureReason.CORRUPT
    return caught.value.detail


def scan_of(jpeg: bytes) -> int:
    return jpeg.rindex(b"\xff\xda")


def test_a_jpeg_of_4_kilobytes_and_zeros_is_refused(photo: bytes) -> None:
    begin = scan_of(photo) + 4096
    assert refused(zeroed(photo, begin)) == "99% of this JPEG of 3264 × 2448 pixels is lost"
    assert refused(zeroed(photo, begin, len(photo) - begin - 2)).endswith("is lost")  # with its end marker
    assert refused(photo[:begin]).endswith("is lost")


@pytest.mark.parametrize("options", [{"optimize": True}, {"progressive": True}, {"subsampling": 0}])
def test_zeros_are_seen_in_jpegs_of_every_kind(
    detailed: Image.Image, encode: Encode, options: dict[str, object]
) -> None:
    data = encode(detailed, "JPEG", quality=90, **options)
    assert decode(data).lost_share is None
    assert refused(zeroed(data, scan_of(data) + 4096 if "progressive" not in options else 4096))
    lost = decode(zeroed(data, len(data) // 2)).lost_share
    assert lost == pytest.approx(0.5, abs=0.1)


def test_the_share_that_is_lost_is_registered(tmp_path: Path, photo: bytes) -> None:
    path = tmp_path / "half.jpg"
    path.write_bytes(zeroed(photo, len(photo) // 2))
    original = read_original(path)
    assert original.truncated
    assert original.lost_share == pytest.approx(0.5, abs=0.02)
    path.write_bytes(photo)
    assert read_original(path).lost_share is None


@pytest.mark.parametrize(
    ("damage", "share"),
    [
        pytest.param(lambda data: zeroed(data, len(data) // 2, 65_536), 0.08, id="a hole of zeros"),
        pytest.param(lambda data: zeroed(data, len(data) // 2, 512), 0.0, id="a small hole"),
        pytest.param(lambda data: data[: len(data) // 2] + data[len(data) // 2 + 65_536 :], 0.08, id="a part is gone"),
        pytest.param(lambda data: data[: len(data) * 7 // 10], 0.3, id="cut"),
        pytest.param(lambda data: data[: len(data) * 7 // 10] + END_OF_IMAGE, 0.3, id="cut and ended"),
        pytest.param(lambda data: data[:-2], 0.0, id="no end"),
    ],
)  # fmt: skip
def test_what_the_decoder_of_jpeg_warns_of_is_flagged(
    photo: bytes, damage: Callable[[bytes], bytes], share: float
) -> None:
    assert decode(damage(photo), short_side=384).lost_share == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("behind", [bytes(100_000), b"\xff" * 9, b"the last page of a disk" * 99])
def test_what_follows_a_whole_jpeg_is_no_damage(photo: bytes, behind: bytes) -> None:
    assert decode(photo + behind, short_side=384).lost_share is None


def test_a_few_bytes_too_many_before_the_end_are_no_damage(photo: bytes) -> None:
    assert decode(photo[:-2] + bytes(20) + END_OF_IMAGE, short_side=384).lost_share is None


def test_white_paper_is_not_lost(encode: Encode) -> None:
    page = Image.new("L", (800, 1000), "white")
    page.paste(0, (100, 100, 130, 900))
    data = encode(page, "JPEG")
    assert decode(data[:-2]).lost_share == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("image_format", "options"),
    [("HEIF", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("GIF", {}), ("BMP", {})],
)
def test_the_lost_half_of_every_format(
    detailed: Image.Image, encode: Encode, image_format: str, options: dict[str, object]
) -> None:
    data = encode(detailed, image_format, **options)
    assert decode(data, short_side=384).lost_share is None
    decoded = zeroed(data, len(data) // 2)
    if image_format == "BMP":  # zeros are black pixels, so a cut is all that shows
        decoded = data[: len(data) // 2]
    assert decode(decoded, short_side=384).lost_share == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("image_format", "options"), [("WEBP", {"lossless": True}), ("PNG", {}), ("GIF", {})]
)
def test_next_to_nothing_of_any_format_is_refused(
    detailed: Image.Image, encode: Encode, image_format: str, options: dict[str, object]
) -> None:
    data = encode(detailed, image_format, **options)
    assert "is lost" in refused(zeroed(data, 8_192))


def test_a_real_heic_that_is_cut_or_empty(photos: Path) -> None:
    data = (photos / "heic/IMG_5195.HEIC").read_bytes()
    assert decode(data, short_side=384).lost_share is None
    assert decode(data[: len(data) // 2], short_side=384).lost_share == pytest.approx(0.5, abs=0.01)
    assert decode(zeroed(data, len(data) // 2, 100_000), short_side=384).lost_share == pytest.approx(
        0.12, abs=0.01
    )
    assert "is lost" in refused(zeroed(data, 8_192))


def test_what_a_phone_appends_to_a_heic_is_no_damage(photos: Path) -> None:
    data = (photos / "heic/IMG_5195.HEIC").read_bytes()
    video = b"\0\0\0\x10ftypmp42\0\0\0\0" + b"\0\1\0\0free" + bytes(65_528)
    assert decode(data + video, short_side=384).lost_share is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda jpeg: b"\xff\xd8\xff\xe0" + bytes(JUNK), id="zeros"),
        pytest.param(lambda jpeg: jpeg[:20] + bytes(JUNK), id="a segment and zeros"),
        pytest.param(lambda jpeg: jpeg[: scan_of(jpeg)] + bytes(JUNK) + jpeg[scan_of(jpeg) :], id="zeros, scan"),
        pytest.param(lambda jpeg: jpeg[:20] + b"\xff" * JUNK, id="fill bytes"),
        pytest.param(lambda jpeg: jpeg[:20] + b"\xff\xe5\0\2" * (JUNK // 4), id="empty segments"),
        pytest.param(lambda jpeg: jpeg[: scan_of(jpeg) + 14] + bytes(JUNK), id="zeros in the scan"),
        pytest.param(lambda _: b"\x89PNG\r\n\x1a\n" + bytes(JUNK), id="PNG"),
        pytest.param(lambda _: b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0tEXt\0\0\0\0" * (JUNK // 12), id="chunks"),
        pytest.param(lambda _: b"GIF89a" + bytes(JUNK), id="GIF"),
        pytest.param(lambda _: b"GIF89a\n\0\n\0\0\0\0" + b"!\xf9\4\0\0\0\0\0" * (JUNK // 8), id="extensions"),
    ],
)  # fmt: skip
def test_junk_is_refused_at_once(tmp_path: Path, encode: Encode, make: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "junk.jpg"
    path.write_bytes(make(encode(Image.new("RGB", (640, 480), "red"), "JPEG")))
    start = time.perf_counter()
    with pytest.raises(UnreadableImageError) as caught:
        read_original(path)
    assert caught.value.reason is FailureReason.CORRUPT
    assert time.perf_counter() - start < 4


@pytest.mark.timeout(60)
def test_junk_of_900_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "junk.jpg"
    with path.open("wb") as file:
        file.write(b"\xff\xd8\xff\xe0\0\x10JFIF\0")
        file.truncate(900_000_000)
    start = time.perf_counter()
    with pytest.raises(UnreadableImageError, match="this JPEG has no picture: no marker in the 65,536 bytes"):
        read_original(path)
    assert time.perf_counter() - start < 4


def test_a_little_junk_between_segments_is_left_out(photo: bytes) -> None:
    begin = scan_of(photo)
    decoded = decode(photo[:begin] + bytes(1000) + photo[begin:], short_side=384)
    assert np.array_equal(np.asarray(decoded.image), np.asarray(decode(photo, short_side=384).image))
    assert decoded.exif == decode(photo, short_side=384).exif
