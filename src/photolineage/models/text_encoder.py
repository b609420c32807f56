"""The exported text half of a model. With it, a search does not import torch and open_clip (8 seconds).

The text half is exported to ONNX when the model embeds its first images, with a tokenizer in the format of Hugging
Face's `tokenizers`. It is kept only if its embeddings equal those of the model.
"""

import html
import json
import logging
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from photolineage.models.unavailable import is_out_of_memory
from photolineage.stores.files import Files, LostFileError, StoredFile
from photolineage.stores.root_folder import PARTIAL_PREFIX

if TYPE_CHECKING:
    import torch

TEXT_ENCODERS: Final = "text_encoders"
_MODEL, _TOKENIZER, _FACTS, _DIGESTS = "text.onnx", "tokenizer.json", "facts.json", "digests.json"
_OPSET: Final = 17
_WORDS: Final = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""The pattern with which CLIP's tokenizer splits a text (openai/CLIP, simple_tokenizer.py)."""
_SAME: Final = 1e-4
"""Unit vectors whose components differ by less give the same ranking, except for ties."""
_PROBES: Final = (
    "a beach",
    "Snowy mountains at sunset, seen from a train",
    "it's 25 °C; don't ask",
    "naïve café — “quotes” 100%",
    "写真 ☃ İstanbul straße",
    "🎉 party under_score <b>html &amp; more</b>",
    "x" * 90,
    "a very long text " * 40,
)

_logger = logging.getLogger(__name__)


class TextExportError(Exception):
    """The text half of a model cannot be exported; searches load the whole model instead."""


class TextEncoder:
    """The text half of one model, from a folder that `export_text_encoder` wrote."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        import tokenizers

        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        self._context_length: int = facts["context_length"]
        self._start: int = facts["start_token"]
        self._end: int = facts["end_token"]
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / _TOKENIZER))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            folder / _MODEL, options, providers=["CPUExecutionProvider"]
        )

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings (n, dim) of unit length, in order. Texts that are too long are truncated (see `truncates`)."""
        tokens = np.zeros((len(texts), self._context_length), np.int64)
        for row, text in enumerate(texts):
            read = [self._start, *self._ids(text)][: self._context_length - 1]
            tokens[row, : len(read) + 1] = [*read, self._end]
        embeddings: NDArray[np.float32] = self._session.run(None, {"tokens": tokens})[0]
        return embeddings

    def truncates(self, text: str) -> bool:
        """Whether a text has more tokens than the model reads."""
        return len(self._ids(text)) > self._context_length - 2  # the start and end tokens take two

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(_cleaned(text), add_special_tokens=False).ids
        return ids


def find_text_encoder(files: Files, model_key: str, weights_digest: str) -> TextEncoder | None:
    """The exported text half of the model with these weights; None if it is missing or cannot be opened."""
    folder = _folder(model_key, weights_digest)
    try:
        files.local(f"{folder}/{_DIGESTS}")
    except LostFileError:
        return None  # never exported, or still incomplete
    try:
        return TextEncoder(_local_folder(files, folder))
    except Exception as error:  # noqa: BLE001 (onnxruntime and tokenizers raise plain Exceptions)
        _logger.warning(
            "%s: cannot be opened (%s). Searches load the whole model instead, until image_embeddings of %s is "
            "materialized again.",
            files.location(folder), _in_one_line(error), model_key,
        )  # fmt: skip
        return None


def text_encoder_files(files: Files, model_key: str) -> list[StoredFile]:
    """The stored files of a model's text halves, for any weights, including incomplete exports."""
    own = re.compile(rf"({re.escape(PARTIAL_PREFIX)})?{re.escape(model_key)}-[0-9a-f]{{16}}(\.\w+)?")
    return [file for file in files.list_files(TEXT_ENCODERS) if own.fullmatch(file.path.split("/")[1])]


def ensure_text_encoder(
    files: Files, model_key: str, weights_digest: str, export: Callable[[Path], None]
) -> str | None:
    """Export the text half of the model with these weights, unless it exists or an earlier export failed.

    Returns the reason if the text half cannot be exported, else None. The folder never appears incomplete. After a
    failure for lack of memory, the next call tries again. Raises StorageError.
    """
    folder = _folder(model_key, weights_digest)
    refusal = f"{folder}.txt"
    with suppress(LostFileError):
        return files.local(refusal).read_text(encoding="utf-8")
    if _is_whole(files, folder):
        return None
    try:
        files.remove(file.path for file in files.list_files(folder))
        files.write_folder(folder, export, last=_DIGESTS)
    except (TextExportError, MemoryError) as error:
        reason = str(error)
        _logger.warning(
            "%s: its text half was not exported, so searches load the whole model: %s", model_key, reason
        )
        if isinstance(error, TextExportError):
            files.write(refusal, lambda partial: partial.write_text(reason, encoding="utf-8"))
        return reason
    return None


def _digests(folder: Path) -> dict[str, str]:
    return {name: blake3().update_mmap(folder / name).hexdigest() for name in (_MODEL, _TOKENIZER, _FACTS)}


def _is_whole(files: Files, path: str) -> bool:
    """Whether an export is complete and undamaged, by its digests. It is not loaded: the model is in memory already."""
    try:
        folder = _local_folder(files, path)
        return bool(json.loads((folder / _DIGESTS).read_text(encoding="utf-8")) == _digests(folder))
    except (LostFileError, OSError, ValueError):
        return False


def _local_folder(files: Files, path: str) -> Path:
    *_, folder = (files.local(f"{path}/{name}").parent for name in (_MODEL, _TOKENIZER, _FACTS, _DIGESTS))
    return folder


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def export_text_encoder(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write an open_clip model's text half to the folder.

    Raises TextExportError if the tokenizer is not CLIP's, if ONNX cannot express the model, or if the exported text
    half gives other embeddings than the model. Also raises OSError and MemoryError.
    """
    try:
        _write_tokenizer(tokenizer, folder)
        _write_model(model, tokenizer(["a"]), folder)
        _require_same(model, tokenizer, TextEncoder(folder))
        _write(folder / _DIGESTS, json.dumps(_digests(folder)))
    except (TextExportError, OSError):
        raise
    except Exception as error:  # torch, onnxruntime and the model raise many types
        if is_out_of_memory(error):
            raise MemoryError(f"not enough memory for the export: {_in_one_line(error)}") from error
        raise TextExportError(f"ONNX cannot express it: {_in_one_line(error)}") from error


def _write_tokenizer(tokenizer: Any, folder: Path) -> None:
    from open_clip.tokenizer import SimpleTokenizer, get_clean_fn
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    if not isinstance(tokenizer, SimpleTokenizer) or tokenizer.clean_fn is not get_clean_fn("lower"):
        raise TextExportError(
            f"its tokenizer is {type(tokenizer).__name__}; only CLIP's lower-case tokenizer can be exported"
        )
    words = Tokenizer(
        models.BPE(
            vocab=tokenizer.encoder,
            merges=list(tokenizer.bpe_ranks),
            end_of_word_suffix="</w>",
            continuing_subword_prefix="",
        )
    )
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    _write(folder / _TOKENIZER, words.to_str())  # `words.save` does not raise OSError if the disk is full
    facts = {
        "context_length": tokenizer.context_length,
        "start_token": tokenizer.sot_token_id,
        "end_token": tokenizer.eot_token_id,
    }
    _write(folder / _FACTS, json.dumps(facts))


def _write_model(model: Any, tokens: "torch.Tensor", folder: Path) -> None:
    """Export with torch's tracing exporter: the newer exporter takes ten times as long and needs two more packages."""
    import torch

    class TextHalf(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            embeddings: torch.Tensor = self.model.encode_text(tokens, normalize=True).float()
            return embeddings

    device = next(model.parameters()).device
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the older exporter, and about constants in the trace
        torch.onnx.export(
            TextHalf().eval(),
            (tokens.to(device),),
            folder / _MODEL,
            input_names=["tokens"],
            output_names=["embeddings"],
            dynamic_axes={"tokens": {0: "texts"}, "embeddings": {0: "texts"}},
            opset_version=_OPSET,
            dynamo=False,
        )


def _require_same(model: Any, tokenizer: Any, exported: TextEncoder) -> None:
    import torch

    device = next(model.parameters()).device
    with torch.inference_mode():
        wanted = model.encode_text(tokenizer(list(_PROBES)).to(device), normalize=True)
    difference = float(np.abs(exported.encode_text(_PROBES) - wanted.float().cpu().numpy()).max())
    if not difference < _SAME:
        raise TextExportError(f"its embeddings of texts differ from the model's by {difference:.2g}")


def _cleaned(text: str) -> str:
    """A text as CLIP's tokenizer cleans it: encoding fixed, HTML unescaped, single spaces, lower case."""
    if not (text.isascii() and text.isprintable()) or "&" in text:  # other texts need no fixing
        import ftfy

        text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _folder(model_key: str, weights_digest: str) -> str:
    return f"{TEXT_ENCODERS}/{model_key}-{weights_digest[:16]}"
