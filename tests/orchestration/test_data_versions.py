"""Where Dagster's label "Unsynced" agrees with the check `up_to_date`, and what Dagster cannot see."""

from collections.abc import Mapping

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    BackfillPolicy,
    DagsterInstance,
    Definitions,
    MultiPartitionsDefinition,
    StaticPartitionsDefinition,
    asset,
    materialize,
)

from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.stale_reasons import find_outdated
from tests.command_line import as_json
from tests.dagster_internals import CachingStaleStatusResolver, LoadingContextForTest, StaleStatus
from tests.library import draw_photo, touch
from tests.lineage import Lineage, open_lineage

SHARDS = ["photos-00000", "photos-00001", "photos-00002"]
PARTITIONS = {
    "source_files": ["photos"],
    "registered_images": SHARDS,
    "image_embeddings": [f"tiny-a|{shard}" for shard in SHARDS],
    "vector_index": ["tiny-a"],
    "image_events": ["tiny-a"],
}


def unsynced(lineage: Lineage, partitions: Mapping[str, list[str]] = PARTITIONS) -> dict[str, list[str]]:
    """The partitions that Dagster labels as unsynced."""
    graph = lineage.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(lineage.instance, graph, LoadingContextForTest(lineage.instance))
    found = {
        name: [key for key in keys if resolver.get_status(AssetKey(name), key) is StaleStatus.STALE]
        for name, keys in partitions.items()
    }
    return {name: keys for name, keys in found.items() if keys}


def outdated(lineage: Lineage) -> dict[str, list[str]]:
    """The partitions that the checks `up_to_date` list."""
    library = lineage.library
    with library.engine.connect() as connection:
        lost = find_lost_files(connection, library.files, library.indexes, ["tiny-a"])
        found = find_outdated(connection, ["photos"], ["tiny-a"], lost)
    return {step.name: [one.partition for one in stale] for step, stale in found.items() if stale}


def test_what_was_made_again_from_the_same_inputs_makes_nothing_unsynced(lineage: Lineage) -> None:
    lineage.must_materialize("catalog_schema")
    lineage.must_materialize("source_files", "photos")
    lineage.must_materialize("registered_images", SHARDS[1])
    assert lineage.materialize("registered_images", partition_range=(SHARDS[0], SHARDS[2])).success
    assert lineage.materialize_embeddings("tiny-a", SHARDS[1]).success
    lineage.must_materialize("vector_index", "tiny-a")
    assert unsynced(lineage) == outdated(lineage) == {}


def test_the_label_agrees_after_each_step_but_the_scan(lineage: Lineage) -> None:
    draw_photo(lineage.library.root / "2024/05.jpg", 100)
    touch(lineage.library.root / "2024/05.jpg")
    lineage.must_materialize("source_files", "photos")
    assert outdated(lineage) == {"registered_images": [SHARDS[2]]}
    assert unsynced(lineage) == {}

    lineage.must_materialize("registered_images", SHARDS[2])
    assert unsynced(lineage) == outdated(lineage) == {"image_embeddings": [f"tiny-a|{SHARDS[2]}"]}
    keys = (f"tiny-a|{SHARDS[0]}", f"tiny-a|{SHARDS[2]}")
    assert lineage.materialize("image_embeddings", partition_range=keys).success
    assert unsynced(lineage) == outdated(lineage) == {"vector_index": ["tiny-a"]}
    lineage.must_materialize("vector_index", "tiny-a")
    assert unsynced(lineage) == outdated(lineage) == {"image_events": ["tiny-a"]}
    lineage.must_materialize("image_events", "tiny-a")
    assert unsynced(lineage) == outdated(lineage) == {}

    min((lineage.home / "embeddings/tiny-a" / SHARDS[1]).iterdir()).unlink()
    assert outdated(lineage) == {"image_embeddings": [f"tiny-a|{SHARDS[1]}"]}
    assert unsynced(lineage) == {}
    assert lineage.materialize_embeddings("tiny-a", SHARDS[1]).success
    assert unsynced(lineage) == outdated(lineage) == {"vector_index": ["tiny-a"]}


def test_a_renamed_source_is_not_unsynced(lineage: Lineage) -> None:
    text = lineage.config_file.read_text()
    lineage.config_file.write_text(text.replace("[sources.photos]", "[sources.holiday]"))
    as_json(lineage, "sources", "rename", "photos", "holiday")
    of_photos = {name: PARTITIONS[name] for name in ("source_files", "registered_images", "image_embeddings")}
    renamed = {name: [key.replace("photos", "holiday") for key in keys] for name, keys in of_photos.items()}
    with open_lineage(lineage.config_file) as reopened:
        for name, keys in renamed.items():
            assert set(keys) <= reopened.materialized_partitions(name)
        assert unsynced(reopened, renamed) == {}


@pytest.mark.parametrize(("shards", "seen"), [(99, StaleStatus.STALE), (100, StaleStatus.FRESH)])
def test_dagster_compares_fewer_than_a_hundred_inputs(shards: int, seen: StaleStatus) -> None:
    """If this fails, Dagster has changed: correct what docs/operations.md says about the label."""
    models = StaticPartitionsDefinition(["m"])
    numbers = StaticPartitionsDefinition([f"{number:03}" for number in range(shards)])
    pairs = MultiPartitionsDefinition({"model": models, "shard": numbers})

    @asset(partitions_def=pairs, backfill_policy=BackfillPolicy.single_run())
    def embeddings() -> None: ...

    @asset(partitions_def=models, deps=[embeddings])
    def index() -> None: ...

    def embed(key: str, version: str) -> None:
        tags = {"dagster/data_version": version}
        instance.report_runless_asset_event(AssetMaterialization("embeddings", partition=key, tags=tags))

    with DagsterInstance.ephemeral() as instance:
        for key in pairs.get_partition_keys():
            embed(key, "1")
        made = materialize([embeddings, index], selection="index", partition_key="m", instance=instance)
        assert made.success
        embed("m|003", "2")
        graph = Definitions([embeddings, index]).resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        assert resolver.get_status(AssetKey("index"), "m") is seen
