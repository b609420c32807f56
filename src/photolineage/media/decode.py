"""Decode an image to upright sRGB, scaled down to the requested size."""

import contextlib
import io
import logging
import math
from dataclasses import dataclass, replace
from typing import Final

from PIL import Image, TiffImagePlugin
from PIL.Image import Resampling, Transpose
from PIL.ImageFile import ImageFile

from photolineage.catalog.vocabulary import FailureReason
from photolineage.media.color import resizable, to_srgb
from photolineage.media.damage import NEXT_TO_NOTHING, SILENT_DECODERS, empty_share, flat_share
from photolineage.media.deep_tiff import DeepTiff
from photolineage.media.embedded import of_the_file, written_in_container
from photolineage.media.errors import UnreadableImageError
from photolineage.media.exif import ExifFacts, read_exif, stored_orientation
from photolineage.media.formats import JPEG_XL, RAW, beginning_of, format_of, open_container
from photolineage.media.jpeg import END_OF_IMAGE, load_jpeg
from photolineage.media.jpeg_xl import unpack_jpeg_xl
from photolineage.media.raw import embedded_preview
from photolineage.media.raw_facts import read_raw_facts
from photolineage.media.tiff_pages import seek_picture

_logger = logging.getLogger(__name__)

MAX_PIXELS: Final = 2**28
"""268 megapixels: above the largest sensors (200), and 1 GiB in memory at Pillow's 4 bytes per pixel.

For WebP, Pillow's own limit of 179 megapixels applies first."""
_MAX_ASPECT_RATIO: Final = 16
"""A longer image is scaled down further: its long side must be far below a JPEG's limit of 65,500 pixels."""
_MAX_EXIF_BYTES: Final = 2**22
_REDUCING_GAP: Final = 3.0
"""From Pillow's documentation: with this gap, averaging blocks first looks the same as resampling alone."""
_RESAMPLING: Final = Resampling.HAMMING
"""For a model of 224 pixels, a preview made with HAMMING is 40 dB from the original, and one made with BICUBIC 41 dB.
BICUBIC takes 60% longer. The preview's compression causes most of both differences."""
_DRAFT_TOLERANCE: Final = 24
"""A result of JPEG's own scaling is kept if it is at most 1/24 too small. For example, 12 megapixels, the most common
size, become 500 × 375 instead of 512 × 384: as near to the original as resampling, in three quarters of the time."""
_DECODED_WHOLE: Final = frozenset(("AVIF", "HEIF", "WEBP"))
_TURN: Final = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """`image` is upright, scaled RGB in sRGB. `width` and `height` are the pixels of the upright original.

    `lost_share`: the share of a damaged picture that is lost, 0 to 1; None if it is whole.
    """

    image: Image.Image
    format: str
    width: int
    height: int
    exif: ExifFacts
    lost_share: float | None

    @property
    def truncated(self) -> bool:
        """Whether the file is damaged, so that only a part of the picture could be decoded."""
        return self.lost_share is not None


def decode_upright(data: bytes, *, short_side: int | None = None) -> Image.Image:
    """The image in the file's bytes: upright, RGB in sRGB, transparency over white, the first of several frames.

    With `short_side`, a larger image is scaled down to that many pixels on its shorter side: up to 1/24 fewer with
    JPEG's own scaling, and fewer still if the other side is more than 16 times as long. Raises UnreadableImageError.
    """
    return decode(data, short_side=short_side).image


def decode(data: bytes, *, short_side: int | None = None) -> DecodedImage:
    """As `decode_upright`, with the facts from the header. Raises UnreadableImageError."""
    image_format = format_of(data)
    if image_format is None:
        raise UnreadableImageError(
            FailureReason.UNSUPPORTED,
            f"no supported image format begins with {beginning_of(data)}",
        )
    if image_format == RAW:
        return _decode_raw(data, short_side)
    try:
        if image_format == JPEG_XL:
            return _decode_jpeg_xl(data, short_side)
        if image_format == "TIFF" and (page := DeepTiff.of(data)) is not None:
            return _decode_deep_tiff(data, page, short_side)
        return _decode_container(data, image_format, short_side)
    except UnreadableImageError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(
            FailureReason.TOO_LARGE, f"{image_format}: {error or 'out of memory'}"
        ) from error
    except Exception as error:  # decoders raise errors of every kind on damaged bytes
        raise UnreadableImageError(
            FailureReason.CORRUPT, f"cannot decode this {image_format}: {error or type(error).__name__}"
        ) from error


def _decode_container(data: bytes, image_format: str, short_side: int | None) -> DecodedImage:
    container = open_container(data, image_format)
    width, height = container.size
    _refuse_too_large(width, height)
    exif = _exif_facts(container)
    if isinstance(container, TiffImagePlugin.TiffImageFile) and seek_picture(container):
        own = _exif_facts(container)
        exif = replace(exif if exif.times or exif.camera else own, orientation=own.orientation)
        width, height = container.size
        _refuse_too_large(width, height)
    container, lost_share = _load(container, data, image_format, short_side)
    if lost_share is not None and lost_share >= NEXT_TO_NOTHING:
        raise UnreadableImageError(
            FailureReason.CORRUPT,
            f"{lost_share:.0%} of this {image_format} of {width} × {height} pixels is lost",
        )
    exif = replace(exif, written=of_the_file(written_in_container(container), exif.written))
    image, turn = _upright(container, short_side)
    if turn >= 5:
        width, height = height, width
    return DecodedImage(image, container.format or image_format, width, height, exif, lost_share)


def _decode_raw(data: bytes, short_side: int | None) -> DecodedImage:
    """The preview that the camera embedded, turned by its own orientation tag or else by the sensor's."""
    preview = embedded_preview(data)
    decoded = decode(preview.encoded, short_side=short_side)
    exif = read_raw_facts(data) or decoded.exif
    exif = replace(exif, written=of_the_file(exif.written, decoded.exif.written))
    image, width, height = decoded.image, preview.width, preview.height
    if decoded.exif.orientation == 1 and preview.orientation in _TURN:
        image = image.transpose(_TURN[preview.orientation])
    if preview.orientation >= 5:
        width, height = height, width
    exif = replace(exif, orientation=preview.orientation)
    return DecodedImage(image, RAW, width, height, exif, decoded.lost_share)


def _decode_jpeg_xl(data: bytes, short_side: int | None) -> DecodedImage:
    """The JPEG that was packed as JPEG XL, or the picture, which the decoder has turned already."""
    unpacked = unpack_jpeg_xl(data)
    if isinstance(unpacked, bytes):
        return replace(decode(unpacked, short_side=short_side), format=JPEG_XL)
    picture, encoded_exif = unpacked
    _refuse_too_large(*picture.size)
    exif = _exif_of_tiff(encoded_exif) or ExifFacts()
    exif = replace(exif, orientation=1, written=of_the_file(written_in_container(picture), exif.written))
    image, _turn = _upright(picture, short_side)
    return DecodedImage(image, JPEG_XL, picture.width, picture.height, exif, None)


def _decode_deep_tiff(data: bytes, page: DeepTiff, short_side: int | None) -> DecodedImage:
    _refuse_too_large(page.width, page.height)
    exif = _exif_of_tiff(data) or ExifFacts()
    image, _turn = _upright(page.picture(), short_side)
    width, height = page.width, page.height
    if exif.orientation in _TURN:
        image = image.transpose(_TURN[exif.orientation])
    if exif.orientation >= 5:
        width, height = height, width
    return DecodedImage(image, "TIFF", width, height, exif, None)


def _refuse_too_large(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            FailureReason.TOO_LARGE, f"{width} × {height} pixels exceed the limit of {MAX_PIXELS:,}"
        )


def _exif_facts(container: ImageFile) -> ExifFacts:
    if len(container.info.get("exif") or b"") > _MAX_EXIF_BYTES:
        return ExifFacts()
    try:
        exif = container.getexif()
    except Exception:  # Pillow's parser raises a dozen kinds of errors on damaged EXIF
        _logger.debug("EXIF is damaged", exc_info=True)
        return ExifFacts()
    facts = read_exif(exif)
    stored = container.info.get("original_orientation")  # pillow-heif has turned the image and reset the tag
    return replace(facts, orientation=stored) if isinstance(stored, int) and 1 <= stored <= 8 else facts


def _exif_of_tiff(data: bytes) -> ExifFacts | None:
    exif = Image.Exif()
    try:
        exif.load_from_fp(io.BytesIO(data))
    except Exception:  # not every block of EXIF is a whole TIFF
        _logger.debug("the file has no TIFF directory", exc_info=True)
        return None
    return read_exif(exif)


def _load(
    container: ImageFile, data: bytes, image_format: str, short_side: int | None
) -> tuple[ImageFile, float | None]:
    """The container with its pixels decoded, and the share of the picture that is lost; None if it is whole.

    The strict decoder is tried first. Pillow's switch for truncated files affects the whole process, so it is not
    used: for a damaged file, the rows decoded so far are kept.
    """
    _draft(container, short_side)
    if image_format == "JPEG":
        with contextlib.suppress(ValueError):
            return container, load_jpeg(container, data.lstrip(b"\r\n"))
    if isinstance(container, TiffImagePlugin.TiffImageFile):
        # Pillow makes this image itself, but refuses more than 179 megapixels.
        container.im = Image.new(container.mode, container._tile_size).im
    try:
        container.load()
    except (MemoryError, Image.DecompressionBombError):
        raise
    except Exception as error:  # decoders raise errors of every kind on damaged bytes
        if image_format in _DECODED_WHOLE:
            raise
        if image_format == "JPEG" and (repaired := _load_with_end_marker(data, short_side)) is not None:
            return repaired, flat_share(repaired)
        # All tiles are done and the decoder reported no error: the damage is after the picture.
        is_damaged = bool(container.tile) or isinstance(error, OSError)
    else:
        return container, _unreported_loss(data, image_format) or None
    is_interrupted, container.tile = bool(container.tile), []
    if is_interrupted and isinstance(container, TiffImagePlugin.TiffImageFile):
        container.load_end()  # turns the image
    if not is_damaged:
        return container, None
    return container, max(flat_share(container), _unreported_loss(data, image_format))


def _unreported_loss(data: bytes, image_format: str) -> float:
    return empty_share(data, image_format) if image_format in (*SILENT_DECODERS, "JPEG") else 0.0


def _load_with_end_marker(data: bytes, short_side: int | None) -> ImageFile | None:
    repaired = open_container(data + END_OF_IMAGE, "JPEG")
    _draft(repaired, short_side)
    try:
        repaired.load()
    except OSError:  # it has other damage too
        return None
    return repaired


def _draft(container: ImageFile, short_side: int | None) -> None:
    if short_side is not None:
        acceptable = short_side - short_side // _DRAFT_TOLERANCE
        container.draft(None, (acceptable, acceptable))


def _upright(container: Image.Image, short_side: int | None) -> tuple[Image.Image, int]:
    """The upright picture of a decoded container, and the EXIF orientation that was applied to it."""
    icc_profile = container.info.get("icc_profile")
    image = resizable(container)
    if short_side is not None and (size := _scaled_size(image.size, short_side)) != image.size:
        image = image.resize(size, _RESAMPLING, reducing_gap=_REDUCING_GAP)
    image = to_srgb(image, icc_profile)
    turn = _remaining_turn(container)
    image = image.transpose(_TURN[turn]) if turn in _TURN else image
    image.info = {}
    return image, turn


def _remaining_turn(container: Image.Image) -> int:
    """The orientation that is still to apply: loading a HEIF or TIFF turns it and removes the tag."""
    try:
        return stored_orientation(container.getexif())
    except Exception:  # as in `_exif_facts`
        _logger.debug("EXIF is damaged", exc_info=True)
        return 1


def _scaled_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    scale = min(1.0, short_side / min(size), short_side * _MAX_ASPECT_RATIO / max(size))
    return max(1, math.floor(size[0] * scale + 0.5)), max(1, math.floor(size[1] * scale + 0.5))
