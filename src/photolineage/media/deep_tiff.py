"""Read TIFFs that Pillow cannot read, or reads wrong: deep samples in planes, inverted, or of 32 and 64 bits."""

import io
import logging
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photolineage.catalog.vocabulary import FailureReason
from photolineage.media.errors import UnreadableImageError

_logger = logging.getLogger(__name__)

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2
_UNCOMPRESSED: Final = 1
_SEPARATE_PLANES: Final = 2
_ICC_PROFILE: Final = 34675
_BIG_AND_BIG_ENDIAN: Final = b"MM\x00+"
_ROWS_AT_ONCE: Final = 256
_FULL_SCALES: Final = (1.0, 255.0, 65535.0)
"""What white is in floats and 32-bit numbers: the first of these that no value exceeds, else the largest value."""


class DeepTiff:
    """The first page of a TIFF that Pillow cannot be trusted with. `width` and `height` are those before turning."""

    def __init__(self, data: bytes, page: Any) -> None:
        self._data = data
        self._page = page
        self.width, self.height = int(page.imagewidth), int(page.imagelength)

    @classmethod
    def of(cls, data: bytes) -> "DeepTiff | None":
        """The page; None if Pillow reads it correctly, or if it is damaged."""
        from tifffile import TiffFile

        try:
            with TiffFile(io.BytesIO(data)) as file:
                page = file.pages.first
                return cls(data, page) if _needs_this_reader(data, page) else None
        except Exception:  # it raises errors of every kind on damaged bytes; Pillow then says what is wrong
            _logger.debug("the TIFF is damaged", exc_info=True)
            return None

    def picture(self) -> Image.Image:
        """The picture with 8 bits per sample, not turned, its profile in `info`. Raises UnreadableImageError."""
        from tifffile import TiffFile

        try:
            with TiffFile(io.BytesIO(self._data)) as file:
                samples = file.pages.first.asarray()
        except (ValueError, ImportError) as error:
            raise UnreadableImageError(FailureReason.UNSUPPORTED, f"{self._kind()}: {error}") from error
        if self._page.planarconfig == _SEPARATE_PLANES and samples.ndim == 3:
            samples = np.moveaxis(samples, 0, -1)
        if samples.ndim == 3:
            samples = samples[..., : 4 if self._has_alpha() else 3 if self._page.photometric == _RGB else 1]
        image = Image.fromarray(_eight_bit(samples, inverted=self._page.photometric == _MIN_IS_WHITE))
        profile = self._page.tags.get(_ICC_PROFILE)
        if profile is not None and isinstance(profile.value, bytes):
            image.info["icc_profile"] = profile.value
        return image

    def _has_alpha(self) -> bool:
        return self._page.photometric == _RGB and bool(self._page.extrasamples)

    def _kind(self) -> str:
        return (
            f"a TIFF with samples of {self._page.bitspersample} bits ({self._page.dtype}) and the compression "
            f"{self._page.compression.name} cannot be read"
        )


def _needs_this_reader(data: bytes, page: Any) -> bool:
    if page.dtype is None or page.photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB):
        return False
    if data.startswith(_BIG_AND_BIG_ENDIAN):
        return True
    if page.dtype.itemsize == 1:
        return False
    return bool(
        page.dtype != np.uint16
        or page.photometric == _MIN_IS_WHITE
        or (page.planarconfig == _SEPARATE_PLANES and page.compression == _UNCOMPRESSED)
    )


def _eight_bit(samples: NDArray[Any], *, inverted: bool) -> NDArray[np.uint8]:
    """16-bit values scaled from their full range, others as `_FULL_SCALES` says. Not a number counts as the lowest."""
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[..., 0]
    if samples.dtype == np.uint8:
        low, high = 0.0, 255.0
    elif samples.dtype == np.uint16:
        low, high = 0.0, 65535.0
    else:
        low, high = _range(samples)
    factor = 255.0 / (high - low) if high > low else 0.0
    result = np.empty(samples.shape, np.uint8)
    for row in range(0, len(samples), _ROWS_AT_ONCE):  # not a copy of the whole picture in floats
        part = (samples[row : row + _ROWS_AT_ONCE].astype(np.float64) - low) * factor
        part = np.clip(np.nan_to_num(part, nan=0.0), 0, 255)
        result[row : row + _ROWS_AT_ONCE] = np.rint(255 - part if inverted else part)
    return result


def _range(samples: NDArray[Any]) -> tuple[float, float]:
    lows, highs = [0.0], [0.0]
    for row in range(0, len(samples), _ROWS_AT_ONCE):
        part = samples[row : row + _ROWS_AT_ONCE]
        finite = part[np.isfinite(part)]
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    low, high = min(lows), max(highs)
    if low < 0:
        return low, high
    return 0.0, next((full for full in _FULL_SCALES if high <= full), high)
