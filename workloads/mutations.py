"""Damaged images: `python -m workloads.mutations --count 10000 --json`.

Damages copies of valid images of every format, as an old disk does: flips, cuts, splices, zeroes or removes bytes.
Reads the copies in worker processes, with a limit of memory per process and of time per image. Then reads decompression
bombs, each with all cores at once, and measures the memory of the process and its decoders. The exit code is 1 if a
worker crashed, hung or raised an unexpected exception, or if the bombs took more memory than one image may.
"""

import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import pillow_heif
import typer
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


def main(
    count: Annotated[int, typer.Option(min=1, help="How many damaged images to read.")] = 10_000,
    seed: int = 0,
    memory_gb: Annotated[float, typer.Option(help="The budget of memory for the bombs.")] = 2.0,
    bomb_seconds: Annotated[float, typer.Option(help="The time limit for one bomb.")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Read damaged images and decompression bombs, and count the outcomes."""
    from photolineage.media.decoding import ALONE
    from workloads.bomb_reading import read_all_bombs
    from workloads.mutation_reading import read_mutations

    report = read_mutations(count, seed=seed)
    bombs = read_all_bombs(memory_gb=memory_gb, seconds=bomb_seconds)
    if as_json:
        print(json.dumps(asdict(report) | {"refused": dict(report.refused), "bombs": bombs}, indent=2))
    else:
        print(
            f"{report.count:,} damaged images in {report.seconds:.0f} s: {report.decoded:,} decoded "
            f"({report.truncated:,} truncated), {report.refused.total():,} refused with a reason, "
            f"{len(report.crashes)} crashes, {len(report.hangs)} hangs, {len(report.errors)} other errors. "
            f"Slowest image: {report.slowest_seconds:.2f} s. Most memory: {report.peak_memory_mb:.0f} MB"
        )
        for name, bomb in bombs.items():
            print(
                f"{name} on all cores: {bomb['peak_bytes'] / 1e9:.2f} GB, {bomb['seconds']:.0f} s, {bomb['outcome']}"
            )
    is_bounded = all(bomb["peak_bytes"] <= ALONE * memory_gb * 1e9 for bomb in bombs.values())
    raise typer.Exit(bool(report.crashes or report.hangs or report.errors or not is_bounded))


if __name__ == "__main__":
    typer.run(main)
