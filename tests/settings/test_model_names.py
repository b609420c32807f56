"""The model names that are found without importing open_clip are the names of open_clip."""

import subprocess
import sys
from pathlib import Path

from photolineage.settings.model_names import architectures, closest, pretrained_tags

ROOT = Path(__file__).parents[2]


def test_the_architectures_are_those_of_open_clip() -> None:
    import open_clip

    assert architectures() == frozenset(open_clip.list_models())


def test_the_tags_are_those_of_open_clip() -> None:
    import open_clip

    expected: dict[str, set[str]] = {}
    for architecture, tag in open_clip.list_pretrained():
        expected.setdefault(architecture, set()).add(tag)
    assert {name: set(tags) for name, tags in pretrained_tags().items() if tags} == expected


def test_naming_models_loads_neither_torch_nor_open_clip() -> None:
    code = (
        "import sys; from photolineage.settings.model_names import architectures, pretrained_tags; architectures(); "
        "pretrained_tags(); print(sorted({'torch', 'open_clip'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_the_closest_names_do_not_depend_on_case() -> None:
    assert closest("vit-b-32", ["ViT-B-32", "RN50"]) == "closest: ViT-B-32"


def test_without_a_close_name_the_valid_names_are_listed() -> None:
    assert closest("zzz", ["RN50", "RN101"]) == "valid: RN101, RN50"
    assert closest("zzz", [f"RN{number:02}" for number in range(40)]).endswith("RN29, …")
