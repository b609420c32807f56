"""The tags by which the deployment limits runs, and the limits that it sets."""

import pytest
from dagster import AssetKey, DagsterRun

from assets.orchestration.run_queue import LineageRunCoordinator, queue_tags
from tests.lineage import Lineage

MODEL, SOURCE, DEVICE = "photolineage/model", "photolineage/source", "photolineage/device"


@pytest.mark.parametrize(
    ("asset", "partition", "tags"),
    [
        ("source_files", "holiday-2024", {SOURCE: "holiday-2024"}),
        ("registered_images", "holiday-2024-00012", {SOURCE: "holiday-2024"}),
        ("image_embeddings", "vit-b-32|holiday-2024-00012", {MODEL: "vit-b-32", DEVICE: "local"}),
        ("vector_index", "vit-b-32", {MODEL: "vit-b-32"}),
        ("image_events", "vit-b-32", {MODEL: "vit-b-32"}),
    ],
)
def test_a_run_is_known_by_what_it_works_on(asset: str, partition: str, tags: dict[str, str]) -> None:
    of_a_page = DagsterRun(
        job_name="__ASSET_JOB",
        asset_selection={AssetKey(asset)},
        tags={"dagster/partition": partition},
    )
    of_a_sensor = DagsterRun(job_name=f"materialize_{asset}", tags={"dagster/partition": partition})
    of_a_backfill = DagsterRun(
        job_name="__ASSET_JOB",
        asset_selection={AssetKey(asset)},
        tags={
            "dagster/asset_partition_range_start": partition,
            "dagster/asset_partition_range_end": f"{partition}9",
        },
    )
    assert queue_tags(of_a_page) == queue_tags(of_a_sensor) == queue_tags(of_a_backfill) == tags


def test_what_has_no_partition_is_not_limited_by_one() -> None:
    assert queue_tags(DagsterRun(job_name="materialize_catalog_schema")) == {}
    assert queue_tags(DagsterRun(job_name="check_contract")) == {}


def test_the_deployment_limits_by_model_source_and_device(new_lineage: Lineage) -> None:
    coordinator = new_lineage.instance.run_coordinator
    assert isinstance(coordinator, LineageRunCoordinator)
    assert coordinator.dequeue_interval_seconds == 1
    queue = new_lineage.instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 2
    assert {limit["key"]: limit["limit"] for limit in queue.tag_concurrency_limits} == {
        MODEL: 1,
        SOURCE: 1,
        DEVICE: 1,
    }


def test_the_deployment_says_nothing_to_others_and_keeps_no_tick_for_ever(new_lineage: Lineage) -> None:
    instance = new_lineage.instance
    assert instance.telemetry_enabled is False
    assert instance.run_retries_enabled
    assert instance.run_monitoring_enabled
    for kind in ("sensor", "schedule"):
        kept = instance.get_settings("retention")[kind]["purge_after_days"]
        assert all(0 < days <= 60 for days in kept.values())
        assert set(kept) == {"skipped", "success", "failure", "started"}
