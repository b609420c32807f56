"""The job `refresh_stale` launches one backfill of exactly what is stale and what depends on it."""

from typing import Any

import pytest
from dagster import AssetKey

from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.refresh import plan_refresh
from photolineage.upgrade.retire import ModelStores
from tests.library import Library, draw_photo, touch
from tests.lineage import Lineage

SHARD = "photos-00002"


def plan(
    library: Library, *, missing: bool = False, sources: tuple[str, ...] = ("photos",)
) -> dict[str, Any]:
    models = list(library.settings.models)
    with library.engine.connect() as connection:
        lost = find_lost_files(connection, library.files, library.indexes, models)
        planned = plan_refresh(connection, sources, models, lost, missing=missing)
    return {step.name: subjects for step, subjects in planned.items()}


def change(library: Library) -> None:
    draw_photo(library.root / "2024/05.jpg", 100)
    touch(library.root / "2024/05.jpg")
    library.scan()


def refresh(lineage: Lineage, **config: bool) -> Any:
    """The backfills that the instance has after the job."""
    result = lineage.definitions.resolve_job_def("refresh_stale").execute_in_process(
        instance=lineage.instance, run_config=config
    )
    assert result.success
    return lineage.instance.get_backfills()


def test_a_backfill_has_what_is_stale_and_what_depends_on_it(lineage: Lineage) -> None:
    assert plan(lineage.library) == {}
    assert refresh(lineage) == []
    change(lineage.library)
    expected = {
        "registered_images": [SHARD],
        "image_embeddings": [f"tiny-a|{SHARD}"],
        "vector_index": ["tiny-a"],
        "image_events": ["tiny-a"],
    }
    assert plan(lineage.library) == expected
    assert plan(lineage.library, sources=()) == {}
    (backfill,) = refresh(lineage)
    target = backfill.asset_backfill_data.target_subset
    found = {
        key.to_user_string(): sorted(target.get_partitions_subset(key).get_partition_keys())
        for key in target.asset_keys
    }
    assert found == expected
    assert AssetKey("source_files") not in target.asset_keys
    assert refresh(lineage) == [backfill], "the first one goes on"


def test_a_source_that_nobody_has_scanned_for_days_is_scanned(lineage: Lineage) -> None:
    lineage.execute("UPDATE source SET scanned_at = '2020-01-01 00:00:00'")
    assert plan(lineage.library) == {"source_files": ["photos"]}
    assert plan(lineage.library, sources=()) == {}, "its disk is away"
    (backfill,) = refresh(lineage)
    assert backfill.asset_backfill_data.target_subset.asset_keys == {AssetKey("source_files")}


def test_what_was_never_materialized_is_included_on_request(library: Library) -> None:
    library.build()
    change(library)
    draw_photo(library.root / "2025/00.jpg", 200)
    library.scan()
    assert "tiny-b|photos-00000" not in plan(library)["image_embeddings"]
    both = plan(library, missing=True)
    assert both["registered_images"] == [SHARD]
    assert f"tiny-b|{SHARD}" in both["image_embeddings"]
    assert f"tiny-a|{SHARD}" in both["image_embeddings"]
    assert both["vector_index"] == ["tiny-a", "tiny-b"]
    assert both["image_events"] == ["tiny-a", "tiny-b"]


@pytest.mark.parametrize("step", ["image_embeddings", "vector_index"])
def test_lost_files_are_stale(library: Library, step: str) -> None:
    library.build()
    if step == "image_embeddings":
        min((library.settings.home / library.embeddings.folder("tiny-a", SHARD)).iterdir()).unlink()
    else:
        ModelStores(library.files, library.indexes).remove_index("tiny-a")
    assert next(iter(plan(library))) == step
