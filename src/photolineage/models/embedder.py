"""Embedding models: open_clip on torch, loaded once a process and let go before the next one."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photolineage.catalog.vocabulary import Precision
from photolineage.models.image_transform import ImageTransform
from photolineage.models.int8_encoder import Int8ExportError, Int8ImageEncoder
from photolineage.models.out_of_memory import is_out_of_memory
from photolineage.models.plain_configuration import forbid_remote_code, require_plain_configuration
from photolineage.models.precision import Agreement, agreement, available_device, native_precisions
from photolineage.models.text_encoder import export_text_encoder
from photolineage.models.unavailable import ModelUnavailableError, why_unavailable
from photolineage.settings import ModelSettings

if TYPE_CHECKING:
    import torch

BATCH_IMAGES = {"cpu": 16, "cuda": 256}
"""Images of one forward pass by device: more gain no throughput and cost memory."""


_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is measured when a model is loaded: what its embeddings depend on.

    `weights_digest` is of the weights as they load, before any conversion; `precision` is the one that the
    model's embeddings are made for, on every machine.
    """

    embedding_dim: int
    image_size: int
    weights_digest: str
    precision: Precision = Precision.FLOAT32


class Embedder:
    """One loaded model. Embeddings are float32 (n, dim) of unit length, on the CPU.

    The images' side computes in `computes_in`, the texts' side in float32. `batch_images` is the most that one
    forward pass takes; it is halved whenever the device's memory does not suffice, and stays so. Several
    threads may encode at once.
    """

    def __init__(
        self,
        key: str,
        model: Any,
        preprocess: Any,
        tokenizer: Any,
        device: str,
        precision: Precision = Precision.FLOAT32,
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
        self.computes_in = Precision.FLOAT32
        self._in_int8: Int8ImageEncoder | None = None
        if precision in native_precisions(device):
            self.compute_in(precision)

    @property
    def parameters(self) -> int:
        """How many weights the model has."""
        return sum(int(weights.numel()) for weights in self._model.parameters())

    def compute_in(self, precision: Precision) -> None:
        """Convert the images' side, whether the device computes natively in that or emulates it.

        Raises Int8ExportError.
        """
        if precision == Precision.INT8:
            self._in_int8 = Int8ImageEncoder(self._model, self.transform, _height_and_width(self._model))
        else:
            self._in_int8 = None
            self._model.visual.to(_dtype(precision))
        self.computes_in = precision

    def encode_batch(self, batch: Sequence["torch.Tensor"]) -> NDArray[np.float32]:
        """Embeddings of transformed images (`transform`: uint8, (3, size, size)), in their order.

        Where the device's memory does not suffice for one image, the device's error is raised.
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
                _logger.warning("%s: %d images do not fit into memory, trying %d", self.key, size, size // 2)
                continue
            start += size
        return np.concatenate(vectors)

    def _forward(self, batch: Sequence["torch.Tensor"]) -> NDArray[np.float32]:
        import torch

        seen = torch.stack(list(batch))
        with torch.inference_mode():
            if self._in_int8 is not None:
                return self._unit(torch.from_numpy(self._in_int8.encode(seen.numpy())))
            pixels = self.transform.normalize(seen.to(self.device))
            return self._unit(self._model.encode_image(pixels.to(_dtype(self.computes_in))))

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embeddings of upright RGB images, in their order."""
        return self.encode_batch([self.transform.of_image(image) for image in images])

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of texts, in their order; a text that is too long is cut (see `truncates`)."""
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
        # As when it encodes: other settings would be set for the other threads, too.
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
    """How many threads should encode at once within the block: on a CPU one a core, on a GPU one.

    On a CPU each of them computes on one core, rather than all cores on one batch: whatever else keeps a core
    busy, as decoding does, then holds up nobody at a barrier. torch's own number of threads, and so
    `OMP_NUM_THREADS`, is the number of cores.
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


_loaded: dict[tuple[str, ModelSettings, Precision], Embedder] = {}
_LOADING = Lock()


def load_embedder(key: str, settings: ModelSettings, precision: Precision = Precision.FLOAT32) -> Embedder:
    """The model, ready to run. It stays until another is asked for, and is let go before that one is loaded.

    It computes in `precision` where the device does so natively, else in float32, which is the quickest to load: what
    texts and single images need. Weights load without pickle. Raises ModelUnavailableError.
    """
    with _LOADING:
        wanted = key, settings, precision
        if wanted not in _loaded:
            unload()
            _loaded[wanted] = _load(*wanted)
        return _loaded[wanted]


def unload() -> None:
    """Let the loaded model go."""
    _loaded.clear()


def measure_agreement(
    key: str, settings: ModelSettings, precision: Precision, images: Sequence[Image.Image]
) -> Agreement:
    """How far the model's embeddings of upright RGB images in `precision` agree with those in float32.

    The model is loaded for it and let go, as is the one that was loaded before. Raises ModelUnavailableError and
    Int8ExportError.
    """
    unload()
    embedder = _load(key, settings, Precision.FLOAT32)
    try:
        reference = embedder.encode_images(images)
        embedder.compute_in(precision)
        return agreement(embedder.encode_images(images), reference)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise ModelUnavailableError(why_unavailable(key, settings, error)) from error


def _load(key: str, settings: ModelSettings, precision: Precision) -> Embedder:
    import open_clip

    device = available_device()
    logging.getLogger("huggingface_hub").setLevel(
        logging.ERROR
    )  # what it cannot fetch, the error below explains
    forbid_remote_code()
    try:
        require_plain_configuration(key, settings)
        model, preprocess = open_clip.create_model_from_pretrained(
            settings.architecture, pretrained=settings.pretrained, device=device, weights_only=True
        )
        tokenizer = open_clip.get_tokenizer(settings.architecture)
        _require_words(tokenizer)
        model.eval()
        return Embedder(key, model, preprocess, tokenizer, device, precision)
    except ModelUnavailableError:
        raise
    except Int8ExportError as error:
        raise ModelUnavailableError(
            f"models.{key}: its embeddings are in int8, and on this machine it cannot be computed in that: {error}. "
            "Install the release of OpenVINO that constraints.txt names, or give the model another key, with "
            "precision = 'float32'."
        ) from error
    except Exception as error:
        raise ModelUnavailableError(why_unavailable(key, settings, error)) from error


def _require_words(tokenizer: Any) -> None:
    """transformers makes a tokenizer that knows no word, and says nothing, where tokenizer.json is missing."""
    if tokenizer(["a beach"]).equal(tokenizer(["a mountain"])):
        raise ValueError("its tokenizer knows no words: its tokenizer.json is missing")


def _dtype(precision: Precision) -> "torch.dtype":
    import torch

    dtype: torch.dtype = getattr(torch, precision)
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
