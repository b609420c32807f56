"""The demo models' architectures, in open_clip's configuration format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"

_PREPROCESS: dict[str, Any] = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def model_folder(key: str) -> Path:
    """The folder of a demo model in this package."""
    return Path(__file__).parent / "models" / key


@dataclass(frozen=True, slots=True)
class Recipe:
    """A demo model's architecture, its training, and its purpose in the demo."""

    purpose: str
    model: dict[str, Any]
    steps: int
    pictures_per_kind: int
    learning_rate: float

    @property
    def image_size(self) -> int:
        """Pixels along each side of the vision tower's input."""
        return int(self.model["vision_cfg"]["image_size"])

    @property
    def config(self) -> dict[str, Any]:
        """The content of `open_clip_config.json`."""
        return {"model_cfg": self.model, "preprocess_cfg": {**_PREPROCESS, "size": self.image_size}}


RECIPES = {
    "demo-clip-v1": Recipe(
        purpose="the first model, deliberately small and trained only briefly, so that an upgrade is visible",
        model={
            "embed_dim": 128,
            "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 96, "layers": 3, "head_width": 32},
            "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
        },
        steps=300,
        pictures_per_kind=40,
        learning_rate=1e-3,
    ),
    "demo-clip-v2": Recipe(
        purpose="the model to upgrade to, larger and trained for longer",
        model={
            "embed_dim": 192,
            "vision_cfg": {"image_size": 96, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
            "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 48, "heads": 3, "layers": 3},
        },
        steps=800,
        pictures_per_kind=200,
        learning_rate=1e-3,
    ),
}
