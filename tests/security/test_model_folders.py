"""A model folder that came from anywhere may describe a model; nothing in it is run."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from photolineage.models.embedder import load_embedder, unload
from photolineage.models.plain_configuration import require_plain_configuration
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.settings import ModelSettings

TOKENIZER_CODE = """
from pathlib import Path

Path({mark!r}).touch()


class Trap:
    @classmethod
    def from_pretrained(cls, *arguments, **options):
        return cls()
"""


@pytest.fixture
def folder(tmp_path: Path, tiny_models: Mapping[str, Path]) -> Path:
    """A copy of a model that loads."""
    copy = tmp_path / "model"
    shutil.copytree(tiny_models["tiny-a"], copy)
    return copy


def edit(folder: Path, change: Mapping[str, Any], *section: str) -> None:
    file = folder / "open_clip_config.json"
    config = json.loads(file.read_text())
    place = config["model_cfg"]
    for name in section:
        place = place.setdefault(name, {})
    place.update(change)
    file.write_text(json.dumps(config))


def load(folder: Path) -> None:
    try:
        load_embedder("mine", ModelSettings(architecture=f"local-dir:{folder}"))
    finally:
        unload()


def add_tokenizer_with_code(folder: Path, mark: Path) -> None:
    """A tokenizer whose configuration names a class in a Python file of the folder, which touches `mark` when run."""
    (folder / "trap.py").write_text(TOKENIZER_CODE.format(mark=str(mark)))
    facts = {"tokenizer_class": "Trap", "auto_map": {"AutoTokenizer": ["trap.Trap", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))
    (folder / "config.json").write_text(
        json.dumps({"model_type": "trap", "auto_map": {"AutoConfig": "trap.Trap"}})
    )


@pytest.mark.parametrize(
    ("section", "change", "named"),
    [
        (
            ("text_cfg", "tokenizer_kwargs"),
            {"trust_remote_code": True},
            "text_cfg.tokenizer_kwargs.trust_remote_code",
        ),
        (("text_cfg", "tokenizer_kwargs"), {"clean": {"trust_remote_code": True}}, "tokenizer_kwargs.clean"),
        (("text_cfg",), {"auto_map": {"AutoTokenizer": "trap.Trap"}}, "text_cfg.auto_map"),
        (("text_cfg",), {"norm_kwargs": {"eps": {"a": 1}}}, "text_cfg.norm_kwargs"),
        (("text_cfg",), {"tokenizer_kwargs": ["trust_remote_code"]}, "text_cfg.tokenizer_kwargs"),
        (("vision_cfg",), {"trust_remote_code": True}, "vision_cfg.trust_remote_code"),
        ((), {"trust_remote_code": True}, "trust_remote_code"),
        ((), {"quick_gelu": {"a": 1}}, "quick_gelu"),
    ],
)
def test_a_key_that_no_model_has_is_named_and_nothing_is_loaded(
    folder: Path, tmp_path: Path, section: tuple[str, ...], change: Mapping[str, Any], named: str
) -> None:
    mark = tmp_path / "code-was-run"
    add_tokenizer_with_code(folder, mark)
    edit(folder, change, *section)
    with pytest.raises(ModelUnavailableError, match=rf"models\.mine: .* not loaded: .*{named}"):
        load(folder)
    assert not mark.exists()


def test_a_tokenizer_with_code_is_refused_without_a_question(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "code-was-run"
    add_tokenizer_with_code(folder, mark)
    edit(folder, {"hf_tokenizer_name": "somebody/tokenizer"}, "text_cfg")
    monkeypatch.setattr("builtins.input", lambda _question: "y")
    with pytest.raises(ModelUnavailableError, match=r"models\.mine: .* cannot be loaded: "):
        load(folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("vision_cfg", {"timm_model_name": "hf-hub:somebody/model"}),
        ("vision_cfg", {"timm_model_name": "hf_hub:somebody/model"}),
        ("vision_cfg", {"timm_model_name": "local-dir:{outside}"}),
        ("vision_cfg", {"timm_model_name": "{outside}"}),
        ("vision_cfg", {"timm_model_name": ["vit_base_patch16_224"]}),
        ("text_cfg", {"hf_model_name": "{outside}"}),
        ("text_cfg", {"hf_model_name": "../outside"}),
        ("text_cfg", {"hf_model_name": "./outside"}),
        ("text_cfg", {"hf_model_name": "outside"}),  # of the working directory
        ("text_cfg", {"hf_tokenizer_name": "{outside}"}),
        ("text_cfg", {"hf_tokenizer_name": "https://somebody.example/tokenizer"}),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, change: dict[str, Any]
) -> None:
    mark, outside = tmp_path / "code-was-run", tmp_path / "outside"
    outside.mkdir()
    add_tokenizer_with_code(outside, mark)
    monkeypatch.chdir(tmp_path)
    named = {name: json.loads(json.dumps(v).replace("{outside}", str(outside))) for name, v in change.items()}
    edit(folder, named, section)
    with pytest.raises(
        ModelUnavailableError, match=rf"names files outside: {section}\.{next(iter(named))} = "
    ):
        load(folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    "option",
    [
        {"tokenizer_file": "{outside}/tokenizer.json"},
        {"vocab_file": "{outside}/tokenizer.json"},
        {"special_tokens_map_file": "../outside/tokenizer.json"},
        {"fast_tokenizer_files": ["../outside/tokenizer.1.0.json"]},
        {"added_tokens_file": "outside/tokenizer.json"},  # of the working directory
    ],
)
def test_a_tokenizer_file_outside_of_the_folder_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: dict[str, Any]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    write_tokenizer(outside)
    shutil.copy(outside / "tokenizer.json", outside / "tokenizer.1.0.json")
    monkeypatch.chdir(tmp_path)
    facts = json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"} | option)
    (folder / "tokenizer_config.json").write_text(facts.replace("{outside}", str(outside)))
    edit(folder, {"hf_tokenizer_name": "somebody/tokenizer"}, "text_cfg")
    with pytest.raises(ModelUnavailableError, match=rf"names files outside: {next(iter(option))} = "):
        load(folder)


def test_a_tokenizer_that_names_its_own_files_loads(folder: Path) -> None:
    write_tokenizer(folder)
    facts = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "tokenizer_file": str(folder / "tokenizer.json"),
        "special_tokens_map_file": "/home/somebody/special_tokens_map.json",  # of the machine that trained it
        "vocab_file": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))
    edit(folder, {"hf_tokenizer_name": "somebody/tokenizer"}, "text_cfg")
    load(folder)


def write_tokenizer(folder: Path) -> None:
    """A tokenizer of a few words."""
    words = {word: number for number, word in enumerate(["<pad>", "<unk>", "a", "beach", "mountain"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def test_every_configuration_that_open_clip_carries_is_plain(tmp_path: Path) -> None:
    names = open_clip.list_models()
    assert len(names) > 100
    for name in names:
        (tmp_path / "open_clip_config.json").write_text(
            json.dumps({"model_cfg": open_clip.get_model_config(name)})
        )
        require_plain_configuration(name, ModelSettings(architecture=f"local-dir:{tmp_path}"))
