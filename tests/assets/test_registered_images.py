"""`registered_images`: each original read once, and what a person sees of it."""

from collections.abc import Iterator

import pytest

from assets.registered_images import LISTED_FAILURES
from photolineage.media import limit_decoding
from photolineage.media.decoding import DEFAULT_SECONDS
from resources.dagster_internals import PARENT_RUN_ID_TAG, RETRY_NUMBER_TAG
from tests.library import touch
from tests.lineage import Lineage, failure_of, metadata_of, open_lineage
from workloads.decompression_bombs import webp_of_one_color

COUNTS = ("registered", "unreadable", "duplicates", "read_now")


def counts(metadata: dict[str, object]) -> dict[str, object]:
    return {name: metadata[name] for name in COUNTS}


def test_a_shard_with_a_copy_and_an_unreadable_file(new_lineage: Lineage) -> None:
    new_lineage.materialize("catalog_schema")
    new_lineage.materialize("source_files", "photos")
    assert new_lineage.materialize("registered_images", "photos-00000").success

    registered = metadata_of(new_lineage.materialize("registered_images", "photos-00001"))

    assert counts(registered) == {"registered": 9, "unreadable": 1, "duplicates": 1, "read_now": 10}
    (failure,) = registered["failures"]
    assert failure["path"] == "2023/torn.jpg"
    assert failure["reason"] == "corrupt"
    assert failure["detail"]
    assert new_lineage.materialized_partitions("registered_images") == {"photos-00000", "photos-00001"}


@pytest.fixture
def _limits() -> Iterator[None]:
    yield
    limit_decoding(memory_bytes=None, seconds=DEFAULT_SECONDS)


@pytest.mark.usefixtures("_limits")
def test_the_configuration_limits_the_memory_for_decoding(lineage: Lineage) -> None:
    (lineage.library.root / "2023/01.jpg").write_bytes(webp_of_one_color(6_000, 6_000))
    with lineage.config_file.open("a") as file:
        file.write("[decoding]\nmemory_gb = 0.1\n")
    with open_lineage(lineage.config_file) as limited:
        limited.materialize("source_files", "photos")

        registered = metadata_of(limited.materialize("registered_images", "photos-00000"))

    assert counts(registered) == {"registered": 9, "unreadable": 1, "duplicates": 0, "read_now": 1}
    (failure,) = registered["failures"]
    assert failure["reason"] == "too_large"
    assert failure["detail"].startswith("needs 0.6 GB to decode, more than the limit of 0.2 GB")


def test_a_second_materialization_reads_nothing(lineage: Lineage) -> None:
    files = lineage.files()

    again = metadata_of(lineage.materialize("registered_images", "photos-00001"))

    assert counts(again) == {"registered": 9, "unreadable": 1, "duplicates": 1, "read_now": 0}
    assert lineage.files() == files


def test_only_a_changed_original_is_read_again(lineage: Lineage) -> None:
    touch(lineage.library.root / "2023/01.jpg")
    lineage.materialize("source_files", "photos")

    again = metadata_of(lineage.materialize("registered_images", "photos-00000"))

    assert counts(again) == {"registered": 10, "unreadable": 0, "duplicates": 0, "read_now": 1}
    assert "failures" not in again


def test_unreadable_images_are_read_again_on_request_only(lineage: Lineage) -> None:
    torn = lineage.library.root / "2023/torn.jpg"
    torn_before = torn.stat()
    assert counts(metadata_of(lineage.materialize("registered_images", "photos-00001")))["read_now"] == 0
    assert lineage.library.scan().changed == 0

    again = lineage.materialize("registered_images", "photos-00001", config={"retry_failed": True})

    assert counts(metadata_of(again)) == {"registered": 9, "unreadable": 1, "duplicates": 1, "read_now": 1}
    assert torn.stat().st_mtime_ns == torn_before.st_mtime_ns


def test_an_automatic_retry_reads_unreadable_images_no_third_time(lineage: Lineage) -> None:
    config = {"retry_failed": True}
    first = lineage.materialize("registered_images", "photos-00001", config=config)
    retry = lineage.materialize(
        "registered_images",
        "photos-00001",
        config=config,
        tags={RETRY_NUMBER_TAG: "1", PARENT_RUN_ID_TAG: first.dagster_run.run_id},
    )
    assert [metadata_of(run)["read_now"] for run in (first, retry)] == [1, 0]


def test_a_shard_of_unreadable_files_lists_the_first_of_them(new_lineage: Lineage) -> None:
    root = new_lineage.library.root / "2022"
    root.mkdir()
    for number in range(10):
        (root / f"{number:02}.jpg").write_bytes(b"no picture at all")
    new_lineage.materialize("catalog_schema")
    new_lineage.materialize("source_files", "photos")

    registered = metadata_of(new_lineage.materialize("registered_images", "photos-00000"))

    assert counts(registered) == {"registered": 0, "unreadable": 10, "duplicates": 0, "read_now": 10}
    assert [record["path"] for record in registered["failures"]] == [f"2022/{n:02}.jpg" for n in range(10)]
    assert len(registered["failures"]) <= LISTED_FAILURES


def test_a_backfill_in_one_run_records_each_shard(new_lineage: Lineage) -> None:
    new_lineage.materialize("catalog_schema")
    new_lineage.materialize("source_files", "photos")

    run = new_lineage.materialize("registered_images", partition_range=("photos-00000", "photos-00002"))

    assert run.success
    assert new_lineage.materialized_partitions("registered_images") == set(new_lineage.shards)
    recorded = [event.partition for event in run.all_events if event.is_step_materialization]
    assert recorded == ["photos-00000", "photos-00001", "photos-00002"]
    checked = {(one.partition, one.check_name): one.passed for one in new_lineage.evaluations_of(run)}
    assert checked == {
        **{(shard, "catalog_contract"): True for shard in recorded},
        (None, "up_to_date"): True,
    }


def test_a_failing_shard_does_not_stop_the_others(new_lineage: Lineage) -> None:
    new_lineage.materialize("catalog_schema")
    new_lineage.materialize("source_files", "photos")
    folder = new_lineage.home / new_lineage.library.previews.folder("photos-00001")
    folder.parent.mkdir()
    folder.write_text("a file where the shard's folder is to be")

    run = new_lineage.materialize("registered_images", partition_range=("photos-00000", "photos-00002"))

    assert not run.success
    assert new_lineage.materialized_partitions("registered_images") == {"photos-00000", "photos-00002"}
    assert failure_of(run).startswith(
        "1 of 3 partitions failed. The other partitions are materialized.\n- photos-00001: "
    )

    folder.unlink()
    assert new_lineage.materialize("registered_images", "photos-00001").success
    assert new_lineage.materialized_partitions("registered_images") == set(new_lineage.shards)
