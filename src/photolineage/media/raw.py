"""Read the preview that a camera embeds in its raw files."""

import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from photolineage.catalog.vocabulary import FailureReason
from photolineage.media.errors import UnreadableImageError

_ORIENTATION_OF_FLIP: Final = {0: 1, 3: 3, 5: 8, 6: 6}
"""LibRaw's `flip` (0: none, 3: half turn, 5: quarter turn left, 6: quarter turn right) as EXIF orientations."""


@dataclass(frozen=True, slots=True)
class RawPreview:
    """`encoded` is a complete image file. `width` and `height` are the sensor's pixels, before turning."""

    encoded: bytes
    width: int
    height: int
    orientation: int


def embedded_preview(data: bytes) -> RawPreview:
    """The largest preview in a raw file.

    Raises UnreadableImageError: unsupported if rawpy is missing or the file has no preview, else corrupt.
    """
    try:
        import rawpy
    except ImportError:
        raise UnreadableImageError(
            FailureReason.UNSUPPORTED,
            "reading a camera's raw file requires the package rawpy: pip install rawpy",
        ) from None
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            sizes, thumbnail = raw.sizes, raw.extract_thumb()
    except (
        rawpy.LibRawNoThumbnailError,
        rawpy.LibRawUnsupportedThumbnailError,
        rawpy.LibRawFileUnsupportedError,
    ) as error:
        raise UnreadableImageError(
            FailureReason.UNSUPPORTED, f"the raw file has no preview that can be read: {_message(error)}"
        ) from error
    except rawpy.LibRawError as error:
        raise UnreadableImageError(
            FailureReason.CORRUPT, f"the raw file is damaged: {_message(error)}"
        ) from error
    encoded = (
        thumbnail.data if isinstance(thumbnail.data, bytes) else _as_bmp(Image.fromarray(thumbnail.data))
    )
    return RawPreview(encoded, sizes.width, sizes.height, _ORIENTATION_OF_FLIP.get(sizes.flip, 1))


def _message(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)


def _as_bmp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "BMP")
    return buffer.getvalue()
