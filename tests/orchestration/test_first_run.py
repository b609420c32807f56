"""What a new library shows: what to do first, in one sentence, and no traceback."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from dagster import AssetKey, Definitions, ExecuteInProcessResult

from assets.orchestration.build import build_definitions
from assets.orchestration.partitions import model_shard_key
from photolineage.settings import load_settings
from tests.lineage import Lineage, failure_of, write_configuration


def described(definitions: Definitions, asset: str) -> str:
    return str(definitions.resolve_asset_graph().get(AssetKey(asset)).description)


def is_a_message(result: ExecuteInProcessResult) -> bool:
    """Whether the run failed with a description, which the UI shows instead of a traceback."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    return failed.step_failure_data.user_failure_data is not None


def test_without_a_source_the_first_step_is_to_add_one(
    tmp_path: Path, tiny_models: Mapping[str, Path]
) -> None:
    config = write_configuration(tmp_path, tiny_models)
    config.write_text(config.read_text().replace("[sources.photos]\nroot = 'photos'\nremovable = true\n", ""))
    definitions = build_definitions(load_settings(config))
    first = f"**First: no folder of photos is configured. Add a [sources.<key>] section to {config}, "
    assert described(definitions, "source_files").startswith(first)
    assert "**First" not in described(definitions, "image_embeddings")
    Definitions.validate_loadable(definitions)


def test_without_a_model_the_first_step_is_to_add_one(tmp_path: Path) -> None:
    config = write_configuration(tmp_path, {})
    definitions = build_definitions(load_settings(config))
    for asset in ("image_embeddings", "vector_index", "image_events", "model_comparison", "serving_model"):
        first = f"**First: no model is configured. Add a [models.<key>] section to {config}, "
        assert described(definitions, asset).startswith(first)
    assert "**First" not in described(definitions, "source_files")
    Definitions.validate_loadable(definitions)


def test_a_configured_library_has_no_first_step(new_lineage: Lineage) -> None:
    Definitions.validate_loadable(new_lineage.definitions)
    graph = new_lineage.definitions.resolve_asset_graph()
    texts = [str(graph.get(key).description) for key in graph.get_all_asset_keys()]
    assert len(texts) >= 7
    assert [text for text in texts if "**First" in text] == []


@pytest.mark.parametrize(
    ("asset", "partition"),
    [
        ("source_files", "photos"),
        ("vector_index", "tiny-a"),
        ("image_events", "tiny-a"),
        ("serving_model", None),
    ],
)
def test_without_a_catalog_every_asset_names_the_first_one(
    new_lineage: Lineage, asset: str, partition: str | None
) -> None:
    result = new_lineage.materialize(asset, partition)
    assert "For a new catalog, materialize catalog_schema first." in failure_of(result)
    assert is_a_message(result)


@pytest.mark.parametrize(
    ("asset", "partition", "message"),
    [
        ("vector_index", "tiny-a", "Materialize image_embeddings for it first."),
        ("image_events", "tiny-a", "Materialize image_embeddings for it first."),
        ("serving_model", None, "materialize image_embeddings first."),
    ],
)
def test_what_comes_too_early_names_what_comes_before(
    new_lineage: Lineage, asset: str, partition: str | None, message: str
) -> None:
    new_lineage.must_materialize("catalog_schema")
    result = new_lineage.materialize(asset, partition)
    assert message in failure_of(result)
    assert is_a_message(result)


def test_embedding_before_registering_names_what_comes_before(new_lineage: Lineage) -> None:
    new_lineage.must_materialize("catalog_schema")
    new_lineage.must_materialize("source_files", "photos")
    result = new_lineage.materialize("image_embeddings", model_shard_key("tiny-a", "photos-00000"))
    assert "Materialize registered_images for it first." in failure_of(result)
    assert is_a_message(result)


def test_an_unplugged_disk_is_a_message(lineage: Lineage) -> None:
    lineage.library.root.rename(lineage.library.root.with_name("unplugged"))
    result = lineage.materialize("source_files", "photos")
    assert str(lineage.library.root) in failure_of(result)
    assert is_a_message(result)
