"""The check `up_to_date`: stale is what was made from other inputs; what never was made is missing."""

from dagster import AssetCheckEvaluation, AssetCheckSeverity

from tests.library import touch
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
    assert str(registered.description).startswith("1 stale: ")
    assert plain(registered.metadata)["partitions"] == [{"partition": "photos-00002"}]
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
