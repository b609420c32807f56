"""The names that open_clip knows, without importing it: importing open_clip imports torch (seconds)."""

import ast
import difflib
import importlib.util
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path


@cache
def _open_clip_folder() -> Path:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("open_clip is not installed: pip install open_clip_torch")
    return Path(spec.submodule_search_locations[0])


@cache
def architectures() -> frozenset[str]:
    """The architectures of the installed open_clip: the names of its model configurations."""
    return frozenset(path.stem for path in (_open_clip_folder() / "model_configs").glob("*.json"))


@cache
def pretrained_tags() -> Mapping[str, frozenset[str]]:
    """The pretrained tags of each architecture, as open_clip's own table names them."""
    module = ast.parse((_open_clip_folder() / "pretrained.py").read_text())
    assigned = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    table = _entries(assigned["_PRETRAINED"], assigned)
    tags = {name: _entries(value, assigned) for name, value in table.items()}
    quick_gelu = {
        f"{name}-quickgelu": {tag: value for tag, value in entries.items() if _is_quick_gelu(value)}
        for name, entries in tags.items()
    }
    derived = {name: entries for name, entries in quick_gelu.items() if entries}
    return {name: frozenset(entries) for name, entries in (tags | derived).items()}


def _entries(node: ast.expr, assigned: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    if isinstance(node, ast.Name):
        return _entries(assigned[node.id], assigned)
    if isinstance(node, ast.Call):
        return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    assert isinstance(node, ast.Dict)
    return {
        str(ast.literal_eval(key)): value for key, value in zip(node.keys, node.values, strict=True) if key
    }


def _is_quick_gelu(node: ast.expr) -> bool:
    """open_clip lists the weights trained with QuickGELU once more, under `<architecture>-quickgelu`."""
    flags = {keyword.arg: keyword.value for keyword in getattr(node, "keywords", ())}
    return "quick_gelu" in flags and bool(ast.literal_eval(flags["quick_gelu"]))


def closest(name: str, valid: Iterable[str]) -> str:
    """The valid names nearest to a wrong one, for an error message."""
    names = sorted(valid)
    folded = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), folded, n=5, cutoff=0.5)
    if near:
        return "closest: " + ", ".join(folded[match] for match in near)
    return "valid: " + ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
