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

from photolineage.lineage import STEPS, PartitionedBy, Step
from photolineage.settings import CONFIG_VARIABLE, ConfigurationError
from tests.dagster_internals import partition_loading_context
from tests.lineage import Lineage, write_configuration
from workloads import REPOSITORY_ROOT

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


def test_dagster_has_the_steps_of_the_table_with_their_dependencies(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert found == {step.name: {upstream.name for upstream in step.reads} for step in STEPS}
    assert {job.name for job in definitions.resolve_all_job_defs()} >= {step.job_name for step in STEPS}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_asset_says_what_it_is(definitions: Definitions, step: Step) -> None:
    node = definitions.resolve_asset_graph().get(AssetKey(step.name))
    assert node.description is not None
    assert len(node.description) > 40
    assert node.group_name == step.group
    assert node.owners == ["team:photolineage"]
    assert "**Needs** " in node.description
    assert "**Next:** " in node.description
    assert node.kinds == step.kinds
    assert len(node.kinds) >= 1


PARTITIONS = {
    PartitionedBy.SOURCE: ["photos"],
    PartitionedBy.SHARD: ["photos-00000"],
    PartitionedBy.MODEL: ["tiny-a", "tiny-b"],
    PartitionedBy.MODEL_AND_SHARD: ["tiny-a|photos-00000", "tiny-b|photos-00000"],
}


def test_partitions_follow_the_table_and_the_configuration(new_lineage: Lineage) -> None:
    graph = new_lineage.definitions.resolve_asset_graph()
    new_lineage.instance.add_dynamic_partitions("shard", ["photos-00000"])
    found = {
        step.name: None
        if (partitions := graph.get(AssetKey(step.name)).partitions_def) is None
        else list(partitions.get_partition_keys(dynamic_partitions_store=new_lineage.instance))
        for step in STEPS
    }
    assert found == {step.name: PARTITIONS.get(step.partitioned_by) for step in STEPS}


def test_no_asset_is_in_one_run_with_an_asset_that_records_a_range(definitions: Definitions) -> None:
    """Dagster would skip it: a run of a range yields no output."""
    graph = definitions.resolve_asset_graph()
    together = [
        (parent.key.to_user_string(), node.key.to_user_string())
        for node in (graph.get(key) for key in graph.materializable_asset_keys)
        for parent in (graph.get(key) for key in node.parent_keys)
        if parent.backfill_policy is not None
        and node.partitions_def == parent.partitions_def
        and node.backfill_policy == parent.backfill_policy
    ]
    assert together == []


def test_the_parents_of_a_partition_are_those_that_it_is_made_from(new_lineage: Lineage) -> None:
    graph = new_lineage.definitions.resolve_asset_graph()
    new_lineage.instance.add_dynamic_partitions("shard", ["photos-00000", "photos-00001"])

    def parents(asset: str, key: str) -> set[str | None]:
        with partition_loading_context(dynamic_partitions_store=new_lineage.instance):
            found = graph.get_parents_partitions(AssetKey(asset), key).parent_partitions
        return {parent.partition_key for parent in found}

    assert parents("registered_images", "photos-00001") == {"photos"}
    assert parents("image_embeddings", "tiny-a|photos-00001") == {"photos-00001"}
    assert parents("vector_index", "tiny-a") == {"tiny-a|photos-00000", "tiny-a|photos-00001"}
    assert parents("image_events", "tiny-a") == {"tiny-a"}


def test_every_writing_asset_holds_itself_against_the_contract(definitions: Definitions) -> None:
    checks = definitions.resolve_asset_graph().asset_check_keys
    guarded = {key.asset_key.to_user_string() for key in checks if key.name == "catalog_contract"}
    assert guarded == {step.name for step in STEPS if step.tables} == {step.name for step in STEPS[1:-1]}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("shard_capacity = 0\n", "shard_capacity = 0"),
        ("no_such_setting = 1\n", "no_such_setting: no such setting"),
        ("catalog.url = 'oracle'\n", "catalog.url: not a valid URL of a database"),
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
