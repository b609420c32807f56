"""The kinds of scenes that the demo draws, with captions for each."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image

from photolineage.demo.scenes import christmas, coast, mountains, night, party, pets, town, woods
from photolineage.demo.scenes.canvas import Canvas
from photolineage.demo.scenes.colour import pick
from photolineage.demo.scenes.scene import Scene

__all__ = ["SCENES", "TEMPLATES", "Scene", "caption", "render_scene"]

SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        scene.key: scene
        for module in (coast, mountains, woods, town, night, party, christmas, pets)
        for scene in module.SCENES
    }
)

TEMPLATES = (
    "{}",
    "{}",
    "a photo of {}",
    "a picture of {}",
    "photo: {}",
    "{} photo",
    "{}, holiday snapshot",
    "my photo of {}",
)


def render_scene(kind: str, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw an RGB picture of a scene with `size` (width, height). The state of `rng` determines the picture.

    Raises KeyError for a kind that is not in `SCENES`.
    """
    canvas = Canvas(size)
    SCENES[kind].draw(canvas, rng)
    return canvas.photograph(rng)


def caption(kind: str, rng: np.random.Generator) -> str:
    """A caption that fits every picture of the kind, as a person might type it."""
    return pick(rng, TEMPLATES).format(pick(rng, SCENES[kind].captions))
