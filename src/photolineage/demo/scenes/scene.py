"""A kind of scene: its name, the function that draws it, and its captions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from photolineage.demo.scenes.canvas import Canvas


@dataclass(frozen=True, slots=True)
class Scene:
    """A recognisable kind of picture.

    `captions` are phrases that a person would search for; the first is the plainest and names the scene.
    """

    key: str
    captions: tuple[str, ...]
    draw: Callable[[Canvas, np.random.Generator], None]

    @property
    def name(self) -> str:
        """The plain name of the scene, as a person would type it into a search box."""
        return self.captions[0]
