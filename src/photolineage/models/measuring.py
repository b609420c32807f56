"""Timing the ways in which this machine can compute a model, and comparing their embeddings with float32's."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photolineage.models.embedder import Embedder, encoding_threads, load_anew, unload
from photolineage.models.openvino_encoder import WayUnavailableError
from photolineage.models.unavailable import ModelUnavailableError, is_out_of_memory, why_unavailable
from photolineage.models.ways import REFERENCE, WAYS, Timing, Way, agreement
from photolineage.settings import ModelSettings

if TYPE_CHECKING:
    import torch

OnWay = Callable[[int, int], None]
"""Called with the number of ways that are measured, and of all."""

SECONDS: Final = 1.0
"""How long a way is timed, on all cores, unless `LEAST_IMAGES` take longer."""
LEAST_IMAGES: Final = 24
ROUNDS: Final = 3
FAR_TOO_SLOW: Final = 3.0
BARELY_SLOW: Final = 0.05
"""A way that takes so many times as long as the reference for one image, and so many seconds, is not timed further."""

_logger = logging.getLogger(__name__)


def measure_ways(
    key: str,
    settings: ModelSettings,
    images: Sequence[Image.Image],
    on_way: OnWay = lambda _measured, _all: None,
) -> tuple[Timing, ...]:
    """Each way of this machine, timed on some of these upright RGB images, in batches of one per core as in a run.

    On a processor, the time is the processor time of this process, so other work on the machine changes it little.
    Loads the model and unloads it again; a model that was loaded before is unloaded too. Raises ModelUnavailableError.
    """
    unload()
    embedder = load_anew(key, settings)
    pixels = [embedder.transform.of_image(image) for image in images]
    ways = WAYS[embedder.device]
    try:
        single = _single(embedder, pixels)
        with encoding_threads(embedder.device) as threads:
            affordable = int(SECONDS * threads / max(single, 1e-4))
        pixels = pixels[: max(LEAST_IMAGES, affordable)]
        milliseconds, reference = _timed(embedder, pixels)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise ModelUnavailableError(why_unavailable(key, settings, error)) from error
    longest = max(FAR_TOO_SLOW * single, BARELY_SLOW)
    timings = [Timing(REFERENCE, milliseconds, agreement(reference, reference))]
    for way in ways[1:]:
        on_way(len(timings), len(ways))
        timings.append(_measured(embedder, way, pixels, reference, longest))
    on_way(len(timings), len(ways))
    return tuple(timings)


def _measured(
    embedder: Embedder,
    way: Way,
    pixels: Sequence["torch.Tensor"],
    reference: NDArray[np.float32],
    longest: float,
) -> Timing:
    try:
        with embedder.computing_in(way):
            single = _single(embedder, pixels)
            if single > longest:
                return Timing(way, 1000 * single)
            milliseconds, vectors = _timed(embedder, pixels)
    except (WayUnavailableError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        return Timing(way, problem=_reason(error))
    return Timing(way, milliseconds, agreement(vectors, reference))


def _reason(error: Exception) -> str:
    if isinstance(error, WayUnavailableError):
        return str(error)
    if is_out_of_memory(error):
        return "there is too little free memory"
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _clock(embedder: Embedder) -> Callable[[], float]:
    return time.process_time if embedder.device == "cpu" else time.perf_counter


def _single(embedder: Embedder, pixels: Sequence["torch.Tensor"]) -> float:
    """The seconds of one image. One more is embedded before: the first one of all takes longer."""
    clock = _clock(embedder)
    with encoding_threads(embedder.device):
        embedder.encode_batch(pixels[:1])
        started = clock()
        embedder.encode_batch(pixels[:1])
        return clock() - started


def _timed(embedder: Embedder, pixels: Sequence["torch.Tensor"]) -> tuple[float, NDArray[np.float32]]:
    """Milliseconds per image in the fastest of up to `ROUNDS` rounds, and the embeddings."""
    clock = _clock(embedder)
    seconds: list[float] = []
    with encoding_threads(embedder.device) as threads, ThreadPoolExecutor(threads) as pool:
        size = min(embedder.batch_images, -(-len(pixels) // threads))
        batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
        while len(seconds) < ROUNDS and sum(seconds) < SECONDS * threads:
            started = clock()
            vectors = np.concatenate(list(pool.map(embedder.encode_batch, batches)))
            seconds.append(clock() - started)
    return 1000 * min(seconds) / len(pixels), vectors
