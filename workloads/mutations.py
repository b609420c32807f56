"""Damaged images: bytes of valid images of every format, cut, spliced, zeroed and flipped."""

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pillow_heif
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from photolineage.media import UnreadableImageError, read_original

pillow_heif.register_heif_opener()

_HEADER_BYTES: Final = 1024
_SIZE: Final = (96, 64)


def valid_images() -> dict[str, bytes]:
    """A small image of each format, by a suitable file name, with EXIF and a colour profile if the format has them."""
    picture = Image.radial_gradient("L").resize(_SIZE)
    colored = Image.merge(
        "RGB", (picture, picture.transpose(Image.Transpose.ROTATE_180), picture.point(lambda v: 255 - v))
    )
    described = {
        "exif": _exif(),
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    }
    return {
        "baseline.jpg": _encoded(colored, "JPEG", quality=85, **described),
        "progressive.jpg": _encoded(colored, "JPEG", progressive=True, **described),
        "cmyk.jpg": _encoded(colored.convert("CMYK"), "JPEG"),
        "pair.mpo": _encoded(colored, "MPO", save_all=True, append_images=[colored]),
        "color.png": _encoded(colored, "PNG", **described),
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
