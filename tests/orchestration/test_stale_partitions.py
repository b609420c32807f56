"""The sensor: it asks for exactly what is stale, once for each version, and names new shards."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from dagster import RunRequest

from assets.orchestration import stale_partitions
from assets.orchestration.partitions import model_shard_key
from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from tests.library import draw_photo, touch
from tests.lineage import Lineage, copy_library, metadata_of, open_lineage
from tests.orchestration.sensor_ticks import begin, partitions_of, tick


def evaluate(lineage: Lineage) -> tuple[list[tuple[str, str]], list[str], str | None]:
    """Asset and partition that a first tick asks for, the run keys, and the reason of a skip."""
    data = tick(lineage)
    requests = data.run_requests or []
    return (
        [
            (str(request.job_name).removeprefix("materialize_"), partition)
            for request in requests
            for partition in partitions_of(lineage, request)
        ],
        [str(request.run_key) for request in requests],
        data.skip_message,
    )


def asked(lineage: Lineage) -> list[tuple[str, str]]:
    return evaluate(lineage)[0]


def scanned_long_ago(lineage: Lineage) -> None:
    lineage.execute("UPDATE source SET scanned_at = '2020-01-01 00:00:00.000000'")


def test_a_missing_catalog_is_a_reason(new_lineage: Lineage) -> None:
    requests, _, reason = evaluate(new_lineage)
    assert requests == []
    assert reason is not None
    assert "has no tables yet. Materialize catalog_schema" in reason


def test_from_an_empty_catalog_to_events(new_lineage: Lineage) -> None:
    new_lineage.materialize("catalog_schema")
    steps = []
    while requests := asked(new_lineage):
        steps.append(requests)
        for asset, partition in requests:
            assert new_lineage.materialize(asset, partition).success
        assert len(steps) < 10

    shards = ["photos-00000", "photos-00001", "photos-00002"]
    pairs = [str(model_shard_key(model, shard)) for model in ("tiny-a", "tiny-b") for shard in shards]
    assert steps == [
        [("source_files", "photos")],
        [("registered_images", shard) for shard in shards],
        [("image_embeddings", pair) for pair in pairs],
        [("vector_index", "tiny-a"), ("vector_index", "tiny-b")],
        [("image_events", "tiny-a"), ("image_events", "tiny-b")],
    ]
    assert evaluate(new_lineage)[2] == "Everything is up to date."


def test_a_new_model_is_a_backfill_of_it_alone(lineage: Lineage) -> None:
    assert asked(lineage) == [("image_embeddings", f"tiny-b|{shard}") for shard in lineage.shards]


def test_the_same_state_has_the_same_run_keys(lineage: Lineage) -> None:
    first, second = evaluate(lineage)[1], evaluate(lineage)[1]
    assert first == second
    assert len(set(first)) == 1


def test_a_changed_file_makes_its_shard_stale_and_nothing_else(lineage: Lineage) -> None:
    for shard in lineage.shards:
        lineage.materialize_embeddings("tiny-b", shard)
    former_keys = set(evaluate(lineage)[1])
    touch(lineage.library.root / "2024/05.jpg")
    lineage.materialize("source_files", "photos")

    requests, keys, _ = evaluate(lineage)

    assert requests == [("registered_images", "photos-00002")]
    assert keys == ["registered_images:photos-00002:2"]
    assert not set(keys) & former_keys


def test_a_registered_change_is_embedded_by_every_model(lineage: Lineage) -> None:
    touch(lineage.library.root / "2024/05.jpg")
    lineage.materialize("source_files", "photos")
    lineage.materialize("registered_images", "photos-00002")

    assert ("image_embeddings", "tiny-a|photos-00002") in asked(lineage)
    lineage.materialize_embeddings("tiny-a", "photos-00002")
    requests = asked(lineage)
    assert ("image_embeddings", "tiny-a|photos-00002") not in requests
    assert ("vector_index", "tiny-a") in requests
    lineage.materialize("vector_index", "tiny-a")
    assert ("image_events", "tiny-a") in asked(lineage)


def test_a_new_shard_becomes_a_partition(lineage: Lineage) -> None:
    for number in range(5):
        draw_photo(lineage.library.root / f"2025/{number:02}.jpg", 500 + number)
    scan = lineage.library.scan()  # a scan that Dagster knows nothing of
    assert scan.new == 5
    assert lineage.shards == ["photos-00000", "photos-00001", "photos-00002"]

    requests = asked(lineage)

    assert requests[:2] == [("registered_images", "photos-00002"), ("registered_images", "photos-00003")]
    assert lineage.shards == ["photos-00000", "photos-00001", "photos-00002", "photos-00003"]


def test_a_source_is_scanned_again_after_its_interval(lineage: Lineage) -> None:
    assert ("source_files", "photos") not in asked(lineage)
    scanned_long_ago(lineage)
    assert asked(lineage)[0] == ("source_files", "photos")


def test_a_copy_of_an_old_library_is_not_due(lineage: Lineage, tmp_path: Path) -> None:
    scanned_long_ago(lineage)
    with open_lineage(copy_library(lineage.config_file.parent, tmp_path / "copy")) as copy:
        assert ("source_files", "photos") not in asked(copy)


@pytest.mark.parametrize("mount_point", ["gone", "empty"])
def test_an_unplugged_source_is_not_asked_for(lineage: Lineage, mount_point: str) -> None:
    touch(lineage.library.root / "2024/05.jpg")
    lineage.materialize("source_files", "photos")
    assert ("registered_images", "photos-00002") in asked(lineage)
    scanned_long_ago(lineage)
    shutil.move(lineage.library.root, lineage.library.root.with_name("unplugged"))
    if mount_point == "empty":
        lineage.library.root.mkdir()
    assert {asset for asset, _ in asked(lineage)}.isdisjoint({"source_files", "registered_images"})


def request_of(lineage: Lineage, asset: str) -> RunRequest | None:
    """The one that a first tick makes for an asset's partitions."""
    requests = [
        request for request in tick(lineage).run_requests or [] if request.job_name == f"materialize_{asset}"
    ]
    assert len(requests) <= 1
    return requests[0] if requests else None


def must_request(lineage: Lineage, asset: str) -> RunRequest:
    request = request_of(lineage, asset)
    assert request is not None
    return request


def test_a_shard_whose_disk_was_unplugged_is_asked_for_again_when_it_is_back(lineage: Lineage) -> None:
    root, unplugged = lineage.library.root, lineage.library.root.with_name("unplugged")
    touch(root / "2024/05.jpg")
    lineage.materialize("source_files", "photos")
    first = must_request(lineage, "registered_images")
    assert first.run_key == "registered_images:photos-00002:2"
    root.rename(unplugged)
    failed = lineage.materialize("registered_images", "photos-00002", tags=first.tags)
    assert not failed.success
    unplugged.rename(root)
    assert request_of(lineage, "registered_images") is None, "nothing new is known before the next scan"
    lineage.materialize("source_files", "photos")

    again = must_request(lineage, "registered_images")

    assert again.run_key == f"registered_images:photos-00002:2:after-{failed.run_id}"
    assert must_request(lineage, "registered_images").run_key == again.run_key
    root.rename(unplugged)
    failed = lineage.materialize("registered_images", "photos-00002", tags=again.tags)
    unplugged.rename(root)
    lineage.materialize("source_files", "photos")
    assert request_of(lineage, "registered_images") is None, "each time it waits twice as long"
    requests = tick(lineage, rescan_minutes=0).run_requests or []
    assert f"{first.run_key}:after-{failed.run_id}" in [request.run_key for request in requests]
    lineage.materialize("registered_images", "photos-00002", tags=again.tags)
    assert request_of(lineage, "registered_images") is None


def test_what_fails_before_it_is_a_job_is_asked_for_again_as_well(lineage: Lineage) -> None:
    """Another run holds the lease: nightly maintenance, say."""
    shutil.rmtree(lineage.home / "index/tiny-a.lance")
    request = must_request(lineage, "vector_index")
    lease = acquire_lease(
        lineage.library.engine, JobKind.INDEX, "tiny-a", run_id="maintenance", input_version="1",
        timeout=timedelta(minutes=5),
    )  # fmt: skip
    refused = lineage.materialize("vector_index", "tiny-a", tags=request.tags)
    assert not refused.success
    lease.finish(JobState.INTERRUPTED)
    assert request_of(lineage, "vector_index") is None
    lineage.materialize("source_files", "photos")

    again = must_request(lineage, "vector_index")

    assert again.run_key == f"{request.run_key}:after-{refused.run_id}"
    assert lineage.materialize("vector_index", "tiny-a", tags=again.tags).success
    assert request_of(lineage, "vector_index") is None


def test_what_is_under_way_is_not_asked_for_again(lineage: Lineage) -> None:
    """A scan that waits behind a long queue is one scan, however often its time comes."""
    scanned_long_ago(lineage)
    run = begin(lineage, must_request(lineage, "source_files"))
    assert request_of(lineage, "source_files") is None
    lineage.instance.report_run_failed(run)
    assert request_of(lineage, "source_files") is None, "it is not due again"


@pytest.mark.parametrize("asset", ["source_files", "registered_images"])
def test_what_was_canceled_waits_for_its_inputs_to_change_and_a_scan_for_its_time(
    lineage: Lineage, asset: str
) -> None:
    touch(lineage.library.root / "2024/05.jpg")
    lineage.materialize("source_files", "photos")
    scanned_long_ago(lineage)
    run = begin(lineage, must_request(lineage, asset))
    lineage.instance.report_run_canceled(run)
    assert request_of(lineage, asset) is None
    if asset == "source_files":
        (again,) = (one for one in tick(lineage, rescan_minutes=0).run_requests or [] if one.tags == run.tags)
        assert again.run_key == f"source_files:photos:2020-01-01T00:00:00+00:00:after-{run.run_id}"
    else:
        lineage.materialize("source_files", "photos")
        assert request_of(lineage, asset) is None


def test_a_lost_checkpoint_is_made_again_and_nothing_else(lineage: Lineage) -> None:
    for shard in lineage.shards:
        assert lineage.materialize_embeddings("tiny-b", shard).success
    lineage.must_materialize("vector_index", "tiny-b")
    lineage.must_materialize("image_events", "tiny-b")
    assert asked(lineage) == []
    min((lineage.home / "embeddings/tiny-b/photos-00001").iterdir()).unlink()

    failed = lineage.run_check("image_embeddings", "embedding_files", "tiny-b|photos-00001")
    assert not failed.passed
    assert "Materialize the partition tiny-b|photos-00001 of image_embeddings again." in str(
        failed.metadata["problems"].value
    )
    assert asked(lineage) == [("image_embeddings", "tiny-b|photos-00001")]

    again = lineage.materialize_embeddings("tiny-b", "photos-00001")

    assert (metadata_of(again)["embedded_now"], metadata_of(again)["lost_files"]) == (4, 1)
    assert lineage.checks_of(again)["embedding_files"].passed
    for asset in ("vector_index", "image_events"):
        assert asked(lineage) == [(asset, "tiny-b")]
        lineage.must_materialize(asset, "tiny-b")
    assert evaluate(lineage)[2] == "Everything is up to date."


def test_new_photos_in_the_middle_of_an_upgrade_are_embedded_by_both_models(lineage: Lineage) -> None:
    lineage.must_materialize("image_embeddings", model_shard_key("tiny-b", "photos-00000"))
    draw_photo(lineage.library.root / "2025/00.jpg", 500)
    lineage.must_materialize("source_files", "photos")
    lineage.must_materialize("registered_images", "photos-00002")

    requests = asked(lineage)

    assert requests == [
        ("image_embeddings", "tiny-a|photos-00002"),
        ("image_embeddings", "tiny-b|photos-00001"),
        ("image_embeddings", "tiny-b|photos-00002"),
    ]
    for asset, partition in requests:
        lineage.must_materialize(asset, partition)
    assert [lineage.library.live(model).missing for model in ("tiny-a", "tiny-b")] == [0, 0]
    assert [len(lineage.library.live(model).rows) for model in ("tiny-a", "tiny-b")] == [27, 27]


@pytest.mark.parametrize(("limit", "size"), [("PARTITIONS_PER_TICK", 8), ("RUNS_PER_TICK", 1)])
def test_more_than_a_tick_may_ask_for_is_asked_for_in_turn(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch, limit: str, size: int
) -> None:
    """Three shards of two models, and the scan of the source: two at a time."""
    monkeypatch.setattr(stale_partitions, limit, 2)
    scanned_long_ago(lineage)
    lineage.execute("UPDATE ml_job SET input_version = 'older' WHERE kind = 'embed'")
    cursor, asked_for = None, []
    for _ in range(7):
        data = tick(lineage, cursor, partitions_per_run=size)
        cursor = data.cursor
        asked_for.append(
            [key for request in data.run_requests or [] for key in partitions_of(lineage, request)]
        )
    everything = [
        "photos",
        *(f"tiny-{model}|photos-0000{shard}" for model in "ab" for shard in range(3)),
    ]
    assert [key for keys in asked_for for key in keys] == 2 * everything


def test_a_lost_index_is_built_again_and_nothing_else_each_time(lineage: Lineage) -> None:
    keys = set()
    for _ in range(2):
        shutil.rmtree(lineage.home / "index")
        keys.add(must_request(lineage, "vector_index").run_key)
        lineage.must_materialize("vector_index", "tiny-a")
        assert not [request for request in asked(lineage) if request[1] == "tiny-a"]
    assert len(keys) == 2
