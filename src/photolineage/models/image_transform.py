"""A model's image transform in two halves: geometry on 8-bit pixels, per image, and normalization, per batch."""

from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import torch


class ImageTransform:
    """open_clip's inference transform, split before its last step, the normalization.

    Resizing and cropping run on 8-bit tensors. This takes a third of Pillow's time; pixels differ by at most one or two
    levels. Scaling to 0–1 and normalization run on the device, so only a quarter of the bytes are queued and copied.
    `mean` and `deviation` are per channel, on the scale 0–1.
    """

    def __init__(self, transform: Any) -> None:
        *geometry, normalization = transform.transforms
        self._geometry = [_on_8_bits(step) for step in geometry]
        self.mean: tuple[float, ...] = tuple(map(float, normalization.mean))
        self.deviation: tuple[float, ...] = tuple(map(float, normalization.std))

    def of_image(self, image: Image.Image) -> "torch.Tensor":
        """The resized and cropped pixels of an upright RGB image: uint8, (3, height, width)."""
        from open_clip.transform import ResizeKeepRatio
        from torchvision.transforms.functional import pil_to_tensor

        seen: Any = image
        for step in self._geometry:
            takes_tensors = not isinstance(step, ResizeKeepRatio)
            seen = step(pil_to_tensor(seen) if takes_tensors and isinstance(seen, Image.Image) else seen)
        pixels: torch.Tensor = seen
        return pixels

    def normalize(self, batch: "torch.Tensor") -> "torch.Tensor":
        """The model's input, float32, from a batch of uint8 pixels, on the batch's device."""
        from torchvision.transforms.functional import normalize

        normalized: torch.Tensor = normalize(batch.float().div_(255), self.mean, self.deviation, inplace=True)
        return normalized


def _on_8_bits(step: Any) -> Any:
    """The step; a `Resize` is replaced by torchvision's v2, because v1 converts tensors to float32 and back."""
    from torchvision import transforms
    from torchvision.transforms import v2

    if not isinstance(step, transforms.Resize):
        return step
    return v2.Resize(step.size, interpolation=step.interpolation, max_size=step.max_size, antialias=True)
