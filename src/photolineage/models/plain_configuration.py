"""A model's folder or hub repository may describe a model, but must not name code to run."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

from photolineage.models.unavailable import ModelUnavailableError
from photolineage.settings import ModelSettings
from photolineage.settings.sections import HUB, LOCAL_DIRECTORY

TOKENIZER_OPTIONS = frozenset({"clean", "strip_sep_token", "language"})
"""The tokenizer options that open_clip's own configurations and `HFTokenizer` use."""


TOKENIZER_CONFIGURATION = "tokenizer_config.json"

_REPOSITORY = re.compile(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)?", re.ASCII)
NAMES = (
    ("vision_cfg", "timm_model_name", re.compile(r"\w[\w.]*", re.ASCII)),
    ("text_cfg", "hf_model_name", _REPOSITORY),
    ("text_cfg", "hf_tokenizer_name", _REPOSITORY),
)
"""The settings that name something outside of the configuration, and what such a name looks like."""


def require_plain_configuration(key: str, settings: ModelSettings) -> None:
    """Raise ModelUnavailableError if `open_clip_config.json` has a key that open_clip's model classes do not know.

    Such a key could reach a loader that runs code: open_clip passes `tokenizer_kwargs` on to transformers, where
    `trust_remote_code` imports Python files of the folder. Configurations that open_clip carries are not checked.
    """
    if not settings.architecture.startswith((LOCAL_DIRECTORY, HUB)):
        return
    import open_clip

    config = open_clip.get_model_config(settings.architecture)
    if unknown := sorted(_unknown_keys(config)):
        raise ModelUnavailableError(
            f"models.{key}: {settings.architecture} was not loaded: its open_clip_config.json has keys that open_clip "
            f"does not use, and they could make a library run code from that folder: {', '.join(unknown)}. Remove "
            "these keys if you know what they are for; otherwise choose another model."
        )
    elsewhere = [*_names_of_elsewhere(config), *_files_of_elsewhere(settings.architecture, config)]
    if elsewhere:
        raise ModelUnavailableError(
            f"models.{key}: {settings.architecture} was not loaded: it names files outside: {', '.join(elsewhere)}. "
            "Its configuration may name models of timm and repositories of the hub, its tokenizer only its own files. "
            "Remove these settings, or choose another model."
        )


def _names_of_elsewhere(config: Mapping[str, Any]) -> Iterator[str]:
    """The settings that timm or transformers would take for a path, or for a model of another place."""
    for section, name, pattern in NAMES:
        value = config.get(section, {}).get(name)
        if value is not None and (
            not isinstance(value, str) or not pattern.fullmatch(value) or Path(value).exists()
        ):
            yield f"{section}.{name} = {value!r}"


def _files_of_elsewhere(architecture: str, config: Mapping[str, Any]) -> Iterator[str]:
    """The settings of a tokenizer that transformers would take for the path of a file outside of its folder."""
    name = config.get("text_cfg", {}).get("hf_tokenizer_name")
    if not name:
        return  # open_clip carries the tokenizer
    if architecture.startswith(LOCAL_DIRECTORY):
        file = Path(architecture.removeprefix(LOCAL_DIRECTORY), TOKENIZER_CONFIGURATION)
    else:
        from open_clip.pretrained import download_pretrained_from_hf

        try:
            file = Path(download_pretrained_from_hf(name, filename=TOKENIZER_CONFIGURATION))
        except FileNotFoundError:
            return
    if not file.is_file():
        return
    for option, value in json.loads(file.read_text(encoding="utf-8")).items():
        paths = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        if option.endswith(("_file", "_files")) and any(
            _is_outside(str(path), file.parent) for path in paths
        ):
            yield f"{option} = {value!r} in {TOKENIZER_CONFIGURATION}"


def _is_outside(path: str, folder: Path) -> bool:
    """Whether this is the path of something that exists outside of the folder, from there or from here."""
    found = [place.resolve() for place in (folder / path, Path(path)) if place.exists()]
    return any(not place.is_relative_to(folder.resolve()) for place in found)


def forbid_remote_code() -> None:
    """Let transformers refuse models and tokenizers that bring code. By default it asks in the terminal."""
    from transformers import dynamic_module_utils

    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0


def _unknown_keys(config: Any) -> Iterator[str]:
    """The paths of the keys, such as `text_cfg.tokenizer_kwargs.trust_remote_code`."""
    from open_clip.coca_model import CoCa, MultimodalCfg
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP

    if not isinstance(config, Mapping):
        yield "model_cfg (not an object)"
        return
    sections = {"vision_cfg": CLIPVisionCfg, "text_cfg": CLIPTextCfg, "multimodal_cfg": MultimodalCfg}
    parameters = {name for model in (CLIP, CustomTextCLIP, CoCa) for name in signature(model).parameters}
    for name, value in config.items():
        if name in sections:
            yield from _unknown_in_section(name, value, {field.name for field in fields(sections[name])})
        elif name not in parameters | {"custom_text"} or _holds_objects(value):
            yield name


def _unknown_in_section(section: str, values: Any, known: set[str]) -> Iterator[str]:
    if not isinstance(values, Mapping):
        yield f"{section} (not an object)"
        return
    for name, value in values.items():
        if name == "tokenizer_kwargs":
            options = value if isinstance(value, Mapping) else {"(not an object)": value}
            yield from (
                f"{section}.{name}.{option}"
                for option, given in options.items()
                if option not in TOKENIZER_OPTIONS or _holds_objects(given)
            )
        elif name not in known or (isinstance(value, Mapping) and any(map(_holds_objects, value.values()))):
            yield f"{section}.{name}"


def _holds_objects(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(map(_holds_objects, value)))
