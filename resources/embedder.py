"""Embedding models: open_clip on torch, loaded once a process and let go before the next one."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from resources.settings import LOCAL_DIRECTORY, ModelSettings

if TYPE_CHECKING:
    import torch

BATCH_IMAGES = {"cpu": 32, "cuda": 256}
"""Images of one forward pass by device: more gain no throughput and cost memory."""


_OUT_OF_MEMORY = re.compile("out of memory|not enough memory|allocate memory|bad_alloc", re.IGNORECASE)
"""How torch says on the CPU and on a GPU that an allocation has failed."""


class ModelUnavailableError(Exception):
    """A model cannot be loaded; the message names it, the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is measured when a model is loaded: what its embeddings depend on."""

    embedding_dim: int
    image_size: int
    weights_digest: str


class Embedder:
    """One loaded model. Embeddings are float32 (n, dim) of unit length, on the CPU."""

    def __init__(self, key: str, model: Any, preprocess: Any, tokenizer: Any, device: str) -> None:
        self.key = key
        self.device = device
        self.batch_images = BATCH_IMAGES[device]
        self._model = model
        self._preprocess = preprocess
        self._tokenizer = tokenizer
        self.facts = ModelFacts(
            embedding_dim=self._measured_dim(), image_size=_image_size(model), weights_digest=_digest(model)
        )

    @property
    def parameters(self) -> int:
        """How many weights the model has."""
        return sum(int(weights.numel()) for weights in self._model.parameters())

    def preprocess(self, image: Image.Image) -> "torch.Tensor":
        """The model's own transform of an upright RGB image: a float32 tensor (3, size, size)."""
        tensor: torch.Tensor = self._preprocess(image)
        return tensor

    def encode_batch(self, batch: Sequence["torch.Tensor"]) -> NDArray[np.float32]:
        """Embeddings of preprocessed images, in their order."""
        import torch

        if not batch:
            return np.empty((0, self.facts.embedding_dim), np.float32)
        with torch.inference_mode():
            return self._unit(self._model.encode_image(torch.stack(list(batch)).to(self.device)))

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Embeddings of upright RGB images, in their order."""
        return self.encode_batch([self.preprocess(image) for image in images])

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of texts, in their order; a text that is too long is cut (see `truncates`)."""
        import torch

        if not texts:
            return np.empty((0, self.facts.embedding_dim), np.float32)
        with torch.inference_mode():
            return self._unit(self._model.encode_text(self._tokenizer(list(texts)).to(self.device)))

    def truncates(self, text: str) -> bool:
        """Whether a text has more tokens than the model reads."""
        context_length = getattr(self._tokenizer, "context_length", 77)
        encode = getattr(self._tokenizer, "encode", None)
        if encode is None:
            encode = self._tokenizer.tokenizer.encode
        return len(encode(text)) > context_length - 2  # the start and end tokens take two

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


_loaded: dict[tuple[str, ModelSettings], Embedder] = {}
_LOADING = Lock()


def load_embedder(key: str, settings: ModelSettings) -> Embedder:
    """The model, ready to run. It stays until another is asked for, and is let go before that one is loaded.

    Weights load without pickle. Raises ModelUnavailableError.
    """
    with _LOADING:
        if (key, settings) not in _loaded:
            _loaded.clear()
            _loaded[key, settings] = _load(key, settings)
        return _loaded[key, settings]


def _load(key: str, settings: ModelSettings) -> Embedder:
    import open_clip
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model, preprocess = open_clip.create_model_from_pretrained(
            settings.architecture, pretrained=settings.pretrained, device=device, weights_only=True
        )
        tokenizer = open_clip.get_tokenizer(settings.architecture)
    except Exception as error:
        raise ModelUnavailableError(_unavailable(key, settings, error)) from error
    model.eval()
    return Embedder(key, model, preprocess, tokenizer, device)


def _unavailable(key: str, settings: ModelSettings, error: Exception) -> str:
    named = f"models.{key}: {settings.architecture}" + (
        f" ({settings.pretrained})" if settings.pretrained else ""
    )
    reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(" .")
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        free = psutil.virtual_memory().available / 1e9
        remedy = f"There is too little memory ({free:.1f} GB are free): end other programs, or take a smaller model."
    elif settings.architecture.startswith(LOCAL_DIRECTORY):
        remedy = (
            "The folder must hold open_clip_config.json and open_clip_model.safetensors that fit each other."
        )
    else:
        cache = os.environ.get("HF_HUB_CACHE") or os.path.join(
            os.environ.get("HF_HOME", "~/.cache/huggingface"), "hub"
        )
        remedy = (
            f"Its weights are downloaded at the first use and kept in {cache}: connect to the network once, or copy "
            "that folder from a machine that has them, or put config and weights into a folder and set "
            f"models.{key}.architecture = 'local-dir:<folder>'."
        )
    return f"{named} cannot be loaded: {reason}. {remedy}"


def _image_size(model: Any) -> int:
    size = model.visual.image_size
    return int(max(size)) if isinstance(size, tuple | list) else int(size)


def _digest(model: Any) -> str:
    """SHA-256 over the names, types, shapes and bytes of all weights."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
