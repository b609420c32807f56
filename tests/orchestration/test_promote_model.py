"""The job `promote_model`: one field, the way back, and what it refuses."""

import pytest
from dagster import DagsterInvalidConfigError, ExecuteInProcessResult

from assets.orchestration.promote_model import KEEP
from tests.lineage import Lineage, change_model, failure_of, metadata_of, open_lineage


def promote(lineage: Lineage, **config: str) -> ExecuteInProcessResult:
    return lineage.definitions.resolve_job_def("promote_model").execute_in_process(
        instance=lineage.instance, run_config=config, raise_on_error=False
    )


def serving(lineage: Lineage) -> list[str]:
    with lineage.library.engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT key FROM ml_model WHERE serving").scalars())


@pytest.fixture
def lineage_of_two(lineage: Lineage) -> Lineage:
    for shard in lineage.shards:
        assert lineage.materialize_embeddings("tiny-b", shard).success
    lineage.must_materialize("vector_index", "tiny-b")
    return lineage


def test_a_model_is_promoted_and_the_former_one_again(lineage_of_two: Lineage) -> None:
    promoted = metadata_of(promote(lineage_of_two, model="tiny-b"))
    assert serving(lineage_of_two) == ["tiny-b"]
    assert promoted["previous_model"] == "tiny-a"
    assert promoted["way_back"] == "To go back, launch the job promote_model with `model: tiny-a`."

    kept = metadata_of(promote(lineage_of_two))
    assert serving(lineage_of_two) == ["tiny-b"]
    assert kept["way_back"] == promoted["way_back"]

    back = metadata_of(promote(lineage_of_two, model="tiny-a"))
    assert serving(lineage_of_two) == ["tiny-a"]
    assert back["way_back"] == "To go back, launch the job promote_model with `model: tiny-b`."


def test_a_former_model_that_is_not_configured_is_no_way_back_yet(lineage_of_two: Lineage) -> None:
    assert promote(lineage_of_two, model="tiny-b").success
    change_model(lineage_of_two, "tiny-a", None)
    with open_lineage(lineage_of_two.config_file) as reopened:
        kept = metadata_of(promote(reopened))
        assert kept["way_back"] == (
            "tiny-a is not configured any more. To go back, add [models.tiny-a] again and promote it."
        )


def test_the_only_model_has_no_way_back(lineage: Lineage) -> None:
    kept = metadata_of(promote(lineage, model=KEEP))
    assert (kept["model"], kept["previous_model"]) == ("tiny-a", "none")
    assert kept["way_back"] == "No other model has served."


def test_a_model_that_is_not_ready_is_refused(lineage: Lineage) -> None:
    assert lineage.materialize_embeddings("tiny-b", "photos-00000").success
    lineage.must_materialize("vector_index", "tiny-b")
    refused = promote(lineage, model="tiny-b")
    assert failure_of(refused).startswith("tiny-b cannot serve: 16 of 26 images have no embedding yet")
    assert serving(lineage) == ["tiny-a"]


def test_a_model_that_is_not_configured_is_no_choice(lineage: Lineage) -> None:
    with pytest.raises(DagsterInvalidConfigError, match="not in enum type ConfiguredModel got tiny-c"):
        promote(lineage, model="tiny-c")
