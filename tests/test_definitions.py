"""The code location: what loading it costs, what it shows, and what stops it."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from dagster import AssetKey, Definitions

from photolineage.settings import CONFIG_VARIABLE, ConfigurationError
from tests.lineage import Lineage, write_configuration
from workloads import REPOSITORY_ROOT

LINEAGE = {
    "catalog_schema": set(),
    "source_files": {"catalog_schema"},
    "registered_images": {"source_files"},
    "image_embeddings": {"registered_images"},
    "vector_index": {"image_embeddings"},
    "image_events": {"vector_index"},
    "model_comparison": {"vector_index"},
    "serving_model": {"vector_index"},
}
HEAVY = {
    "torch", "torchvision", "open_clip", "transformers", "onnxruntime", "openvino", "lancedb", "pyarrow", "duckdb",
    "numpy", "PIL", "rawpy", "alembic", "timezonefinder", "reverse_geocode", "photolineage.steps.embed",
    "photolineage.contract.comparison",
}  # fmt: skip


@pytest.fixture
def definitions(new_lineage: Lineage) -> Definitions:
    return new_lineage.definitions


def test_loading_imports_nothing_heavy(new_lineage: Lineage) -> None:
    code = "import definitions, json, sys; print(json.dumps(sorted(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY_ROOT,
        env=os.environ | {CONFIG_VARIABLE: str(new_lineage.config_file)},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(json.loads(loaded.stdout))
    assert "assets.image_embeddings" in modules
    assert modules & HEAVY == set()


def test_the_lineage_is_in_the_order_of_the_design(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert found == LINEAGE
    assert [key.to_user_string() for key in graph.toposorted_asset_keys][:5] == list(LINEAGE)[:5]


@pytest.mark.parametrize("asset", LINEAGE)
def test_every_asset_says_what_it_is(definitions: Definitions, asset: str) -> None:
    node = definitions.resolve_asset_graph().get(AssetKey(asset))
    assert node.description is not None
    assert len(node.description) > 40
    assert node.group_name == "photolineage"
    assert node.owners == ["team:photolineage"]
    assert "**Needs** " in node.description
    assert "**Next:** " in node.description
    assert len(node.kinds) >= 1


def test_partitions_follow_the_configuration(new_lineage: Lineage) -> None:
    graph = new_lineage.definitions.resolve_asset_graph()
    new_lineage.instance.add_dynamic_partitions("shard", ["photos-00000"])

    def keys(asset: str) -> list[str]:
        partitions = graph.get(AssetKey(asset)).partitions_def
        assert partitions is not None
        return list(partitions.get_partition_keys(dynamic_partitions_store=new_lineage.instance))

    assert keys("source_files") == ["photos"]
    assert keys("registered_images") == ["photos-00000"]
    assert keys("image_embeddings") == ["tiny-a|photos-00000", "tiny-b|photos-00000"]
    for asset in ("vector_index", "image_events", "model_comparison"):
        assert keys(asset) == ["tiny-a", "tiny-b"]


def test_every_writing_asset_holds_itself_against_the_contract(definitions: Definitions) -> None:
    checks = definitions.resolve_asset_graph().asset_check_keys
    guarded = {key.asset_key.to_user_string() for key in checks if key.name == "catalog_contract"}
    assert guarded == LINEAGE.keys() - {"catalog_schema"}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("shard_capacity = 0\n", "shard_capacity = 0"),
        ("no_such_setting = 1\n", "no_such_setting: no such setting"),
        ("catalog.url = 'oracle'\n", "catalog.url = 'oracle'"),
        ("[models.Upper]\narchitecture = 'ViT-B-32'\n", "models.Upper"),
        ("[models.typo]\narchitecture = 'ViT-B-23'\npretrained = 'openai'\n", "ViT-B-32"),
        ("[models.typo]\narchitecture = 'ViT-B-32'\npretrained = 'laion2b_s34b'\n", "laion2b_s34b_b79k"),
        ("[models.gone]\narchitecture = 'local-dir:nowhere'\n", "nowhere/open_clip_config.json"),
        ("[sources.gone]\nroot = 'nowhere'\n", "sources.gone.root"),
    ],
)
def test_a_wrong_configuration_stops_at_load(
    tmp_path: Path,
    tiny_models: Mapping[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    extra: str,
    message: str,
) -> None:
    config = write_configuration(tmp_path, tiny_models)
    text = config.read_text()
    if extra.startswith("["):
        config.write_text(text + extra)
    else:
        config.write_text(extra + text.replace("shard_capacity = 10\n", ""))
    monkeypatch.setenv(CONFIG_VARIABLE, str(config))

    with pytest.raises(ConfigurationError) as stopped:
        runpy.run_path(str(REPOSITORY_ROOT / "definitions.py"))

    assert message in str(stopped.value)
    assert str(config) in str(stopped.value)
