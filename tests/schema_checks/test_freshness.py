"""The check `up_to_date`: stale is what was made from other inputs; what never was made is missing."""

from dataclasses import dataclass
from datetime import timedelta

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetKey,
)

from photolineage.lineage import SERVING_MODEL
from photolineage.steps.progress import OnProgress
from resources.dagster_internals import AssetCheckExecutionRecord
from resources.home import CatalogResource, StorageResource
from resources.progress import LoggedProgress
from schema_checks.partition_checks import CheckInputs
from schema_checks.separate_checks import SeparateChecks
from tests.library import draw_photo, touch
from tests.lineage import QUIET, Lineage, plain

ASSETS = ["source_files", "registered_images", "image_embeddings", "vector_index", "image_events"]


def check(lineage: Lineage) -> dict[str, AssetCheckEvaluation]:
    """The evaluations of `check_freshness`, by asset."""
    result = lineage.definitions.resolve_job_def("check_freshness").execute_in_process(
        instance=lineage.instance, run_config=QUIET, raise_on_error=False
    )
    assert result.success
    return {
        evaluation.asset_key.to_user_string(): evaluation
        for evaluation in result.get_asset_check_evaluations()
    }


def stale(lineage: Lineage) -> list[str]:
    return [asset for asset, evaluation in check(lineage).items() if not evaluation.passed]


def test_what_is_built_is_fresh_and_a_model_that_never_ran_is_no_reason(lineage: Lineage) -> None:
    assert sorted(check(lineage)) == sorted(ASSETS)
    assert stale(lineage) == []


def test_a_changed_photo_makes_the_assets_stale_one_after_the_other(lineage: Lineage) -> None:
    touch(lineage.library.root / "2024/05.jpg")
    lineage.must_materialize("source_files", "photos")
    found = check(lineage)
    registered = found["registered_images"]
    assert registered.severity == AssetCheckSeverity.WARN
    reason = "source_files: 1 new or changed image"
    assert str(registered.description).startswith(f"1 stale: photos-00002 ({reason}). Materialize ")
    assert plain(registered.metadata) == {
        "stale": 1,
        "images": 1,
        "partitions": [{"partition": "photos-00002", "reason": reason, "images": 1}],
    }
    assert found["image_events"].description == "Waits for registered_images, which is stale."
    assert stale(lineage) == ASSETS[1:]

    lineage.must_materialize("registered_images", "photos-00002")
    assert stale(lineage) == ASSETS[2:]
    assert lineage.materialize_embeddings("tiny-a", "photos-00002").success
    lineage.must_materialize("vector_index", "tiny-a")
    assert stale(lineage) == ["image_events"]
    lineage.must_materialize("image_events", "tiny-a")
    assert stale(lineage) == []


def test_an_asset_of_which_nothing_is_materialized_says_so(new_lineage: Lineage) -> None:
    new_lineage.must_materialize("catalog_schema")
    for evaluation in check(new_lineage).values():
        assert not evaluation.passed
        assert evaluation.severity == AssetCheckSeverity.WARN
        assert evaluation.description == "No partition is materialized yet."


def test_a_source_that_nobody_has_scanned_for_days_is_stale(lineage: Lineage) -> None:
    lineage.execute("UPDATE source SET scanned_at = '2020-01-01 00:00:00.000000'")
    assert stale(lineage) == ["source_files"]


def newest(lineage: Lineage, asset: str, check: str = "up_to_date") -> AssetCheckExecutionRecord:
    """What the UI shows of a check."""
    key = AssetCheckKey(AssetKey(asset), check)
    return lineage.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]


def shown(lineage: Lineage) -> dict[str, str]:
    """The checks that the UI shows as failed, and why."""
    records = {asset: newest(lineage, asset) for asset in ASSETS}
    evaluations = {asset: record.evaluation for asset, record in records.items()}
    return {
        asset: str(evaluation.description) if evaluation is not None else "not evaluated"
        for asset, evaluation in evaluations.items()
        if evaluation is None or not evaluation.passed
    }


def count_records(lineage: Lineage, asset: str) -> int:
    key = AssetCheckKey(AssetKey(asset), "up_to_date")
    return len(lineage.instance.event_log_storage.get_asset_check_execution_history(key, limit=1000))


def test_what_depends_on_a_partition_is_evaluated_as_soon_as_the_partition_is_materialized(
    lineage: Lineage,
) -> None:
    draw_photo(lineage.library.root / "2024/05.jpg", 100)
    touch(lineage.library.root / "2024/05.jpg")
    lineage.must_materialize("source_files", "photos")
    found = shown(lineage)
    assert list(found) == ASSETS[1:]
    assert found["registered_images"].startswith("1 stale: photos-00002 (source_files: 1 new or changed ")
    assert found["image_events"] == "Waits for registered_images, which is stale."

    lineage.must_materialize("registered_images", "photos-00002")
    found = shown(lineage)
    assert list(found) == ASSETS[2:]
    reason = "registered_images: 1 image without an embedding"
    assert found["image_embeddings"].startswith(f"1 stale: tiny-a|photos-00002 ({reason})")

    shards = ("tiny-a|photos-00000", "tiny-a|photos-00002")
    assert lineage.materialize("image_embeddings", partition_range=shards).success
    assert list(shown(lineage)) == ASSETS[3:]
    assert shown(lineage)["vector_index"].startswith(
        "1 stale: tiny-a (image_embeddings: 1 image embedded in 1 shard)"
    )
    lineage.must_materialize("vector_index", "tiny-a")
    assert list(shown(lineage)) == ["image_events"]
    assert newest(lineage, "serving_model", "events_are_current").status.value == "FAILED"
    lineage.must_materialize("image_events", "tiny-a")
    assert shown(lineage) == {}
    assert newest(lineage, "serving_model", "events_are_current").status.value == "SUCCEEDED"


def test_a_state_that_has_not_changed_is_not_recorded_again(lineage: Lineage) -> None:
    for _ in range(3):
        lineage.must_materialize("source_files", "photos")
    assert count_records(lineage, "registered_images") == len(lineage.shards)  # one of each run that built it


@dataclass(frozen=True)
class ScanBeforeWork(LoggedProgress):
    """Scans the source when a run is about to begin its work."""

    lineage: Lineage

    def track(self, context: AssetExecutionContext, label: str) -> OnProgress:
        self.lineage.must_materialize("source_files", "photos")
        assert "registered_images" in shown(self.lineage)
        return super().track(context, label)


def test_a_run_that_waited_while_its_asset_became_stale_shows_its_own_result(lineage: Lineage) -> None:
    """Dagster makes the record of a run's check with the run; the UI shows the record that was made last."""
    draw_photo(lineage.library.root / "2024/05.jpg", 100)
    touch(lineage.library.root / "2024/05.jpg")
    result = lineage.definitions.resolve_job_def("materialize_registered_images").execute_in_process(
        instance=lineage.instance,
        partition_key="photos-00002",
        run_config=QUIET,
        resources={"progress": ScanBeforeWork(lineage)},
    )
    assert result.success
    assert "registered_images" not in shown(lineage)


def test_the_events_of_a_promoted_model_are_shown_although_its_run_has_waited(lineage: Lineage) -> None:
    library = lineage.library
    catalog = CatalogResource(library.settings.catalog, lineage.home, timedelta(minutes=5))
    inputs = CheckInputs(catalog, StorageResource(lineage.home), library.settings)
    key = AssetCheckKey(AssetKey("serving_model"), "events_are_current")

    def newest() -> str:
        records = lineage.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])
        evaluation = records[key].evaluation
        assert isinstance(evaluation, AssetCheckEvaluation)
        return str(evaluation.description)

    lineage.instance.report_runless_asset_event(
        AssetCheckEvaluation(key.asset_key, key.name, passed=True, description="of the former model")
    )
    (result,) = SeparateChecks(SERVING_MODEL, inputs).of_asset(lineage.instance, "the run of the promotion")
    assert newest() == result.description != "of the former model"
    catalog.close()


def test_a_folder_that_is_gone_is_said_in_words(lineage: Lineage) -> None:
    (lineage.home / "embeddings").rename(lineage.home / "elsewhere")
    result = lineage.materialize("source_files", "photos")
    assert result.success
    for asset, evaluation in check(lineage).items():
        assert not evaluation.passed, asset
        assert evaluation.severity == AssetCheckSeverity.ERROR
        assert str(lineage.home / "embeddings") in str(evaluation.description)
