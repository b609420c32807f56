"""XMP: what the programs of the world write there, and what nobody may write there."""

import time
from pathlib import Path

import pytest

from photolineage.catalog.vocabulary import WrittenField
from photolineage.media.written import BrokenMetadataError
from photolineage.media.xmp import MAX_XMP_BYTES, read_xmp

TITLE, DESCRIPTION, KEYWORD = WrittenField.TITLE, WrittenField.DESCRIPTION, WrittenField.KEYWORD
PERSON, PLACE, RATING = WrittenField.PERSON, WrittenField.PLACE, WrittenField.RATING
NAMESPACES = """xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"
 xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
 xmlns:digiKam="http://www.digikam.org/ns/1.0/" xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#\""""


def packet(properties: str, attributes: str = "") -> bytes:
    """A packet of XMP with these properties, as elements and as attributes."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF {NAMESPACES}><rdf:Description rdf:about="" {attributes}>{properties}</rdf:Description></rdf:RDF>'
        '</x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def bag(name: str, *items: str, kind: str = "Bag") -> str:
    return (
        f"<{name}><rdf:{kind}>{''.join(f'<rdf:li>{item}</rdf:li>' for item in items)}</rdf:{kind}></{name}>"
    )


def said(xmp: bytes) -> list[tuple[WrittenField, str, str]]:
    return [(one.field, one.value, one.key.removeprefix("XMP ")) for one in read_xmp(xmp)]


LIGHTROOM = packet(
    '<dc:title><rdf:Alt><rdf:li xml:lang="de-DE">Am Meer</rdf:li><rdf:li xml:lang="x-default">At the sea</rdf:li>'
    "</rdf:Alt></dc:title>"
    + bag("dc:subject", "Anna", "beach")
    + bag("lr:hierarchicalSubject", "Places|Italy|Rome"),
    'xmp:Rating="4" photoshop:City="Livorno" exif:DateTimeOriginal="2019-08-01T12:00:00.00+02:00"',
)
DIGIKAM = packet(
    bag("digiKam:TagsList", "People/Anna", "Trips/Kayak", kind="Seq")
    + "<mwg-rs:Regions><rdf:Description><mwg-rs:RegionList><rdf:Bag>"
    '<rdf:li><rdf:Description mwg-rs:Name="Anna" mwg-rs:Type="Face"><mwg-rs:Area stArea:x="0.5"/></rdf:Description>'
    "</rdf:li>"
    '<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Bello</mwg-rs:Name><mwg-rs:Type>Pet</mwg-rs:Type></rdf:li>'
    '<rdf:li mwg-rs:Name="Józef"/>'
    "</rdf:Bag></mwg-rs:RegionList></rdf:Description></mwg-rs:Regions>"
)


@pytest.mark.parametrize(
    ("xmp", "expected"),
    [
        pytest.param(
            LIGHTROOM,
            [
                (TITLE, "At the sea", "dc:title"),
                (KEYWORD, "Anna", "dc:subject"),
                (KEYWORD, "beach", "dc:subject"),
                (PLACE, "Livorno", "photoshop:City"),
                (RATING, "4", "xmp:Rating"),
                (KEYWORD, "Places", "lr:hierarchicalSubject"),
                (KEYWORD, "Italy", "lr:hierarchicalSubject"),
                (KEYWORD, "Rome", "lr:hierarchicalSubject"),
                (WrittenField.TIME, "2019-08-01T12:00:00.00+02:00", "exif:DateTimeOriginal"),
            ],
            id="lightroom",
        ),
        pytest.param(
            DIGIKAM,
            [
                (PERSON, "Anna", "digiKam:TagsList"),
                (KEYWORD, "Trips", "digiKam:TagsList"),
                (KEYWORD, "Kayak", "digiKam:TagsList"),
                (PERSON, "Anna", "mwg-rs:Name"),
                (PERSON, "Józef", "mwg-rs:Name"),
            ],
            id="digikam",
        ),
        pytest.param(
            packet("", 'exif:GPSLatitude="48,51.504N" exif:GPSLongitude="2,17,40.2W" exif:GPSAltitude="70/2"'),
            [(WrittenField.POSITION, "48.8584 -2.2945 35.0", "exif:GPSLatitude")],
            id="position",
        ),
        pytest.param(packet("", 'xmp:Rating="0"'), [], id="nobody rated it"),
        pytest.param(packet("", 'xmp:Rating="-1"'), [(RATING, "-1", "xmp:Rating")], id="rejected"),
        pytest.param(packet("", 'xmp:Rating="9"'), [], id="no such rating"),
        pytest.param(packet("<MicrosoftPhoto:Rating>75</MicrosoftPhoto:Rating>"),
                     [(RATING, "4", "MicrosoftPhoto:Rating")],
                     id="a rating in percent"),
        pytest.param(packet("<dc:description>one\n\x7f two\u202e</dc:description>"),
                     [(DESCRIPTION, "one two", "dc:description")],
                     id="control characters"),
        pytest.param(packet("<dc:title>\u00e9</dc:title>").decode().encode("utf-16"),
                     [(TITLE, "\u00e9", "dc:title")], id="utf-16"),
        pytest.param(packet("<dc:title>a</dc:title>") + b"\0" * 2000, [(TITLE, "a", "dc:title")], id="padding"),
    ],
)  # fmt: skip
def test_what_programs_write(xmp: bytes, expected: list[tuple[WrittenField, str, str]]) -> None:
    assert said(xmp) == expected


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BILLION_LAUGHS = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>'
FILE = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("xmp", "reason"),
    [
        pytest.param(BILLION_LAUGHS.encode() + packet("<dc:title>&l11;</dc:title>"), "document type", id="laughs"),
        pytest.param((BILLION_LAUGHS + packet("<dc:title>&l11;</dc:title>").decode()).encode("utf-16"), "document type",
                     id="laughs in UTF-16"),
        pytest.param(FILE.encode() + packet("<dc:title>&f;</dc:title>"), "document type", id="another file"),
        pytest.param(packet("<dc:title>&nosuch;</dc:title>"), "undefined entity", id="an entity that nobody defined"),
        pytest.param(packet("<rdf:li>" * 100_000), "more than 64 levels", id="levels"),
        pytest.param(packet("<dc:subject>a</dc:subject>" * 20_000), "more than 10,000 values", id="values"),
        pytest.param(packet("<dc:title>a")[:-40], "damaged", id="cut off"),
        pytest.param(b"\xff\xd8\xff", "damaged", id="a picture"),
        pytest.param(b" " * (MAX_XMP_BYTES + 1), "exceed the limit", id="too large"),
    ],
)  # fmt: skip
def test_what_is_refused(xmp: bytes, reason: str) -> None:
    begun = time.monotonic()
    with pytest.raises(BrokenMetadataError, match=reason):
        read_xmp(xmp)
    assert time.monotonic() - begun < 2


def test_a_text_is_cut(tmp_path: Path) -> None:
    (one,) = read_xmp(packet(f"<dc:title>{'a' * 50_000}</dc:title>"))
    assert one.value == "a" * 10_000
