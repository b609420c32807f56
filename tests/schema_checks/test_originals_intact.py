"""`verified_originals` and its check through Dagster: rot fails, and what is no rot does not."""

from dagster import AssetCheckEvaluation, AssetCheckSeverity

from tests.library import rot
from tests.lineage import Lineage, failure_of, metadata_of

ASSET, CHECK = "verified_originals", "originals_intact"


def checked(lineage: Lineage, shard: str) -> AssetCheckEvaluation:
    return lineage.run_check(ASSET, CHECK, shard)


def test_intact_originals_pass(lineage: Lineage) -> None:
    before = checked(lineage, "photos-00000")
    assert (before.passed, before.severity) == (False, AssetCheckSeverity.WARN)
    assert "Not verified to the end yet" in str(before.description)

    run = lineage.materialize(ASSET, "photos-00000")

    assert run.success, failure_of(run)
    found = metadata_of(run)
    assert (found["images"], found["verified"], found["rotten"], found["unreadable"]) == (10, 10, 0, 0)
    assert found["megabytes_per_second"] > 0
    check = lineage.checks_of(run)[CHECK]
    assert check.passed
    assert "No rot was found. Verified at " in str(check.description)


def test_rot_fails_with_its_path_and_an_intact_copy(lineage: Lineage) -> None:
    rot(lineage.library.root / "2023/03.jpg")

    run = lineage.materialize(ASSET, "photos-00000")

    assert run.success  # what is done is done; the check says what is wrong
    assert (metadata_of(run)["rotten"], metadata_of(run)["verified"]) == (1, 9)
    check = lineage.checks_of(run)[CHECK]
    assert (check.passed, check.severity) == (False, AssetCheckSeverity.ERROR)
    assert "2023/03.jpg have changed, but not its size and time" in str(check.description)
    assert f"Restore it from {lineage.library.root / '2023/copy.jpg'}" in str(check.description)
    assert "2023/03.jpg" in str(check.metadata["files"].value)

    status = metadata_of(lineage.materialize("library_status"))
    assert status["rotten"] == 1
    assert "originals_intact of verified_originals" in status["failures"]


def test_a_backfill_of_several_partitions_checks_each(lineage: Lineage) -> None:
    rot(lineage.library.root / "2024/00.jpg")
    (lineage.library.root / "2024/12.jpg").unlink()

    run = lineage.materialize(ASSET, partition_range=("photos-00000", "photos-00002"))

    assert run.success, failure_of(run)
    assert lineage.materialized_partitions(ASSET) == {"photos-00000", "photos-00001", "photos-00002"}
    results = {
        (one.partition, one.passed, one.severity)
        for one in run.get_asset_check_evaluations()
        if one.check_name == CHECK
    }
    assert results == {
        ("photos-00000", True, AssetCheckSeverity.WARN),
        ("photos-00001", False, AssetCheckSeverity.ERROR),
        ("photos-00002", False, AssetCheckSeverity.WARN),
    }
    unread = checked(lineage, "photos-00002")
    assert "No rot was found, but 1 files could not be read" in str(unread.description)


def test_an_unplugged_disk_fails_the_run_and_is_no_rot(lineage: Lineage) -> None:
    lineage.library.root.rename(lineage.library.root.with_name("unplugged"))

    run = lineage.materialize(ASSET, "photos-00000")

    assert not run.success
    assert "Mount the disk and run again" in failure_of(run)
    assert checked(lineage, "photos-00000").metadata["rotten"].value == 0


def test_verification_is_never_stale(lineage: Lineage) -> None:
    graph = lineage.definitions.resolve_asset_graph()
    names = {key.name for key in graph.asset_check_keys if key.asset_key.to_user_string() == ASSET}
    assert names == {"catalog_contract", CHECK}
