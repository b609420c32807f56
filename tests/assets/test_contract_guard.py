"""The contract that each writing asset holds the catalog against before its first write."""

import re

import pytest
from dagster import AssetCheckEvaluation, AssetCheckKey, AssetCheckSeverity, AssetKey

from photolineage.catalog.migrate import head_revision
from photolineage.checks.catalog_contract import contract_report
from photolineage.contract import Severity
from tests.lineage import Lineage, differences, failure_of, plain, steps_of

RENAMED_COLUMN = ("image", ["ALTER TABLE image RENAME COLUMN camera TO camera_model"])
DROPPED_TABLE = ("event_image", ["DROP TABLE event_image"])
DROPPED_LEASE = ("ml_job", ["DROP INDEX uq_ml_job_lease"])
DROPPED_COLUMN = ("shard_file", ["ALTER TABLE shard_file DROP COLUMN size_bytes"])
DROPPED_SERVING = ("ml_model", ["DROP INDEX uq_ml_model_serving"])


@pytest.mark.parametrize(
    ("asset", "partition_key", "drift"),
    [
        ("source_files", "photos", RENAMED_COLUMN),
        ("registered_images", "photos-00000", DROPPED_COLUMN),
        ("image_embeddings", "tiny-b|photos-00000", DROPPED_LEASE),
        ("vector_index", "tiny-a", RENAMED_COLUMN),
        ("image_events", "tiny-a", DROPPED_TABLE),
        ("model_comparison", "tiny-a", RENAMED_COLUMN),
        ("serving_model", None, DROPPED_SERVING),
    ],
)
def test_nothing_is_written_to_a_catalog_that_differs(
    lineage: Lineage, asset: str, partition_key: str | None, drift: tuple[str, list[str]]
) -> None:
    table, statements = drift
    lineage.execute(*statements)
    before = (lineage.rows(), lineage.files())

    refused = lineage.materialize(asset, partition_key)

    assert not refused.success
    contract = lineage.checks_of(refused)["catalog_contract"]
    assert not contract.passed
    assert plain(contract.metadata)["drifts"] >= 1
    assert any(table in row["where"] for row in differences(contract))
    assert re.fullmatch(
        rf"(1 difference|\d differences) \((1 error|\d errors)\) between the code and the database, in {table}\. "
        r"Launch the job `repair`, .* Nothing was written\.",
        failure_of(refused),
    )
    assert "ASSET_MATERIALIZATION" not in steps_of(refused)
    assert "STEP_UP_FOR_RETRY" not in steps_of(refused)
    assert (lineage.rows(), lineage.files()) == before


@pytest.mark.parametrize(
    ("asset", "partition_key", "drift"),
    [
        ("source_files", "photos", RENAMED_COLUMN),
        ("image_embeddings", "tiny-b|photos-00000", DROPPED_LEASE),
        ("image_events", "tiny-a", DROPPED_TABLE),
    ],
)
def test_the_sql_of_the_check_mends_the_catalog(
    lineage: Lineage, asset: str, partition_key: str, drift: tuple[str, list[str]]
) -> None:
    lineage.execute(*drift[1])
    assert not lineage.materialize(asset, partition_key).success

    report = contract_report(lineage.library.engine)
    lineage.execute(*(statement for found in report.drifts for statement in found.fix.safe))
    mended = lineage.materialize(asset, partition_key)

    assert mended.success
    assert [
        one for one in contract_report(lineage.library.engine).drifts if one.severity is Severity.ERROR
    ] == []


def test_a_drift_that_breaks_nothing_is_a_warning(lineage: Lineage) -> None:
    lineage.execute("DROP INDEX ix_image_content_hash")

    run = lineage.materialize("source_files", "photos")

    assert run.success
    check = lineage.checks_of(run)["catalog_contract"]
    assert not check.passed
    assert check.severity is AssetCheckSeverity.WARN
    assert str(check.description).startswith(
        "1 difference (0 errors) between the code and the database, in image. Launch the job `repair`"
    )


@pytest.mark.parametrize(
    ("asset", "partition_key", "others"),
    [
        ("image_embeddings", "tiny-b|photos-00000", {"model_contract", "embedding_files", "up_to_date"}),
        ("vector_index", "tiny-a", {"index_coverage", "index_recall", "pinned_searches", "up_to_date"}),
        ("serving_model", None, {"events_are_current"}),
    ],
)
def test_what_was_not_checked_after_a_failed_contract_says_why(
    lineage: Lineage, asset: str, partition_key: str | None, others: set[str]
) -> None:
    lineage.execute(*RENAMED_COLUMN[1])

    checks = lineage.checks_of(lineage.materialize(asset, partition_key))

    assert set(checks) == {"catalog_contract"} | others
    assert checks.pop("catalog_contract").severity is AssetCheckSeverity.ERROR
    for check in checks.values():
        assert not check.passed
        assert check.severity is AssetCheckSeverity.WARN
        assert check.description == "Not evaluated, because the check catalog_contract failed."


def test_an_asset_is_not_stopped_by_a_table_that_it_does_not_write(lineage: Lineage) -> None:
    lineage.execute("DROP TABLE event_image")
    assert lineage.materialize("source_files", "photos").success
    assert lineage.materialize_embeddings("tiny-b", "photos-00000").success


def test_a_catalog_of_an_older_revision_stops_every_asset(lineage: Lineage) -> None:
    lineage.execute("UPDATE alembic_version SET version_num = '0001'")
    refused = lineage.materialize("source_files", "photos")
    assert not refused.success
    assert failure_of(refused) == (
        f"The catalog is at revision 0001, but this code needs {head_revision()}. Launch the job `migrate_catalog` "
        "with `dry_run: false`, or run `photolineage migrate`. Nothing was written."
    )


def test_tables_of_somebody_else_stop_every_asset(lineage: Lineage) -> None:
    lineage.execute("DELETE FROM alembic_version")
    refused = lineage.materialize("source_files", "photos")
    assert not refused.success
    assert "has tables, but no revision in the table alembic_version" in failure_of(refused)


def test_the_instance_shows_the_failed_check_with_its_table_of_differences(lineage: Lineage) -> None:
    lineage.execute(*RENAMED_COLUMN[1])
    run = lineage.materialize("source_files", "photos")

    key = AssetCheckKey(AssetKey("source_files"), "catalog_contract")
    record = lineage.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]

    assert record.run_id == run.run_id
    assert record.status.value == "FAILED"
    assert record.event is not None
    assert record.event.dagster_event is not None
    evaluation = record.event.dagster_event.event_specific_data
    assert isinstance(evaluation, AssetCheckEvaluation)
    found = {(row["what"], row["where"]) for row in differences(evaluation)}
    assert found >= {
        ("error: missing column", "image.camera"),
        ("warning: extra column", "image.camera_model"),
    }
