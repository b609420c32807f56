"""A model folder that came from anywhere may describe a model; nothing in it is run."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import pytest

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


def test_every_configuration_that_open_clip_carries_is_plain(tmp_path: Path) -> None:
    names = open_clip.list_models()
    assert len(names) > 100
    for name in names:
        (tmp_path / "open_clip_config.json").write_text(
            json.dumps({"model_cfg": open_clip.get_model_config(name)})
        )
        require_plain_configuration(name, ModelSettings(architecture=f"local-dir:{tmp_path}"))
