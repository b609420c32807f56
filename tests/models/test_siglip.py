"""A SigLIP: its text half has another architecture than CLIP's, and a tokenizer by Hugging Face."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from photolineage.models.embedder import Embedder, load_embedder, unload
from photolineage.models.text_encoder import TextExportError
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.settings import ModelSettings

CONTEXT_LENGTH = 16


@pytest.fixture(scope="module", autouse=True)
def without_network() -> Iterator[None]:
    """transformers asks the hub about what it does not find in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        yield


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """open_clip's own configuration of ViT-B-16-SigLIP, smaller, with random weights and a tokenizer of few words."""
    folder = tmp_path_factory.mktemp("siglip")
    config: dict[str, Any] = open_clip.get_model_config("ViT-B-16-SigLIP")
    config["embed_dim"] = 24
    config["vision_cfg"] = {"image_size": 32, "patch_size": 16, "width": 32, "head_width": 16, "layers": 1}
    config["text_cfg"] |= {
        "context_length": CONTEXT_LENGTH,
        "vocab_size": 64,
        "width": 24,
        "heads": 2,
        "layers": 1,
    }
    preprocessing = {"mean": [0.5] * 3, "std": [0.5] * 3}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocessing})
    )
    config.pop("custom_text")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.CustomTextCLIP(**config)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    _write_tokenizer(folder)
    return folder


def _write_tokenizer(folder: Path) -> None:
    """Of the kind that SigLIP's is: pieces of words by SentencePiece, and an end token that also fills up."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words = [(f"▁{word}", -2.0) for word in ("a", "beach", "mountain", "at", "sunset")]
    letters = [(letter, -8.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.Unigram([*special, *words, *letters], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    facts = {"tokenizer_class": "T5Tokenizer", "pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts | {"extra_ids": 0}))


def load(folder: Path) -> Embedder:
    unload()
    return load_embedder("siglip", ModelSettings(architecture=f"local-dir:{folder}"))


def test_images_and_texts_are_embedded_in_one_space(siglip: Path) -> None:
    embedder = load(siglip)
    assert (embedder.facts.embedding_dim, embedder.facts.image_size) == (24, 32)
    images = embedder.encode_images([Image.new("RGB", (40, 30), color) for color in ("red", "blue")])
    texts = embedder.encode_text(["a beach", "a mountain at sunset", "A beach!"])
    assert (images.shape, texts.shape) == ((2, 24), (3, 24))
    np.testing.assert_allclose(np.linalg.norm([*images, *texts], axis=1), 1, atol=1e-6)
    assert not np.allclose(texts[0], texts[1], atol=1e-3)
    np.testing.assert_array_equal(texts[0], texts[2])  # SigLIP reads neither capitals nor punctuation


def test_a_text_that_is_too_long_is_cut_and_said(siglip: Path) -> None:
    embedder = load(siglip)
    longest = " ".join(["beach"] * (CONTEXT_LENGTH - 1))  # and the end token
    assert not embedder.truncates("a beach")
    assert not embedder.truncates(longest)
    assert embedder.truncates(f"{longest} mountain")
    np.testing.assert_array_equal(*embedder.encode_text([f"{longest} mountain", f"{longest} sunset"]))


def test_its_text_half_is_not_kept_apart_and_the_reason_is_said(siglip: Path, tmp_path: Path) -> None:
    with pytest.raises(TextExportError, match="its tokenizer is HFTokenizer; only CLIP's"):
        load(siglip).export_text_encoder(tmp_path)


@pytest.mark.parametrize(
    "missing", [["tokenizer.json"], ["tokenizer_config.json"], ["tokenizer.json", "tokenizer_config.json"]]
)
def test_a_tokenizer_that_is_missing_is_named_and_no_text_is_read_without_it(
    siglip: Path, tmp_path: Path, missing: list[str]
) -> None:
    folder = shutil.copytree(siglip, tmp_path / "mute")
    for name in missing:
        (folder / name).unlink()
    with pytest.raises(
        ModelUnavailableError,
        match=rf"models\.siglip: local-dir:{re.escape(str(folder))} cannot be loaded: .* The folder must hold .* and, "
        r"if the configuration names an hf_tokenizer_name, tokenizer\.json and tokenizer_config\.json\.",
    ):
        load(folder)
