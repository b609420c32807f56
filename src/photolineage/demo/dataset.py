"""Rendered scenes for training and for evaluation: small, square, and from seeds of their own."""

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
"""Pixels along each side of a stored picture; models crop and scale down from it."""

_DRAWN_SIZES = ((384, 288), (384, 288), (384, 256), (288, 384))


class Split(IntEnum):
    """The first word of a picture's seed: no picture is in two splits, and none in the demo library."""

    TRAIN = 71
    HELD_OUT = 72


@dataclass(frozen=True, slots=True)
class SceneSet:
    """Pictures (n, side, side, 3) of 8-bit RGB, and the index in `KINDS` of each: as many of every kind."""

    pictures: Pictures
    kinds: NDArray[np.int64]


def scene_set(split: Split, per_kind: int) -> SceneSet:
    """The first `per_kind` pictures of each kind in the split; kept in the temporary directory once drawn."""
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
    """One picture as a model would meet it: cropped square somewhere, and recompressed."""
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
