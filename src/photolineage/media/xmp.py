"""Read what people wrote in XMP: in an image, or in a file beside it.

XMP is RDF in XML. Only the properties that say something about the picture are read. A document type, and with it
every entity, is refused.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from photolineage.catalog.vocabulary import WrittenField
from photolineage.media.place import as_place
from photolineage.media.written import BrokenMetadataError, Written, position, written
from photolineage.media.written_time import parse_written_time

MAX_XMP_BYTES: Final = 2**22
_MOST_LEVELS: Final = 64
_MOST_VALUES: Final = 10_000
_FORBIDDEN: Final = re.compile(r"<!(?:DOCTYPE|ENTITY)")
_EXTENSION: Final = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENSION_HEAD: Final = struct.Struct(f">{len(_EXTENSION)}x32sII")
"""The name of the extension, the size of the whole extension, and where in it this part begins."""
_HAS_EXTENSION: Final = re.compile(rb"HasExtendedXMP\s*(?:=\s*[\"']|>)\s*([0-9A-Fa-f]{32})\b")

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ITEM: Final = f"{_RDF} li"
_LANGUAGE: Final = "http://www.w3.org/XML/1998/namespace lang"
_DEFAULT_LANGUAGE: Final = "x-default"
_PREFIXES: Final = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://www.metadataworkinggroup.com/schemas/regions/": "mwg-rs",
    "http://ns.microsoft.com/photo/1.0/": "MicrosoftPhoto",
    "http://ns.microsoft.com/photo/1.0": "MicrosoftPhoto",
    "http://ns.microsoft.com/photo/1.2/t/Region#": "MPReg",
    "http://www.digikam.org/ns/1.0/": "digiKam",
    "http://ns.iview-multimedia.com/mediapro/1.0/": "mediapro",
}

_TEXTS: Final = (
    (WrittenField.TITLE, ("dc:title", "photoshop:Headline")),
    (WrittenField.DESCRIPTION, ("dc:description",)),
    (WrittenField.KEYWORD, ("dc:subject", "MicrosoftPhoto:LastKeywordXMP")),
    (WrittenField.PERSON, ("Iptc4xmpExt:PersonInImage", "mediapro:People", "MPReg:PersonDisplayName")),
    (
        WrittenField.PLACE,
        (
            "Iptc4xmpExt:LocationName",
            "Iptc4xmpExt:Sublocation",
            "Iptc4xmpCore:Location",
            "Iptc4xmpExt:City",
            "photoshop:City",
            "Iptc4xmpExt:ProvinceState",
            "photoshop:State",
            "Iptc4xmpExt:CountryName",
            "photoshop:Country",
        ),
    ),
    (WrittenField.RATING, ("xmp:Rating",)),
)
"""The properties of each field, the most trustworthy first."""
_HIERARCHIES: Final = {"lr:hierarchicalSubject": "|", "digiKam:TagsList": "/"}
_PEOPLE: Final = "people"
"""The tag below which programs keep the names of people."""
_REGION_NAME, _REGION_TYPE, _FACE = "mwg-rs:Name", "mwg-rs:Type", "Face"
_PERCENT_RATING: Final = "MicrosoftPhoto:Rating"
_TIMES: Final = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")
_LATITUDE, _LONGITUDE = "exif:GPSLatitude", "exif:GPSLongitude"
_ALTITUDE, _ALTITUDE_REFERENCE = "exif:GPSAltitude", "exif:GPSAltitudeRef"
_WANTED: Final = frozenset(
    (
        *(name for _field, names in _TEXTS for name in names),
        *_HIERARCHIES,
        *_TIMES,
        *(_REGION_NAME, _REGION_TYPE, _PERCENT_RATING),
        *(_LATITUDE, _LONGITUDE, _ALTITUDE, _ALTITUDE_REFERENCE),
    )
)
_DEGREES: Final = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])", re.ASCII)
_FRACTION: Final = re.compile(r"(-?\d{1,12}(?:\.\d+)?)(?:/(\d{1,12}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Value:
    """The text of a property. `item` numbers the item of the list in which it is; the language may be empty."""

    text: str
    item: int
    language: str


def read_xmp(packet: bytes) -> list[Written]:
    """What people wrote in a packet or a file of XMP. Raises BrokenMetadataError."""
    values = _values(_text_of(packet))
    return [*_texts(values), *_keyword_trees(values), *_faces(values), *_numbers(values)]


def extension_of(packet: bytes, segments: Iterable[bytes]) -> bytes:
    """The second packet that the first one names: a JPEG keeps it in several segments, each of at most 64 KB.

    Empty if the first one names none, or one that is not there. Raises BrokenMetadataError if a part of it is missing,
    or if it is too large.
    """
    named = _HAS_EXTENSION.search(packet)
    if named is None:
        return b""
    parts: dict[int, bytes] = {}
    whole = 0
    for segment in segments:
        if segment.startswith(_EXTENSION) and len(segment) > _EXTENSION_HEAD.size:
            name, size, begin = _EXTENSION_HEAD.unpack_from(segment)
            if name.lower() == named[1].lower():
                parts[begin], whole = segment[_EXTENSION_HEAD.size :], size
    if whole > MAX_XMP_BYTES:
        raise BrokenMetadataError(_too_large(whole))
    extension = bytearray()
    while part := parts.get(len(extension)):
        extension += part
    if len(extension) != whole:
        raise BrokenMetadataError("a part of the extended XMP is missing")
    return bytes(extension)


def _too_large(size: int) -> str:
    return f"{size:,} bytes of XMP exceed the limit of {MAX_XMP_BYTES:,}"


def _texts(values: Mapping[str, list[_Value]]) -> Iterator[Written]:
    for kind, names in _TEXTS:
        for name in names:
            for value in _in_one_language(values.get(name, ())):
                yield from written(kind, value.text, f"XMP {name}")


def _in_one_language(values: "list[_Value] | tuple[()]") -> Iterator[_Value]:
    """The values without a language, and of those with one the default, or else the first."""
    spoken = [value for value in values if value.language]
    chosen = next((value for value in spoken if value.language == _DEFAULT_LANGUAGE), None)
    for value in values:
        if not value.language or value is (chosen or spoken[0]):
            yield value


def _keyword_trees(values: Mapping[str, list[_Value]]) -> Iterator[Written]:
    """Every level of a keyword such as `Places|Italy|Rome` is a keyword; below `People`, it is a name."""
    for name, separator in _HIERARCHIES.items():
        for value in values.get(name, ()):
            top, *below = value.text.split(separator)
            is_person = top.strip().casefold() == _PEOPLE and bool(below)
            kind = WrittenField.PERSON if is_person else WrittenField.KEYWORD
            for level in below[-1:] if is_person else (top, *below):
                yield from written(kind, level, f"XMP {name}")


def _faces(values: Mapping[str, list[_Value]]) -> Iterator[Written]:
    """The names of regions that are faces. A region may be a pet or a bar code, too."""
    kind_of = {value.item: value.text for value in values.get(_REGION_TYPE, ())}
    for value in values.get(_REGION_NAME, ()):
        if kind_of.get(value.item, _FACE) == _FACE:
            yield from written(WrittenField.PERSON, value.text, f"XMP {_REGION_NAME}")


def _numbers(values: Mapping[str, list[_Value]]) -> Iterator[Written]:
    for value in values.get(_PERCENT_RATING, ()):
        if value.text.isdecimal() and 0 < int(value.text[:3]) < 100:
            stars = 1 + round(int(value.text[:3]) / 25)
            yield from written(WrittenField.RATING, str(stars), f"XMP {_PERCENT_RATING}")
    for name in _TIMES:
        for value in values.get(name, ()):
            if parse_written_time(value.text) is not None:
                yield from written(WrittenField.TIME, value.text, f"XMP {name}")
    latitude, longitude = _degrees(values, _LATITUDE), _degrees(values, _LONGITUDE)
    if latitude is not None and longitude is not None:
        place = as_place(latitude, longitude, _altitude(values))
        yield from position(place, f"XMP {_LATITUDE}")


def _degrees(values: Mapping[str, list[_Value]], name: str) -> float | None:
    """A coordinate such as `48,8.1234N` or `2,17,40W`."""
    for value in values.get(name, ()):
        match = _DEGREES.fullmatch(value.text.strip())
        if match is not None:
            degrees, minutes, seconds, letter = match.groups()
            size = int(degrees) + float(minutes) / 60 + float(seconds or 0) / 3600
            return -size if letter in "SW" else size
    return None


def _altitude(values: Mapping[str, list[_Value]]) -> float | None:
    for value in values.get(_ALTITUDE, ()):
        match = _FRACTION.fullmatch(value.text.strip())
        if match is not None and match[2] != "0":
            metres = float(match[1]) / int(match[2] or 1)
            is_below = any(reference.text == "1" for reference in values.get(_ALTITUDE_REFERENCE, ()))
            return -abs(metres) if is_below else metres
    return None


def _text_of(packet: bytes) -> str:
    """The XML as text. Raises BrokenMetadataError if it declares a document type."""
    if len(packet) > MAX_XMP_BYTES:
        raise BrokenMetadataError(_too_large(len(packet)))
    if packet.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = packet.decode("utf-16", "replace")
    elif packet.startswith((b"<\0", b"\0<")):
        text = packet.decode("utf-16-le" if packet[1] == 0 else "utf-16-be", "replace")
    else:
        try:
            text = packet.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = packet.decode("latin-1")
    if _FORBIDDEN.search(text) is not None:
        raise BrokenMetadataError("the XMP has a document type, which may define endless entities")
    return text.strip("\0\ufeff \t\r\n")


def _values(xml: str) -> Mapping[str, list[_Value]]:
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise BrokenMetadataError(f"the XMP is damaged: {error}") from error
    return reader.values


@dataclass(slots=True)
class _Reader:
    """Collects the wanted properties while expat reads the XML."""

    values: dict[str, list[_Value]] = field(default_factory=dict)
    _properties: list[str] = field(default_factory=list)
    _texts: list[list[str]] = field(default_factory=list)
    _languages: list[str] = field(default_factory=list)
    _items: list[int] = field(default_factory=list)
    _items_begun: int = 0
    _values_found: int = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._properties) >= _MOST_LEVELS:
            raise BrokenMetadataError(f"the XMP has more than {_MOST_LEVELS} levels")
        if name == _ITEM:
            self._items_begun += 1
            self._items.append(self._items_begun)
        is_rdf = name.startswith(_RDF)
        # The text in a list is that of the property which has the list.
        self._properties.append(
            (self._properties[-1] if self._properties else "") if is_rdf else _short(name)
        )
        self._texts.append([])
        self._languages.append(attributes.get(_LANGUAGE, ""))
        for attribute, value in attributes.items():
            self._record(_short(attribute), value, "")

    def text(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)

    def end(self, name: str) -> None:
        self._record(self._properties.pop(), "".join(self._texts.pop()), self._languages.pop())
        if name == _ITEM:
            self._items.pop()

    def _record(self, name: str, text: str, language: str) -> None:
        if name not in _WANTED or not (text := text.strip()):
            return
        self._values_found += 1
        if self._values_found > _MOST_VALUES:
            raise BrokenMetadataError(f"the XMP has more than {_MOST_VALUES:,} values")
        self.values.setdefault(name, []).append(_Value(text, self._items[-1] if self._items else 0, language))


def _short(name: str) -> str:
    """The name with its usual prefix, e.g. `dc:title`; as it is if the namespace is not known."""
    namespace, _space, local = name.rpartition(" ")
    prefix = _PREFIXES.get(namespace)
    return f"{prefix}:{local}" if prefix else name
