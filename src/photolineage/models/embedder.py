"""Embedding models: open_clip on torch. A process holds one loaded model at a time."""

import copy
import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photolineage.catalog.vocabulary import Precision
from photolineage.models.image_transform import ImageTransform
from photolineage.models.model_files import require_plain_files, require_safe_weights
from photolineage.models.openvino_encoder import (
    ImageGraph,
    OpenVinoImageEncoder,
    WayUnavailableError,
    trace_image_half,
)
from photolineage.models.plain_configuration import forbid_remote_code, require_plain_configuration
from photolineage.models.text_encoder import export_text_encoder
from photolineage.models.unavailable import ModelUnavailableError, is_out_of_memory, why_unavailable
from photolineage.models.ways import REFERENCE, Backend, Way, available_device, unmeasured_way
from photolineage.settings import ModelSettings

if TYPE_CHECKING:
    import torch

BATCH_IMAGES = {"cpu": 16, "cuda": 256}
"""Images per forward pass, by device. Larger batches cost memory and gain no throughput."""
LOG_INTERVAL_SECONDS = 10.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The properties that a model's embeddings depend on, measured when the model is loaded.

    `weights_digest`: digest of the weights as loaded, before any conversion. `precision`: the precision recorded for
    the model's embeddings, the same on every machine.
    """

    embedding_dim: int
    image_size: int
    weights_digest: str
    precision: Precision = Precision.FLOAT32


class Embedder:
    """One loaded model. Embeddings are float32 (n, dim) of unit length, on the CPU.

    The image half is computed in `way`, the text half in float32. `batch_images` is the largest batch of one forward
    pass; it is halved for good whenever the device runs out of memory. Several threads may encode at once.
    """

    def __init__(
        self,
        key: str,
        model: Any,
        preprocess: Any,
        tokenizer: Any,
        device: str,
        precision: Precision = Precision.FLOAT32,
        way: Way = REFERENCE,
    ) -> None:
        self.key = key
        self.device = device
        self.batch_images = BATCH_IMAGES[device]
        self.transform = ImageTransform(preprocess)
        self._model = model
        self._tokenizer = tokenizer
        self.facts = ModelFacts(
            embedding_dim=self._measured_dim(),
            image_size=max(_height_and_width(model)),
            weights_digest=_digest(model),
            precision=precision,
        )
        self.way = REFERENCE
        self._openvino: OpenVinoImageEncoder | None = None
        self._graph: ImageGraph | None = None
        self._convert(way)

    @property
    def parameters(self) -> int:
        """The number of weights in the model."""
        return sum(int(weights.numel()) for weights in self._model.parameters())

    @property
    def weight_bytes(self) -> int:
        """The memory that the weights take."""
        return sum(int(weights.nbytes) for weights in self._model.parameters())

    @contextmanager
    def computing_in(self, way: Way) -> Iterator[None]:
        """Within the block, the image half is computed in this way; before and after it in float32 with torch.

        Raises WayUnavailableError, and the errors of torch and OpenVINO if memory runs out.
        """
        visual = self._model.visual
        try:
            if way.backend == Backend.OPENVINO:
                self._graph = self._graph or self._trace()  # kept for the other precisions
            elif way != REFERENCE:
                self._model.visual = copy.deepcopy(visual)
            self._convert(way)
            yield
        finally:
            self._model.visual, self._openvino, self.way = visual, None, REFERENCE

    def _convert(self, way: Way) -> None:
        if way.backend == Backend.OPENVINO:
            graph = self._graph or self._trace()
            self._openvino = OpenVinoImageEncoder(graph, self.transform, way.precision)
        else:
            self._model.visual.to(_dtype(way))
        self.way = way

    def _trace(self) -> ImageGraph:
        return trace_image_half(self._model, _height_and_width(self._model))

    def encode_batch(self, batch: Sequence["torch.Tensor"]) -> NDArray[np.float32]:
        """Embeddings of transformed images (`transform`: uint8, (3, size, size)), in order.

        Raises the device's error if its memory does not suffice for a single image.
        """
        vectors = [np.empty((0, self.facts.embedding_dim), np.float32)]
        start = 0
        while start < len(batch):
            size = min(self.batch_images, len(batch) - start)
            try:
                vectors.append(self._forward(batch[start : start + size]))
            except Exception as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                self.batch_images = size // 2
                _logger.warning(
                    "%s: a batch of %d images does not fit into memory; trying %d", self.key, size, size // 2
                )
                continue
            start += size
        return np.concatenate(vectors)

    def _forward(self, batch: Sequence["torch.Tensor"]) -> NDArray[np.float32]:
        import torch

        seen = torch.stack(list(batch))
        with torch.inference_mode():
            if self._openvino is not None:
                return self._unit(torch.from_numpy(self._openvino.encode(seen.numpy())))
            pixels = self.transform.normalize(seen.to(self.device))
            return self._unit(self._model.encode_image(pixels.to(_dtype(self.way))))

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embeddings of upright RGB images, in order."""
        return self.encode_batch([self.transform.of_image(image) for image in images])

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of texts, in order. Texts that are too long are truncated (see `truncates`)."""
        import torch

        if not texts:
            return np.empty((0, self.facts.embedding_dim), np.float32)
        with torch.inference_mode():
            return self._unit(self._model.encode_text(self._tokenizer(list(texts)).to(self.device)))

    def truncates(self, text: str) -> bool:
        """Whether a text has more tokens than the model reads."""
        from open_clip.tokenizer import HFTokenizer

        tokenizer, most = self._tokenizer, self._tokenizer.context_length
        if not isinstance(tokenizer, HFTokenizer):
            return bool(len(tokenizer.encode(text)) > most - 2)  # the start and end tokens take two
        # The same settings as for encoding: they are stored in the tokenizer, which other threads share.
        pieces = tokenizer.tokenizer(
            [tokenizer.clean_fn(text)],
            max_length=most,
            padding="max_length",
            truncation=True,
            return_overflowing_tokens=True,
        ).input_ids
        return len(pieces) > 1

    def export_text_encoder(self, folder: Path) -> None:
        """Write the text half to the folder, for `TextEncoder`. Raises TextExportError, OSError and MemoryError."""
        export_text_encoder(self._model, self._tokenizer, folder)

    def _measured_dim(self) -> int:
        import torch

        with torch.inference_mode():
            text = self._tokenizer(["a"]).to(self.device)
            return int(self._model.encode_text(text).shape[1])

    @staticmethod
    def _unit(embeddings: "torch.Tensor") -> NDArray[np.float32]:
        import torch

        unit = torch.nn.functional.normalize(embeddings.float(), dim=-1)
        array: NDArray[np.float32] = unit.cpu().numpy()
        return array


@contextmanager
def encoding_threads(device: str) -> Iterator[int]:
    """The number of threads that should encode at once within the block: one per core on a CPU, one on a GPU.

    On a CPU each thread computes on one core. If all cores shared a batch, they would wait for each other whenever
    other work, such as decoding, keeps one of them busy. The number of cores is torch's number of threads, which
    `OMP_NUM_THREADS` sets.
    """
    import torch

    cores = torch.get_num_threads()
    if device != "cpu":
        yield 1
        return
    torch.set_num_threads(1)
    try:
        yield cores
    finally:
        torch.set_num_threads(cores)


_loaded: dict[tuple[str, ModelSettings, Precision, Way | None], Embedder] = {}
_LOADING = Lock()


def load_embedder(
    key: str,
    settings: ModelSettings,
    precision: Precision = Precision.FLOAT32,
    way: Way | None = None,
) -> Embedder:
    """The model, ready to run. It stays loaded until another model is requested, and is unloaded before that one loads.

    `precision`: of the model's embeddings. `way`: how to compute it here; by default the way of `unmeasured_way`. The
    defaults load fastest: use them for texts and single images. Weights load without pickle. Raises
    ModelUnavailableError.
    """
    with _LOADING:
        wanted = key, settings, precision, way
        if wanted not in _loaded:
            unload()
            _loaded[wanted] = load_anew(*wanted)
        return _loaded[wanted]


def unload() -> None:
    """Free the memory of the loaded model."""
    _loaded.clear()


def load_anew(
    key: str, settings: ModelSettings, precision: Precision = Precision.FLOAT32, way: Way | None = None
) -> Embedder:
    """The model, which does not stay loaded. Raises ModelUnavailableError.

    The log says that it is loaded, then every ten seconds how long that has taken: a download takes minutes.
    """
    model = " ".join(filter(None, [settings.architecture, settings.pretrained]))
    started, ended = time.monotonic(), Event()

    def say_seconds() -> None:
        while not ended.wait(LOG_INTERVAL_SECONDS):
            _logger.info("loading %s …, %.0f s", key, time.monotonic() - started)

    _logger.info("loading %s (%s) …", key, model)
    speaker = Thread(target=say_seconds, name=f"loading of {key}", daemon=True)
    speaker.start()
    try:
        embedder = _create(key, settings, precision, way)
    finally:
        ended.set()
        speaker.join()
    seconds = time.monotonic() - started
    _logger.info("loaded %s, %.0f MB, %.1f s", key, embedder.weight_bytes / 1e6, seconds)
    return embedder


def _create(key: str, settings: ModelSettings, precision: Precision, way: Way | None) -> Embedder:
    import open_clip

    device = available_device()
    way = way or unmeasured_way(precision, device)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # the error below explains failed downloads
    forbid_remote_code()
    try:
        require_plain_files(key, settings)
        require_plain_configuration(key, settings)
        require_safe_weights(key, settings)  # then open_clip finds the same file
        model, preprocess = open_clip.create_model_from_pretrained(
            settings.architecture, pretrained=settings.pretrained, device=device, weights_only=True
        )
        tokenizer = open_clip.get_tokenizer(settings.architecture)
        _require_words(tokenizer)
        model.eval()
        return Embedder(key, model, preprocess, tokenizer, device, precision, way)
    except ModelUnavailableError:
        raise
    except WayUnavailableError as error:
        raise ModelUnavailableError(
            f"models.{key}: the model cannot be computed in {way} on this machine: {error}. Install the version of "
            "OpenVINO in constraints.txt, or configure the model under a new key with precision = 'float32'."
        ) from error
    except Exception as error:
        raise ModelUnavailableError(why_unavailable(key, settings, error)) from error


def _require_words(tokenizer: Any) -> None:
    """Raise ValueError if the tokenizer is empty: transformers makes one silently if tokenizer.json is missing."""
    if tokenizer(["a beach"]).equal(tokenizer(["a mountain"])):
        raise ValueError("the vocabulary of its tokenizer is empty: tokenizer.json is missing")


def _dtype(way: Way) -> "torch.dtype":
    """The type of torch's weights: float32 for OpenVINO, which converts a copy."""
    import torch

    dtype: torch.dtype = getattr(torch, way.precision) if way.backend == Backend.TORCH else torch.float32
    return dtype


def _height_and_width(model: Any) -> tuple[int, int]:
    size = model.visual.image_size
    height, width = size if isinstance(size, tuple | list) else (size, size)
    return int(height), int(width)


def _digest(model: Any) -> str:
    """SHA-256 over the names, types, shapes and bytes of all weights."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
