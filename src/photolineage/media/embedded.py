"""What people wrote in an image's own file: XMP, IPTC, the text of a PNG, EXIF, and the times of two camera makers."""

import contextlib
import email.utils
import logging
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PsdImagePlugin import PsdImageFile
from PIL.TiffImagePlugin import TiffImageFile

from photolineage.catalog.vocabulary import WrittenField
from photolineage.media.written import BrokenMetadataError, Written, combined, written
from photolineage.media.written_time import parse_written_time
from photolineage.media.xmp import MAX_XMP_BYTES, extension_of, read_xmp

_logger = logging.getLogger(__name__)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_XMP_TAG: Final = 700
_IPTC_TAG: Final = 33723
_IPTC_RESOURCE: Final = 0x0404
_XMP_RESOURCE: Final = 0x0424
_MOST_DATASETS: Final = 10_000
_IPTC_FIELDS: Final = {
    5: WrittenField.TITLE,
    25: WrittenField.KEYWORD,
    90: WrittenField.PLACE,
    92: WrittenField.PLACE,
    95: WrittenField.PLACE,
    101: WrittenField.PLACE,
    105: WrittenField.TITLE,
    120: WrittenField.DESCRIPTION,
}
"""The datasets of IPTC's record 2. Places: city, sublocation, state and country."""
_IPTC_DATE, _IPTC_TIME = 55, 60
_IPTC_BEGINS: Final = b"\x1c"
_IPTC_DAY: Final = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_IPTC_CLOCK: Final = re.compile(r"(\d\d)(\d\d)(\d\d)([+-]\d{4})?", re.ASCII)

_EXIF_TEXTS: Final = (
    (WrittenField.TITLE, ExifTags.Base.XPTitle, "XPTitle"),
    (WrittenField.DESCRIPTION, ExifTags.Base.XPComment, "XPComment"),
    (WrittenField.DESCRIPTION, ExifTags.Base.XPSubject, "XPSubject"),
    (WrittenField.DESCRIPTION, ExifTags.Base.ImageDescription, "ImageDescription"),
)
_CAMERA_PHRASE: Final = re.compile(
    r"(?:olympus|minolta|samsung|sony|sanyo|konica|casio|kodak|jvc|digital|camera|pictures?|image|dsc|dcim|default"
    r"|exif_jpeg_picture|untitled|created with gimp|screenshot|[\d_.\W])*",
    re.IGNORECASE,
)
"""What cameras write as the description of every picture, such as "OLYMPUS DIGITAL CAMERA" or "SONY DSC"."""
_RATING_TAG: Final = 0x4746

_PNG_TEXTS: Final = {
    "Title": WrittenField.TITLE,
    "Description": WrittenField.DESCRIPTION,
    "Comment": WrittenField.DESCRIPTION,
}
_PNG_TIME: Final = "Creation Time"
_PNG_XMP, _PNG_IPTC = "Raw profile type xmp", "Raw profile type iptc"

_MAKER_NOTE: Final = 0x927C
_RECONYX: Final = b"\x01\xf1"
_RECONYX_TIME_AT: Final = 22
_OLYMPUS_TIME: Final = re.compile(rb"\[picture info\].{0,512}?TimeDate=(\d{1,10})\b", re.DOTALL)


def written_in_exif(
    base: Mapping[int, object] | Image.Exif, camera_ifd: Mapping[int, object] | Image.Exif
) -> list[Written]:
    """What is written in EXIF's directories, also XMP and IPTC, which are tags of a TIFF and of most raw files."""
    values = {tag: _value(base, tag) for tag in (_XMP_TAG, _IPTC_TAG, ExifTags.Base.XPKeywords, _RATING_TAG)}
    blocks = [*written_in_xmp(_bytes(values[_XMP_TAG])), *_iptc(_bytes(values[_IPTC_TAG]))]
    texts: list[Written] = []
    for kind, tag, name in _EXIF_TEXTS:
        texts += _unless_of_a_camera(
            kind, _text(_value(base, tag), is_wide=name.startswith("XP")), f"EXIF {name}"
        )
    for keyword in _text(values[ExifTags.Base.XPKeywords], is_wide=True).split(";"):
        texts += written(WrittenField.KEYWORD, keyword, "EXIF XPKeywords")
    texts += written(WrittenField.RATING, str(values[_RATING_TAG]), "EXIF Rating")
    return [*blocks, *texts, *_reconyx_time(_value(camera_ifd, _MAKER_NOTE))]


def written_in_container(container: Image.Image) -> list[Written]:
    """What is written in the parts of an image file that are not EXIF. Nothing damaged raises an error."""
    info = container.info
    is_tiff = isinstance(container, TiffImageFile)  # its XMP is a tag
    parts = container.applist if isinstance(container, JpegImageFile) else ()
    segments = [content for name, content in parts if name == "APP1"]
    found = [] if is_tiff else [*written_in_xmp(_bytes(info.get("xmp")), segments)]
    if isinstance(container, PsdImageFile):
        blocks = {number: data for number, _name, data in container.resources[:_MOST_DATASETS]}
        found += [
            *written_in_xmp(_bytes(blocks.get(_XMP_RESOURCE))),
            *_iptc(_bytes(blocks.get(_IPTC_RESOURCE))),
        ]
    resources = info.get("photoshop")
    if isinstance(resources, Mapping):
        found += _iptc(_bytes(resources.get(_IPTC_RESOURCE)))
    if isinstance(container, JpegImageFile):
        found += _olympus_time(container.app.get("APP12"))
    elif not is_tiff:
        found += _written_in_png(info)
    return found


def of_the_file(*parts: Iterable[Written]) -> tuple[Written, ...]:
    """What several parts of one file say, the most trustworthy first."""
    return combined([("", [one for part in parts for one in part])])


def written_in_xmp(packet: bytes, segments: Iterable[bytes] = ()) -> Iterator[Written]:
    """What is written in a packet of XMP and in its extension, which is split into these segments of a JPEG."""
    if not packet:
        return
    try:
        yield from read_xmp(packet)
        if extension := extension_of(packet, segments):
            yield from read_xmp(extension)
    except BrokenMetadataError as error:
        yield from written(WrittenField.PROBLEM, str(error), "XMP")


def _iptc(block: bytes) -> Iterator[Written]:
    """What is written in a block of IPTC's records. A damaged end is left out."""
    day = clock = ""
    for dataset, text in _iptc_texts(block):
        if dataset in _IPTC_FIELDS:
            yield from written(_IPTC_FIELDS[dataset], text, f"IPTC 2:{dataset}")
        elif dataset == _IPTC_DATE and (match := _IPTC_DAY.fullmatch(text)) is not None:
            day = "-".join(match.groups())
        elif dataset == _IPTC_TIME and (match := _IPTC_CLOCK.fullmatch(text)) is not None:
            hour, minute, second, offset = match.groups()
            clock = f"T{hour}:{minute}:{second}{offset or ''}"
    yield from _time(f"{day}{clock}" if day else "", f"IPTC 2:{_IPTC_DATE}")


def _iptc_texts(block: bytes) -> Iterator[tuple[int, str]]:
    """The numbers and texts of the datasets in IPTC's record 2."""
    position, encoding = 0, "utf-8"
    for _number in range(_MOST_DATASETS):
        if block[position : position + 1] != _IPTC_BEGINS or position + 5 > len(block):
            return
        record, dataset, size = struct.unpack_from(">BBH", block, position + 1)
        position += 5
        if size & 0x8000:  # an extended dataset: only pictures are that large
            return
        value = block[position : position + size]
        position += size
        if record == 2:
            try:
                yield dataset, value.decode(encoding).strip("\0 ")
            except UnicodeDecodeError:
                yield dataset, value.decode("latin-1").strip("\0 ")


def _written_in_png(info: Mapping[Any, Any]) -> Iterator[Written]:
    for name, kind in _PNG_TEXTS.items():
        yield from _unless_of_a_camera(kind, str(info.get(name) or ""), f"PNG {name}")
    yield from written_in_xmp(_profile(info.get(_PNG_XMP)))
    yield from _iptc(_without_resource_header(_profile(info.get(_PNG_IPTC))))
    text = str(info.get(_PNG_TIME) or "")[:100]
    with contextlib.suppress(ValueError, OverflowError, IndexError):  # most programs write it as EXIF does
        text = email.utils.parsedate_to_datetime(text).isoformat()
    yield from _time(text, f"PNG {_PNG_TIME}")


def _profile(text: object) -> bytes:
    """The bytes of a profile that ImageMagick writes as text: its name, its size, and hexadecimal digits."""
    if not isinstance(text, str) or len(text) > 2 * MAX_XMP_BYTES:
        return b""
    try:
        return bytes.fromhex("".join(text.split()[2:]))
    except ValueError:
        return b""


def _without_resource_header(data: bytes) -> bytes:
    """IPTC's records in a resource of Photoshop, or the data itself."""
    start = data.find(b"\x1c\x01") if data.startswith(b"8BIM") else 0
    start = data.find(b"\x1c\x02") if start < 0 else start
    return data[max(start, 0) :]


def _reconyx_time(note: object) -> Iterator[Written]:
    """The time in the note of a wildlife camera, which has no other."""
    if isinstance(note, bytes) and note.startswith(_RECONYX) and len(note) >= _RECONYX_TIME_AT + 12:
        second, minute, hour, month, day, year = struct.unpack_from("<6H", note, _RECONYX_TIME_AT)
        clock = f"{hour:02}:{minute:02}:{second:02}"
        yield from _time(f"{year:04}-{month:02}-{day:02}T{clock}", "MakerNote Reconyx")


def _olympus_time(segment: object) -> Iterator[Written]:
    """The time in the text that Olympus wrote before there was EXIF: seconds of the camera's clock."""
    match = _OLYMPUS_TIME.search(segment[:4096]) if isinstance(segment, bytes) else None
    if match is not None:
        time = _EPOCH + timedelta(seconds=int(match[1]))
        yield from _time(time.replace(tzinfo=None).isoformat(), "MakerNote TimeDate")


def _time(text: str, key: str) -> Iterator[Written]:
    if text and parse_written_time(text) is not None:
        yield from written(WrittenField.TIME, text, key)


def _unless_of_a_camera(kind: WrittenField, text: str, key: str) -> Iterator[Written]:
    if _CAMERA_PHRASE.fullmatch(text[:100]) is None:
        yield from written(kind, text, key)


def _value(directory: Mapping[int, object] | Image.Exif, tag: int) -> object:
    try:
        return directory.get(tag)
    except Exception:  # Pillow parses a value when it is first read
        _logger.debug("EXIF tag %#x is damaged", tag, exc_info=True)
        return None


def _bytes(value: object) -> bytes:
    """A block of bytes. Some programs declare it as a list of numbers, which Pillow then unpacks."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, tuple) and value and all(isinstance(number, int) for number in value):
        try:
            if max(value) <= 0xFF:
                return bytes(value)
            blocks = [struct.pack(f"{order}{len(value)}I", *value) for order in "<>"]
        except (struct.error, ValueError):
            return b""
        return blocks[1] if blocks[1].startswith(_IPTC_BEGINS) else blocks[0]
    return value if isinstance(value, bytes) else b""


def _text(value: object, *, is_wide: bool) -> str:
    """The text of a tag. Windows writes its own tags as UTF-16."""
    data = _bytes(value)
    if is_wide:
        return data.decode("utf-16-le", "ignore").split("\0", 1)[0]
    if isinstance(value, str):  # Pillow decodes it as Latin-1, but programs write UTF-8
        data = value.encode("latin-1", "replace")
    data = data.split(b"\0", 1)[0]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
