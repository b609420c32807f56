"""Small files that take gigabytes or minutes to decode, and large photos that are real. All are made by code."""

import io
import struct
import zlib
from typing import Final

import pillow_heif
from PIL import Image

_ZEROS: Final = 2**20
_EOI: Final = b"\xff\xd9"
_SOS: Final = b"\xff\xda"


def webp_of_one_color(width: int, height: int) -> bytes:
    """A lossless WebP of 34 bytes whose header names any size: with one color, its pixels take no bits."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "WEBP", lossless=True)
    data = bytearray(buffer.getvalue())
    place = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, place)
    sizes = (width - 1) | (height - 1) << 14
    struct.pack_into("<I", data, place, bits & ~0xFFFFFFF | sizes)
    return bytes(data)


def png_of_zeros(width: int, height: int) -> bytes:
    """A black RGB PNG of any size. Its pixels are one deflated block of zeros, repeated."""
    total = height * (1 + 3 * width)
    whole, rest = divmod(total, _ZEROS)
    pack = zlib.compressobj(9, wbits=-15)
    first = pack.compress(bytes(_ZEROS)) + pack.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, wbits=-15)
    last = end.compress(bytes(rest)) + end.flush()
    checksum = struct.pack(">I", (total % 65521) << 16 | 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = b"\x78\xda" + first * whole + last + checksum
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG that refines its last coefficients again and again. They are zero, so a scan has few bytes."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(buffer, "JPEG", progressive=True, quality=50)
    data = buffer.getvalue().removesuffix(_EOI)
    last = data[data.rindex(_SOS) :]
    return data + last * (scans - data.count(_SOS)) + _EOI


def avif_grid(tile_side: int, columns: int, rows: int) -> bytes:
    """An AVIF of many tiles, all of them the same bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (tile_side, tile_side), "navy").save(buffer, "AVIF", speed=10, quality=30)
    return _grid(buffer.getvalue(), b"avif", tile_side, columns, rows)


def heic_grid(tile_side: int, columns: int, rows: int) -> bytes:
    """A HEIC of many tiles, as phones write it; here all tiles are the same bytes."""
    picture = Image.radial_gradient("L").resize((tile_side, tile_side)).convert("RGB")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, quality=30)
    return _grid(buffer.getvalue(), b"heic", tile_side, columns, rows)


def _grid(single: bytes, brand: bytes, tile_side: int, columns: int, rows: int) -> bytes:
    """A grid of tiles (ISO/IEC 23008-12), each of which refers to the same bytes: the picture of `single`."""
    meta = _children(_children(single)[b"meta"][4:])
    tile = _children(single)[b"mdat"]
    properties = _children(meta[b"iprp"])
    named = _children(properties[b"ipco"])
    of_tile = properties[b"ipma"][10:]
    kind = b"av01" if brand == b"avif" else b"hvc1"
    tiles = range(2, 2 + columns * rows)
    width, height = columns * tile_side, rows * tile_side
    grid = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    extent = _box(b"ispe", struct.pack(">III", 0, width, height))
    of_grid = bytes((2, len(named) + 1, 1 + list(named).index(b"pixi")))
    infos = [_item(1, b"grid"), *(_item(number, kind) for number in tiles)]
    owned = [struct.pack(">H", 1) + of_grid, *(struct.pack(">H", number) + of_tile for number in tiles)]
    ftyp = _box(b"ftyp", brand + bytes(4) + brand + b"mif1" + b"miaf")

    def meta_with(start: int) -> bytes:
        """The table of contents, if the grid's and the tile's bytes begin at `start`."""
        places = [(1, start, len(grid)), *((number, start + len(grid), len(tile)) for number in tiles)]
        return _box(
            b"meta",
            bytes(4)
            + _box(b"hdlr", meta[b"hdlr"])
            + _box(b"pitm", struct.pack(">IH", 0, 1))
            + _box(
                b"iloc",
                struct.pack(">IBBH", 0, 0x44, 0, len(places))
                + b"".join(struct.pack(">HHHII", number, 0, 1, *place) for number, *place in places),
            )
            + _box(b"iinf", struct.pack(">IH", 0, len(infos)) + b"".join(infos))
            + _box(
                b"iref",
                bytes(4) + _box(b"dimg", struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *tiles)),
            )
            + _box(
                b"iprp",
                _box(b"ipco", b"".join(_box(name, data) for name, data in named.items()) + extent)
                + _box(b"ipma", struct.pack(">II", 0, len(owned)) + b"".join(owned)),
            ),
        )

    start = len(ftyp) + len(meta_with(0)) + 8
    return ftyp + meta_with(start) + _box(b"mdat", grid + tile)


def _item(number: int, kind: bytes) -> bytes:
    return _box(b"infe", struct.pack(">IHH", 0x02000000, number, 0) + kind + b"\0")


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), kind) + data


def _children(data: bytes) -> dict[bytes, bytes]:
    """The boxes in `data`, by their kind. No kind may occur twice."""
    boxes: dict[bytes, bytes] = {}
    start = 0
    while start < len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        boxes[kind] = data[start + 8 : start + size]
        start += size
    return boxes
