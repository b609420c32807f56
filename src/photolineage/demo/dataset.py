"""Drawn scenes for training and evaluation: small square pictures with their own seeds."""

import hashlib
import io
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photolineage.demo import scenes
from photolineage.demo.scenes import SCENES, render_scene
from photolineage.demo.scenes.colour import pick

Pictures = NDArray[np.uint8]

KINDS = tuple(SCENES)
SIDE = 112
"""Pixels along each side of a stored picture. Models crop it and scale it down."""

_DRAWN_SIZES = ((384, 288), (384, 288), (384, 256), (288, 384))


class Split(IntEnum):
    """The first word of a picture's seed, so that the splits and the demo library share no picture."""

    TRAIN = 71
    HELD_OUT = 72


@dataclass(frozen=True, slots=True)
class SceneSet:
    """Pictures (n, side, side, 3) in 8-bit RGB, and their indices in `KINDS` (n). All kinds are equally frequent."""

    pictures: Pictures
    kinds: NDArray[np.int64]


def scene_set(split: Split, per_kind: int) -> SceneSet:
    """The first `per_kind` pictures of each kind in the split. They are cached in the temporary directory."""
    kinds = np.tile(np.arange(len(KINDS)), per_kind)
    store = _store(split, per_kind)
    if not store.exists():
        numbers = np.repeat(np.arange(per_kind), len(KINDS))
        with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
            drawn = list(
                pool.map(_picture, [split] * len(kinds), kinds.tolist(), numbers.tolist(), chunksize=16)
            )
        store.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=store.parent, delete=False) as partial:
            np.save(partial, np.stack(drawn))
        Path(partial.name).replace(store)
    return SceneSet(np.load(store, mmap_mode="r"), kinds)


def _store(split: Split, per_kind: int) -> Path:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for source in sorted(Path(scenes.__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    name = f"{split.name.lower()}-{per_kind}-{digest.hexdigest()[:12]}.npy"
    return Path(tempfile.gettempdir()) / "photolineage-demo-scenes" / name


def _picture(split: Split, kind: int, number: int) -> Pictures:
    """One picture as a model gets it: a square crop at a random place, recompressed."""
    rng = np.random.default_rng([split, kind, number])
    picture = render_scene(KINDS[kind], rng, pick(rng, _DRAWN_SIZES))
    side = min(picture.size)
    left, top = (int(rng.integers(0, length - side + 1)) for length in picture.size)
    if split is Split.HELD_OUT:
        left, top = ((length - side) // 2 for length in picture.size)
    square = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    stream = io.BytesIO()
    square.save(stream, "JPEG", quality=int(rng.integers(50, 96)))
    return np.asarray(Image.open(stream))
