"""Damaged images and sidecars: bytes of valid ones of every format, cut, spliced, zeroed and flipped."""

import io
import json
import random
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pillow_heif
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, TiffImagePlugin

from photolineage.media import UnreadableImageError, read_original

pillow_heif.register_heif_opener()

_HEADER_BYTES: Final = 1024
_SIZE: Final = (96, 64)


def valid_images() -> dict[str, bytes]:
    """A small image of each format, by a suitable file name, with EXIF, XMP and a colour profile as the format allows.

    JPEG XL is among them if its plugin is installed.
    """
    picture = Image.radial_gradient("L").resize(_SIZE)
    colored = Image.merge(
        "RGB", (picture, picture.transpose(Image.Transpose.ROTATE_180), picture.point(lambda v: 255 - v))
    )
    described = {
        "exif": _exif(),
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "xmp": _XMP,
    }
    in_png = PngImagePlugin.PngInfo()
    in_png.add_itxt("XML:com.adobe.xmp", _XMP.decode())
    images = {
        "baseline.jpg": _encoded(colored, "JPEG", quality=85, **described),
        "progressive.jpg": _encoded(colored, "JPEG", progressive=True, **described),
        "cmyk.jpg": _encoded(colored.convert("CMYK"), "JPEG"),
        "pair.mpo": _encoded(colored, "MPO", save_all=True, append_images=[colored]),
        "color.png": _encoded(colored, "PNG", pnginfo=in_png, **described),
        "palette.png": _encoded(colored.quantize(16), "PNG"),
        "lossy.webp": _encoded(colored, "WEBP", quality=80, **described),
        "lossless.webp": _encoded(colored, "WEBP", lossless=True),
        "plain.tiff": _encoded(colored, "TIFF", exif=_exif()),
        "lzw.tiff": _encoded(colored, "TIFF", compression="tiff_lzw"),
        "bilevel.tiff": _encoded(picture.convert("1"), "TIFF", compression="group4"),
        "animated.gif": _encoded(
            colored.quantize(32), "GIF", save_all=True, append_images=[colored.quantize(8)] * 3, duration=40
        ),
        "plain.bmp": _encoded(colored, "BMP"),
        "phone.heic": _encoded(colored, "HEIF", **described),
        "phone.avif": _encoded(colored, "AVIF", **described),
    }
    if find_spec("pillow_jxl"):
        import pillow_jxl  # noqa: F401 (registers the format, to write it)

        images["small.jxl"] = _encoded(colored, "JXL", exif=_exif(), xmp=_XMP)
    return images


def valid_sidecars() -> dict[str, bytes]:
    """What programs write beside an image, by file name: XMP, and the JSON of Google Takeout."""
    return {"phone.heic.xmp": _XMP, "phone.heic.json": json.dumps(_TAKEOUT, indent=2).encode()}


def mutations(images: dict[str, bytes], count: int, *, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """`count` damaged copies, each with the name of its image. The same seed gives the same copies."""
    chance = random.Random(seed)
    names = sorted(images)
    for number in range(count):
        name = names[number % len(names)]
        damage = chance.choice(_DAMAGES)
        data = bytearray(images[name])
        damage(data, images[chance.choice(names)], chance)
        yield name, bytes(data)


def read_all(damaged: Iterator[tuple[str, bytes]], folder: Path) -> Iterator[tuple[str, str]]:
    """The name and the outcome ("read", "truncated" or the reason) of each copy, read from a file in `folder`."""
    for name, data in damaged:
        path = folder / name
        path.write_bytes(data)
        try:
            yield name, "truncated" if read_original(path).truncated else "read"
        except UnreadableImageError as error:
            yield name, error.reason.value


def _flip(data: bytearray, _: bytes, chance: random.Random) -> None:
    for _number in range(chance.randint(1, 30)):
        data[chance.randrange(len(data))] = chance.randrange(256)


def _flip_header(data: bytearray, _: bytes, chance: random.Random) -> None:
    for _number in range(chance.randint(1, 10)):
        data[chance.randrange(min(len(data), _HEADER_BYTES))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))


def _cut(data: bytearray, _: bytes, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data)) :]


def _splice(data: bytearray, other: bytes, chance: random.Random) -> None:
    data[chance.randrange(len(data)) :] = other[chance.randrange(len(other)) :]


def _zero(data: bytearray, _: bytes, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    size = min(chance.randint(1, 512), len(data) - start)
    data[start : start + size] = bytes(size)


def _remove(data: bytearray, _: bytes, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randint(1, 64)]


_DAMAGES: Final[tuple[Callable[[bytearray, bytes, random.Random], None], ...]] = (
    _flip,
    _flip_header,
    _cut,
    _splice,
    _zero,
    _remove,
)


_XMP: Final = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" xmp:Rating="4"
 exif:DateTimeOriginal="2023-07-14T18:30:12+02:00" exif:GPSLatitude="48,51.4933N" exif:GPSLongitude="2,17.67E">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Evening by the river</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>river</rdf:li><rdf:li>Paris</rdf:li></rdf:Bag></dc:subject>
<lr:hierarchicalSubject><rdf:Bag><rdf:li>People|Anna</rdf:li></rdf:Bag></lr:hierarchicalSubject>
<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>
<rdf:li><rdf:Description mwg-rs:Name="Bob" mwg-rs:Type="Face"/></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""

_TAKEOUT: Final = {
    "title": "phone.heic",
    "description": "Anna&#39;s evening by the river",
    "photoTakenTime": {"timestamp": "1689352212", "formatted": "14 Jul 2023, 16:30:12 UTC"},
    "geoData": {"latitude": 48.8582, "longitude": 2.2945, "altitude": 35.0},
    "people": [{"name": "Anna"}, {"name": "Bob"}],
}


def _encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Model] = "Canon EOS 40D"
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.XResolution] = TiffImagePlugin.IFDRational(72)
    exif[ExifTags.Base.ResolutionUnit] = 2
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    camera[ExifTags.Base.DateTimeOriginal] = "2023:07:14 18:30:12"
    camera[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (48.0, 51.0, 29.6)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E", (2.0, 17.0, 40.2)
    return exif.tobytes()
