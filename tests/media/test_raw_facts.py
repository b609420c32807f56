"""Date, place and camera of raw files that Pillow cannot read: headers with real directories, made by code."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from photolineage.media import read_original
from photolineage.media.exif import ExifFacts
from photolineage.media.raw_facts import read_raw_facts
from tests.media.test_xmp import packet

BASE, GPS = ExifTags.Base, ExifTags.GPS
TAKEN = datetime(2023, 7, 14, 18, 30, 12, tzinfo=timezone(timedelta(hours=2)))
MAKE_AND_MODEL: dict[int, object] = {BASE.Make: "Maker", BASE.Model: "Camera 1", BASE.Orientation: 6}
EXPOSURE: dict[int, object] = {
    BASE.DateTimeOriginal: "2023:07:14 18:30:12",
    BASE.OffsetTimeOriginal: "+02:00",
}
PARIS: dict[int, object] = {
    GPS.GPSLatitudeRef: "N",
    GPS.GPSLatitude: (48.0, 51.0, 30.24),
    GPS.GPSLongitudeRef: "E",
    GPS.GPSLongitude: (2.0, 17.0, 40.2),
    GPS.GPSAltitudeRef: b"\0",
    GPS.GPSAltitude: 35.0,
}
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
CANON_BOX = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")


def tiff(
    base: dict[int, object],
    camera: dict[int, object] | None = None,
    gps: dict[int, object] | None = None,
    *,
    order: str = "<",
) -> bytes:
    """A TIFF with these directories and nothing else."""
    exif = Image.Exif()
    exif.endian = order
    exif.update(base)
    if camera:
        exif.get_ifd(ExifTags.IFD.Exif).update(camera)
    if gps:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps)
    return exif.tobytes().removeprefix(b"Exif\0\0")


def under(head: bytes) -> bytes:
    """A TIFF with all facts whose first bytes are those of a raw format."""
    return head + tiff(MAKE_AND_MODEL, EXPOSURE, PARIS, order="<" if head.startswith(b"II") else ">")[4:]


def box(kind: bytes, content: bytes, *, wide: bool = False) -> bytes:
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


def cr3(*, wide: bool = False) -> bytes:
    parts = box(b"CNCV", b"CanonCR3_001/00.10.00/00.00.00")
    parts += box(b"CMT1", tiff(MAKE_AND_MODEL)) + box(b"CMT2", tiff(EXPOSURE)) + box(b"CMT4", tiff(PARIS))
    movie = box(b"uuid", CANON_BOX + parts, wide=wide) + box(b"mvhd", bytes(100))
    xmp = box(b"uuid", XMP_BOX + packet("", 'xmp:Rating="3"'))
    return box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", movie) + xmp + box(b"mdat", bytes(64))


def mrw() -> bytes:
    content = tiff(MAKE_AND_MODEL, EXPOSURE, PARIS)
    blocks = struct.pack(">4sI", b"\0PRD", 24) + b"27820001" + bytes(16)
    blocks += struct.pack(">4sI", b"\0TTW", len(content)) + content
    blocks += struct.pack(">4sI", b"\0WBG", 12) + bytes(12)
    return b"\0MRM" + struct.pack(">I", len(blocks)) + blocks + bytes(64)


def facts_of(data: bytes) -> ExifFacts:
    facts = read_raw_facts(data)
    assert facts is not None
    return facts


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(under(b"IIRO"), id="ORF"),
        pytest.param(under(b"IIRS"), id="ORF of early cameras"),
        pytest.param(under(b"MMOR"), id="ORF in the other byte order"),
        pytest.param(under(b"IIU\0"), id="RW2"),
        pytest.param(under(b"II*\0"), id="TIFF"),
        pytest.param(under(b"MM\0*"), id="TIFF in the other byte order"),
        pytest.param(mrw(), id="MRW"),
        pytest.param(cr3(), id="CR3"),
        pytest.param(cr3(wide=True), id="CR3 with 64-bit sizes"),
    ],
)
def test_date_place_and_camera(data: bytes) -> None:
    facts = facts_of(data)
    assert [written.time for written in facts.times] == [TAKEN]
    assert (facts.camera, facts.orientation) == ("Maker Camera 1", 6)
    assert facts.place is not None
    assert (facts.place.latitude, facts.place.longitude) == pytest.approx((48.8584, 2.2945))
    assert facts.place.altitude_m == 35


def test_the_xmp_of_a_cr3() -> None:
    assert [(one.field.value, one.value, one.key) for one in facts_of(cr3()).written] == [
        ("rating", "3", "XMP xmp:Rating")
    ]


def test_an_rw2_without_a_date_has_the_one_of_its_preview(
    encode: Callable[..., bytes], exif: Callable[..., Image.Exif]
) -> None:
    preview = encode(Image.new("RGB", (16, 16)), "JPEG", exif=exif(MAKE_AND_MODEL, EXPOSURE, PARIS))
    facts = facts_of(b"IIU\0" + tiff({**MAKE_AND_MODEL, 0x2E: preview})[4:])
    assert [written.time for written in facts.times] == [TAKEN]
    assert facts.place is not None


def test_a_raf_has_the_facts_of_its_preview(
    encode: Callable[..., bytes], exif: Callable[..., Image.Exif]
) -> None:
    preview = encode(Image.new("RGB", (16, 16)), "JPEG", exif=exif(MAKE_AND_MODEL, EXPOSURE, PARIS))
    head = b"FUJIFILMCCD-RAW 0201FF383501".ljust(84, b"\0") + struct.pack(">II", 160, len(preview))
    facts = facts_of(head.ljust(160, b"\0") + preview + bytes(64))
    assert [written.time for written in facts.times] == [TAKEN]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
@pytest.mark.parametrize(
    "data", [under(b"IIRO"), under(b"IIU\0"), mrw(), cr3()], ids=["ORF", "RW2", "MRW", "CR3"]
)
def test_damage_raises_no_error(data: bytes) -> None:
    for cut in range(0, len(data), 7):
        read_raw_facts(data[:cut])
        read_raw_facts(data[:cut] + b"\xff" * (len(data) - cut))


def test_a_box_that_contains_itself_ends() -> None:
    assert read_raw_facts(box(b"ftyp", b"crx \0\0\0\1") + struct.pack(">I4s", 1, b"moov") + bytes(8)) is None
    assert read_raw_facts(box(b"ftyp", b"crx \0\0\0\1") + struct.pack(">I4s", 4, b"moov") * 1000) is None


@pytest.mark.parametrize("head", [b"IIRO", b"IIRS", b"IIU\0"])
def test_an_original_has_them(tmp_path: Path, raw_file: Callable[..., bytes], head: bytes) -> None:
    """LibRaw takes a DNG under the header of another raw format for a DNG."""
    pytest.importorskip("rawpy", reason="the extra `raw` is not installed")
    path = tmp_path / "photo.orf"
    path.write_bytes(head + raw_file(Image.new("RGB", (320, 240), "red"), 1)[4:])
    original = read_original(path)
    assert (original.format, original.camera) == ("RAW", "PENTAX K10D")
    assert original.taken_at == datetime(2008, 5, 4, 16, 47, 24, tzinfo=UTC)


def test_bytes_of_another_format_have_none() -> None:
    assert read_raw_facts(b"FOVb" + bytes(64)) is None
