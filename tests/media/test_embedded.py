"""What is written in an image's own file, as other programs write it, and as exiftool reads it."""

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from photolineage.catalog.vocabulary import WrittenField
from photolineage.media import TakenAtSource, read_original
from photolineage.media.written import Written
from tests.media.test_xmp import bag, packet

TITLE, KEYWORD, PLACE = WrittenField.TITLE, WrittenField.KEYWORD, WrittenField.PLACE
XMP = packet("<dc:title>Über</dc:title>", 'xmp:Rating="5"')


def dataset(number: int, text: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text


IPTC = (
    dataset(25, "Fjörd".encode())
    + dataset(25, b"K\xf6ln")
    + dataset(90, b"Bergen")
    + dataset(55, b"19991231")
)


def saved(path: Path, **options: Any) -> tuple[Written, ...]:
    Image.new("RGB", (20, 10), "red").save(path, **options)
    return read_original(path).written


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".heic", ".avif"])
def test_xmp_is_read_from_every_format(tmp_path: Path, suffix: str) -> None:
    options: dict[str, Any] = {"tiffinfo": {700: XMP}} if suffix == ".tif" else {"xmp": XMP}
    if suffix == ".png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"pnginfo": text}
    assert [
        (one.field, one.value, one.key, one.origin) for one in saved(tmp_path / f"a{suffix}", **options)
    ] == [
        (WrittenField.TITLE, "Über", "XMP dc:title", ""),
        (WrittenField.RATING, "5", "XMP xmp:Rating", ""),
    ]


def test_iptc_of_a_tiff(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33723] = IPTC
    tags.tagtype[33723] = 7
    found = saved(tmp_path / "a.tif", tiffinfo=tags)
    assert [(one.field, one.value) for one in found[:3]] == [
        (KEYWORD, "Fjörd"),
        (KEYWORD, "Köln"),
        (PLACE, "Bergen"),
    ]
    original = read_original(tmp_path / "a.tif")
    assert original.taken_at_source is TakenAtSource.EMBEDDED
    assert (original.taken_at.isoformat(), original.taken_at_precision) == (
        "1999-12-31T12:00:00+00:00",
        "day",
    )
    assert found[3] == Written(WrittenField.TIME, "1999-12-31", "IPTC 2:55")


def test_iptc_of_a_jpeg_ends_where_it_is_damaged(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "JPEG")
    block = IPTC[:-13] + b"\x1c\x02\x19\xff\xff"
    resource = (
        b"Photoshop 3.0\x008BIM\x04\x04\0\0"
        + struct.pack(">I", len(block))
        + block
        + b"\0" * (len(block) % 2)
    )
    segment = b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource
    (tmp_path / "a.jpg").write_bytes(picture.getvalue()[:2] + segment + picture.getvalue()[2:])
    assert [one.value for one in read_original(tmp_path / "a.jpg").written] == ["Fjörd", "Köln", "Bergen"]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("Fri, 1 Jan 2016 12:00:00 +0200", "2016-01-01T10:00:00+00:00"),
        ("2016:01:01 12:00:00", "2016-01-01T12:00:00+00:00"),
    ],
)
def test_the_text_of_a_png(tmp_path: Path, time: str, expected: str) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "A drawing")
    text.add_text("Creation Time", time)
    keywords = IPTC[: -len(dataset(55, b"19991231"))]
    text.add_text("Raw profile type iptc", f"\niptc\n{len(keywords)}\n{keywords.hex()}\n")
    found = saved(tmp_path / "a.png", pnginfo=text)
    keys = ["PNG Title", "IPTC 2:25", "IPTC 2:25", "IPTC 2:90", "PNG Creation Time"]
    assert [one.key for one in found] == keys
    assert read_original(tmp_path / "a.png").taken_at.isoformat() == expected


def test_what_windows_and_what_cameras_write_in_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x9C9B] = "Größe".encode("utf-16-le") + b"\0\0"
    exif[0x9C9E] = "Anna;beach".encode("utf-16-le")
    exif[0x4746] = 3
    exif[0x010E] = "OLYMPUS DIGITAL CAMERA         "
    assert [(one.field, one.value, one.key) for one in saved(tmp_path / "a.jpg", exif=exif)] == [
        (TITLE, "Größe", "EXIF XPTitle"),
        (KEYWORD, "Anna", "EXIF XPKeywords"),
        (KEYWORD, "beach", "EXIF XPKeywords"),
        (WrittenField.RATING, "3", "EXIF Rating"),
    ]


def test_damaged_xmp_leaves_a_reason_and_the_picture(tmp_path: Path) -> None:
    (problem,) = saved(tmp_path / "a.jpg", xmp=b"<x:xmpmeta")
    assert problem.field is WrittenField.PROBLEM
    assert "damaged" in problem.value


GUID = b"554B6A3C29AB2DB7C95474E80AEE0CED"
EXTENSION = packet(bag("dc:subject", "Anna", "x" * 150_000))
MAIN = packet("<dc:title>Main</dc:title>", f'xmpNote:HasExtendedXMP="{GUID.decode()}"')
EXTENDED = [("title", "Main"), ("keyword", "Anna"), ("keyword", "x" * 10_000)]
ONLY_MAIN = EXTENDED[:1]
PART_MISSING = [*ONLY_MAIN, ("problem", "a part of the extended XMP is missing")]


def parts(name: bytes = GUID, size: int = len(EXTENSION), step: int = 0) -> list[bytes]:
    """The segments of the extension, the last one first. `step` is added to the offsets."""
    return [
        b"http://ns.adobe.com/xmp/extension/\0"
        + name
        + struct.pack(">II", size, begin + step * (begin > 0))
        + EXTENSION[begin : begin + 65_000]
        for begin in range(0, len(EXTENSION), 65_000)
    ][::-1]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        pytest.param(parts(), EXTENDED, id="whole"),
        pytest.param([*parts(b"0" * 32), *parts(GUID.lower())], EXTENDED, id="beside another one"),
        pytest.param(parts(b"0" * 32), ONLY_MAIN, id="only another one"),
        pytest.param(parts()[1:], PART_MISSING, id="the end is missing"),
        pytest.param(parts(step=1), PART_MISSING, id="a gap"),
        pytest.param(parts(size=10), PART_MISSING, id="more than announced"),
        pytest.param([b"http://ns.adobe.com/xmp/extension/\0" + GUID], ONLY_MAIN, id="no content"),
        pytest.param(
            parts(size=2**32 - 1),
            [*ONLY_MAIN, ("problem", "4,294,967,295 bytes of XMP exceed the limit of 4,194,304")],
            id="endless",
        ),
    ],
)
def test_xmp_in_several_segments_of_a_jpeg(
    tmp_path: Path, segments: list[bytes], expected: list[tuple[str, str]]
) -> None:
    """exiftool reads the same keywords from the whole extension, and none from the others."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "JPEG", xmp=MAIN)
    extension = b"".join(b"\xff\xe1" + struct.pack(">H", len(one) + 2) + one for one in segments)
    (tmp_path / "a.jpg").write_bytes(picture.getvalue()[:2] + extension + picture.getvalue()[2:])
    said = read_original(tmp_path / "a.jpg").written
    assert [(one.field.value, one.value) for one in said] == expected


@pytest.mark.parametrize("is_compressed", [False, True])
def test_xmp_and_exif_of_a_jpeg_xl(tmp_path: Path, is_compressed: bool) -> None:
    pytest.importorskip("pillow_jxl", reason="the extra `jxl` is not installed")
    exif = Image.Exif()
    exif[0x0132] = "2019:08:01 12:00:00"
    path = tmp_path / "a.jxl"
    said = saved(path, xmp=XMP, exif=exif.tobytes(), use_container=True, compress_metadata=is_compressed)
    assert (b"brob" in path.read_bytes()) == is_compressed
    assert [(one.field.value, one.value) for one in said] == [("title", "Über"), ("rating", "5")]
    assert read_original(path).taken_at.isoformat() == "2019-08-01T12:00:00+00:00"


def test_a_real_photo_says_what_exiftool_reads(photos: Path) -> None:
    said = {
        (one.field.value, one.value) for one in read_original(photos / "jpg" / "long_description.jpg").written
    }
    assert {
        ("title", "030904-A-2140D-006"),
        ("place", "KANDAHAR ARMY AIRFIELD"),
        ("place", "Afghanistan"),
    } <= said
    said = {
        (one.field.value, one.value)
        for one in read_original(photos / "jpg" / "xmp" / "BlueSquare.jpg").written
    }
    assert {("keyword", "XMP"), ("keyword", "Blue Square"), ("title", "Blue Square Test File - .jpg")} <= said
