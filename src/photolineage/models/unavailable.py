"""A model that cannot be loaded: the reason, among them too little memory, and the remedy."""

import os
import re
from typing import Final

import psutil

from photolineage.errors import PhotolineageError
from photolineage.settings import ModelSettings
from photolineage.settings.sections import HUB, LOCAL_DIRECTORY

CONFIG_AND_WEIGHTS = "open_clip_config.json and open_clip_model.safetensors"
TOKENIZER = "tokenizer.json and tokenizer_config.json"


class ModelUnavailableError(PhotolineageError):
    """A model cannot be loaded; the message names the model, the reason and the remedy."""


def why_unavailable(key: str, settings: ModelSettings, error: Exception) -> str:
    """The message for a model whose loading raised `error`."""
    named = settings.architecture + (f" ({settings.pretrained})" if settings.pretrained else "")
    reason = f"{type(error).__name__}: {error}".splitlines()[0].partition(" Last error:")[0].rstrip(" .")
    return f"models.{key}: {named} cannot be loaded: {reason}. {_remedy(key, settings, error)}"


def _remedy(key: str, settings: ModelSettings, error: Exception) -> str:
    if is_out_of_memory(error):
        free = psutil.virtual_memory().available / 1e9
        return f"Only {free:.1f} GB of memory are free. End other programs, or choose a smaller model."
    if settings.architecture.startswith(LOCAL_DIRECTORY):
        return (
            f"The folder must hold {CONFIG_AND_WEIGHTS} that belong together and, if the configuration names an "
            f"hf_tokenizer_name, {TOKENIZER}."
        )
    cache = os.environ.get("HF_HUB_CACHE") or os.path.join(
        os.environ.get("HF_HOME", "~/.cache/huggingface"), "hub"
    )
    return (
        "Photolineage downloads the files at the first use. The scanned and registered photos are kept; run the same "
        "command again when the model can be loaded.\n"
        f"- If this machine can reach a network: connect it once. The files are kept in {cache}.\n"
        f"- If it cannot: {_by_hand(key, settings, cache)}"
    )


def _by_hand(key: str, settings: ModelSettings, cache: str) -> str:
    """How to copy the files from another machine. For most models one folder is enough."""
    import open_clip

    if settings.architecture.startswith(HUB):
        repository = settings.architecture.removeprefix(HUB)
        tokenizer = f" and, if there are any, {TOKENIZER}"
    else:
        published = open_clip.get_pretrained_cfg(settings.architecture, settings.pretrained)
        repository = published.get("hf_hub", "").rpartition("/")[0] or published.get("url", "")
        text = open_clip.get_model_config(settings.architecture)["text_cfg"]
        if "hf_model_name" in text:
            # Another repository describes its text half, and open_clip requests that repository at each load.
            return f"load the model once on another machine, and copy {cache} from there."
        name = text.get("hf_tokenizer_name")
        of = "" if name == repository else f" of {name}"
        tokenizer = f" and {TOKENIZER}{of}" if name else ""
    folder = f"/models/{key}"
    return (
        f"on another machine, download {CONFIG_AND_WEIGHTS} of "
        f"{repository}{tokenizer}. Copy them into a folder here, for example {folder}, and name it in your "
        f"photolineage.toml (`photolineage init` writes one):\n  [models.{key}]\n"
        f'  architecture = "{LOCAL_DIRECTORY}{folder}"'
    )


_SAID: Final = re.compile(
    "out of memory|not enough memory|allocate memory|bad_alloc|STATUS_ALLOC_FAILED", re.IGNORECASE
)
"""Messages of torch on the CPU and on a GPU, of OpenVINO, and of cuBLAS and cuDNN."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error reports that memory ran out."""
    return isinstance(error, MemoryError) or _SAID.search(str(error)) is not None
