"""A model's image transform in two halves: geometry on 8-bit pixels, image by image; normalization, by the batch."""

from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import torch


class ImageTransform:
    """open_clip's inference transform, which ends with its normalization, taken apart.

    Resizing and cropping run on 8-bit tensors: a third of Pillow's time, within a level or two of its result.
    Scaling to 0–1 and the model's mean and deviation are applied on the device: a quarter of the bytes wait
    and travel. `mean` and `deviation` are of each channel, on that scale.
    """

    def __init__(self, transform: Any) -> None:
        *geometry, normalization = transform.transforms
        self._geometry = [_on_8_bits(step) for step in geometry]
        self.mean: tuple[float, ...] = tuple(map(float, normalization.mean))
        self.deviation: tuple[float, ...] = tuple(map(float, normalization.std))

    def of_image(self, image: Image.Image) -> "torch.Tensor":
        """What the model sees of an upright RGB image: uint8, (3, height, width)."""
        from open_clip.transform import ResizeKeepRatio
        from torchvision.transforms.functional import pil_to_tensor

        seen: Any = image
        for step in self._geometry:
            takes_tensors = not isinstance(step, ResizeKeepRatio)
            seen = step(pil_to_tensor(seen) if takes_tensors and isinstance(seen, Image.Image) else seen)
        pixels: torch.Tensor = seen
        return pixels

    def normalize(self, batch: "torch.Tensor") -> "torch.Tensor":
        """The model's input, float32, from a batch of what it sees, uint8, on the batch's device."""
        from torchvision.transforms.functional import normalize

        normalized: torch.Tensor = normalize(batch.float().div_(255), self.mean, self.deviation, inplace=True)
        return normalized


def _on_8_bits(step: Any) -> Any:
    """The step, or in place of a `Resize` its second version: the first converts tensors to float32 and back."""
    from torchvision import transforms
    from torchvision.transforms import v2

    if not isinstance(step, transforms.Resize):
        return step
    return v2.Resize(step.size, interpolation=step.interpolation, max_size=step.max_size, antialias=True)
