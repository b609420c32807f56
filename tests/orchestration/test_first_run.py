"""What a new library shows: what to do first, in one sentence, and no traceback."""

import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest
from dagster import AssetKey, Definitions, ExecuteInProcessResult

from assets.orchestration.build import build_definitions
from assets.orchestration.partitions import model_shard_key
from photolineage.settings import CONFIG_VARIABLE, load_settings
from resources.own_server import OWN_SERVER_VARIABLE
from tests.lineage import Lineage, failure_of, open_lineage, write_configuration
from workloads import REPOSITORY_ROOT


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
    first = f"**First: no folder of photos is configured. Add a section `[sources.<key>]` to `{config}`, "
    assert described(definitions, "source_files").startswith(first)
    assert "**First" not in described(definitions, "image_embeddings")
    Definitions.validate_loadable(definitions)


def test_without_a_model_the_first_step_is_to_add_one(tmp_path: Path) -> None:
    config = write_configuration(tmp_path, {})
    definitions = build_definitions(load_settings(config))
    for asset in ("image_embeddings", "vector_index", "image_events", "model_comparison", "serving_model"):
        first = f"**First: no model is configured. Add a section `[models.<key>]` to `{config}`, "
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
    assert "The catalog has no tables yet. Materialize catalog_schema" in failure_of(result)
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


@pytest.mark.parametrize(
    ("without", "asset", "partition", "message"),
    [
        (
            "sources",
            "source_files",
            "add-a-source",
            "No folder of photos is configured. Add a section `[sources.<key>]` to",
        ),
        (
            "models",
            "vector_index",
            "add-a-model",
            "No model is configured. Add a section `[models.<key>]` to",
        ),
    ],
)
def test_what_is_not_configured_has_one_partition_that_says_what_to_add(
    tmp_path: Path, tiny_models: Mapping[str, Path], without: str, asset: str, partition: str, message: str
) -> None:
    config = write_configuration(tmp_path, tiny_models if without == "sources" else {})
    if without == "sources":
        config.write_text(
            config.read_text().replace("[sources.photos]\nroot = 'photos'\nremovable = true\n", "")
        )
    with open_lineage(config) as lineage:
        partitions = lineage.definitions.resolve_asset_graph().get(AssetKey(asset)).partitions_def
        assert partitions is not None
        assert list(partitions.get_partition_keys()) == [partition]
        lineage.must_materialize("catalog_schema")
        result = lineage.materialize(asset, partition)
    assert message in failure_of(result)
    assert is_a_message(result)


def load_code_location(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The partitions of shards after the code location was loaded as under `photolineage ui`."""
    monkeypatch.setenv("DAGSTER_HOME", str(lineage.library.settings.dagster_home))
    monkeypatch.setenv(CONFIG_VARIABLE, str(lineage.config_file))
    runpy.run_path(str(REPOSITORY_ROOT / "definitions.py"))
    return lineage.shards


def test_a_source_has_its_first_shard_until_the_scan_knows_better(
    new_lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = new_lineage.config_file.read_text()
    empty = new_lineage.library.root.with_name("empty")
    empty.mkdir()
    assert load_code_location(new_lineage, monkeypatch) == ["photos-00000"]

    new_lineage.config_file.write_text(f"{text}[sources.empty]\nroot = 'empty'\n")
    assert load_code_location(new_lineage, monkeypatch) == ["photos-00000", "empty-00000"]
    with open_lineage(new_lineage.config_file) as lineage:
        lineage.must_materialize("catalog_schema")
        lineage.must_materialize("source_files", "photos")
        of_photos = [f"photos-0000{number}" for number in range(3)]
        assert sorted(lineage.shards) == ["empty-00000", *of_photos]
        assert load_code_location(lineage, monkeypatch) == lineage.shards
        lineage.must_materialize("source_files", "empty")
        assert lineage.shards == of_photos


def test_a_server_of_somebody_else_gets_no_partitions(
    new_lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(OWN_SERVER_VARIABLE)
    assert load_code_location(new_lineage, monkeypatch) == []


def test_texts_that_dagster_does_not_render_are_plain(new_lineage: Lineage) -> None:
    repository = new_lineage.definitions.get_repository_def()
    texts = [str(sensor.description) for sensor in repository.sensor_defs]
    texts += [str(schedule.description) for schedule in repository.schedule_defs]
    assert len(texts) >= 7
    assert [text for text in texts if "**" in text or "`" in text] == []
