"""Convert pixels of any mode to sRGB."""

import functools
import io
from typing import Final

from PIL import Image, ImageCms

_BACKGROUND: Final = (255, 255, 255)


def resizable(image: Image.Image) -> Image.Image:
    """The image in a mode whose values can be averaged: 8 bits per channel, without a palette."""
    if image.mode in ("P", "PA"):
        has_alpha = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if has_alpha else "RGB")
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bit(image)
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        return image.convert("LA" if image.mode == "L" else "RGBA")
    return image


def to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """The image as RGB in sRGB, transparency over white. A broken or unsuitable profile is ignored."""
    image = _flattened(image)
    if icc_profile or image.mode == "LAB":
        transform = _transform_to_srgb(icc_profile, image.mode)
        if transform is not None:
            converted: Image.Image = transform.apply(image)
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey values as 8 bits: 16-bit values scaled from their full range, 32-bit values and floats from the image's."""
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    else:
        low, high = image.getextrema()  # type: ignore[assignment]
        if low >= 0:
            low, high = 0.0, next((full for full in (1.0, 255.0, 65535.0) if high <= full), high)
    scale = 255.0 / (high - low) if high > low else 0.0
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    return image.point(lambda value: value * scale + (-low * scale)).convert("L")


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode in ("LA", "La", "RGBa"):
        image = image.convert("RGBA")
    if image.mode != "RGBA":
        return image.convert("RGB") if image.mode in ("RGBX", "YCbCr", "HSV") else image
    background = Image.new("RGB", image.size, _BACKGROUND)
    background.paste(image, mask=image.getchannel("A"))
    return background


@functools.lru_cache(maxsize=16)
def _transform_to_srgb(icc_profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """A transform from the profile to sRGB. It is cached: a library has few profiles, and building one is slow."""
    try:
        source = (
            ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
            if icc_profile
            else ImageCms.createProfile("LAB")
        )
        return ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
