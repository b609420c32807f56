"""The job `repair`, through Dagster: it lists, repairs when asked to, and turns the checks green."""

import shutil
from collections.abc import Mapping
from typing import Any

import pytest
from dagster import AssetCheckEvaluation, ExecuteInProcessResult

from assets.orchestration.partitions import SHARDS
from resources.own_server import OWN_SERVER_VARIABLE
from tests.lineage import Lineage, failure_of, plain

MODEL_COLUMNS = (
    "architecture, pretrained, embedding_dim, image_size, weights_digest, precision, first_loaded_at, serving, "
    "serving_since"
)


def run_job(lineage: Lineage, job: str, config: Mapping[str, Any] | None = None) -> ExecuteInProcessResult:
    return lineage.definitions.resolve_job_def(job).execute_in_process(
        instance=lineage.instance, run_config=config, raise_on_error=False
    )


def repair(lineage: Lineage, **config: bool) -> dict[str, str]:
    """The outcome of each repair in the table of a run that succeeds, by what it is about."""
    result = run_job(lineage, "repair", config)
    assert result.success, failure_of(result)
    (output,) = [event for event in result.all_events if event.is_successful_output]
    return {
        str(row["where"]): str(row["outcome"]) for row in plain(output.step_output_data.metadata)["repairs"]
    }


def failed_table_checks(lineage: Lineage) -> dict[str, AssetCheckEvaluation]:
    result = run_job(lineage, "check_contract")
    return {one.check_name: one for one in result.get_asset_check_evaluations() if not one.passed}


def test_a_failed_check_names_the_job_and_the_job_turns_it_green(lineage: Lineage) -> None:
    lineage.execute("ALTER TABLE event DROP COLUMN cohesion", "DROP INDEX ix_event_model_id_starts_at")
    refused = lineage.materialize("image_events", "tiny-a")
    assert "Launch the job `repair`" in failure_of(refused)
    failed = failed_table_checks(lineage)
    assert list(failed) == ["table_event"]
    assert "Launch the job `repair`" in str(failed["table_event"].description)

    rows = lineage.rows()
    planned = repair(lineage)
    assert planned["event.cohesion"] == planned["event.ix_event_model_id_starts_at"] == "will be applied"
    assert planned["indexes and files"] == "will be applied"
    assert lineage.rows() == rows

    done = repair(lineage, apply=True)
    assert done == {"event.cohesion": "done", "event.ix_event_model_id_starts_at": "done"}
    assert failed_table_checks(lineage) == {}
    assert lineage.materialize("image_events", "tiny-a").success
    assert repair(lineage) == {}


def test_what_loses_data_is_named_and_left(lineage: Lineage) -> None:
    lineage.execute("ALTER TABLE image ADD COLUMN rating INTEGER")
    (failed,) = failed_table_checks(lineage).values()
    assert "Every fix loses data." in str(failed.description)
    assert repair(lineage, apply=True) == {"image.rating": "only with allow_data_loss"}
    assert repair(lineage, apply=True, allow_data_loss=True) == {"image.rating": "done"}
    assert failed_table_checks(lineage) == {}


def test_partitions_without_a_shard_are_removed(lineage: Lineage) -> None:
    shards = lineage.shards
    lineage.instance.add_dynamic_partitions(str(SHARDS.name), ["holiday"])
    assert repair(lineage) == {"holiday": "will be applied"}
    assert lineage.shards == [*shards, "holiday"]
    assert repair(lineage, apply=True) == {"holiday": "done"}
    assert lineage.shards == shards


def test_what_cannot_be_repaired_fails_the_run_and_says_why(lineage: Lineage) -> None:
    lineage.execute(
        "DROP INDEX uq_ml_model_serving",
        f"INSERT INTO ml_model (id, key, embedded_bit, {MODEL_COLUMNS}) "
        f"SELECT id + 1, 'tiny-c', embedded_bit * 2, {MODEL_COLUMNS} FROM ml_model",
    )
    result = run_job(lineage, "repair", {"apply": True})
    assert failure_of(result) == "Not everything could be repaired: the table `repairs` says why."
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    (row,) = plain(data.metadata)["repairs"][:1]
    assert (row["where"], row["outcome"]) == ("ml_model.uq_ml_model_serving", "refused")
    assert "UNIQUE constraint failed" in row["how"]


def test_an_index_of_another_dimension_has_one_advice_and_is_rebuilt(lineage: Lineage) -> None:
    for shard in lineage.shards:
        assert lineage.materialize_embeddings("tiny-b", shard).success
    lineage.must_materialize("vector_index", "tiny-b")
    shutil.rmtree(lineage.home / "index/tiny-a.lance")
    shutil.copytree(lineage.home / "index/tiny-b.lance", lineage.home / "index/tiny-a.lance")

    refused = failure_of(lineage.materialize("vector_index", "tiny-a"))
    check = lineage.run_check("vector_index", "index_coverage", "tiny-a")
    advice = "Launch the job `repair` with `apply: true`, or run `photolineage repair --apply`"
    assert advice in refused
    assert advice in str(plain(check.metadata)["differences"])

    assert repair(lineage, apply=True) == {"vector_index tiny-a": "done"}
    assert lineage.run_check("vector_index", "index_coverage", "tiny-a").passed
    assert lineage.materialize("vector_index", "tiny-a").success


def test_a_pending_migration_is_the_business_of_another_job(new_lineage: Lineage) -> None:
    new_lineage.must_materialize("catalog_schema")
    new_lineage.execute("UPDATE alembic_version SET version_num = '0010'")
    assert "Launch the job `migrate_catalog`" in failure_of(run_job(new_lineage, "repair", {"apply": True}))


def test_a_plain_server_may_list_and_repairs_nothing(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lineage.execute("DROP INDEX ix_image_content_hash")
    monkeypatch.delenv(OWN_SERVER_VARIABLE)
    assert repair(lineage) == {"image.ix_image_content_hash": "will be applied"}
    refused = run_job(lineage, "repair", {"apply": True})
    assert "Repairing the library runs only under `photolineage ui`" in failure_of(refused)
    assert "table_image" in failed_table_checks(lineage)
