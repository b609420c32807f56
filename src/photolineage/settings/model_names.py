"""The model names that open_clip knows. This does not import open_clip, which imports torch and takes seconds."""

import ast
import copy
import difflib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _open_clip_folder() -> Path:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("open_clip is not installed. Install it: pip install open_clip_torch")
    return Path(spec.submodule_search_locations[0])


@cache
def architectures() -> frozenset[str]:
    """The architectures of the installed open_clip: the names of its model configurations."""
    return frozenset(path.stem for path in (_open_clip_folder() / "model_configs").glob("*.json"))


@cache
def pretrained_tags() -> Mapping[str, frozenset[str]]:
    """The pretrained tags of each architecture. Runs the tables of open_clip's `pretrained.py` without its imports."""
    path = _open_clip_folder() / "pretrained.py"
    module = ast.parse(path.read_text())
    module.body = [
        statement for statement in module.body if isinstance(statement, ast.Assign | ast.For | ast.Expr)
    ]
    tables = _Tables(copy=copy)
    exec(compile(module, path, "exec"), {}, tables)  # noqa: S102 (open_clip runs it too when it loads a model)
    return {name: frozenset(tags) for name, tags in tables["_PRETRAINED"].items()}


class _Tables(dict[str, Any]):
    """The namespace of `pretrained.py`. Each function that makes an entry, e.g. `_pcfg`, returns its keywords."""

    def __missing__(self, name: str) -> Callable[..., dict[str, Any]]:
        return lambda **keywords: keywords


def closest(name: str, valid: Iterable[str]) -> str:
    """The valid names closest to a wrong one, for an error message."""
    names = sorted(valid)
    folded = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), folded, n=5, cutoff=0.5)
    if near:
        return "closest: " + ", ".join(folded[match] for match in near)
    return "valid: " + ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
