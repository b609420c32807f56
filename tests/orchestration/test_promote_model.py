"""The job `promote_model`: one field, the way back, and what it refuses."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from dagster import DagsterInvalidConfigError, ExecuteInProcessResult

from assets.orchestration.promote_model import KEEP
from tests.lineage import Lineage, change_model, failure_of, metadata_of, open_lineage
from tests.pinned import TEXT, Pinned


def promote(lineage: Lineage, **config: object) -> ExecuteInProcessResult:
    return lineage.definitions.resolve_job_def("promote_model").execute_in_process(
        instance=lineage.instance, run_config=config, raise_on_error=False
    )


def warnings_of(lineage: Lineage, run: ExecuteInProcessResult) -> list[str]:
    return [
        entry.user_message
        for entry in lineage.instance.all_logs(run.run_id)
        if entry.level == logging.WARNING
    ]


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
    assert promoted["way_back"] == "To go back, launch the job promote_model with model: tiny-a"

    kept = metadata_of(promote(lineage_of_two))
    assert serving(lineage_of_two) == ["tiny-b"]
    assert kept["way_back"] == promoted["way_back"]

    back = metadata_of(promote(lineage_of_two, model="tiny-a"))
    assert serving(lineage_of_two) == ["tiny-a"]
    assert back["way_back"] == "To go back, launch the job promote_model with model: tiny-b"


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


def test_a_model_that_loses_a_pinned_search_is_refused_without_force(pinned: Pinned) -> None:
    photo = pinned.lost()
    pinned.pin(photo)
    ranks = [pinned.ranking(model).index(photo) + 1 for model in ("tiny-a", "tiny-b")]

    refused = promote(pinned.lineage, model="tiny-b")

    path = pinned.library.root / pinned.path_of(photo)
    assert failure_of(refused) == (
        f"tiny-b cannot serve: it loses the pinned search 1, “{TEXT}”: {path} has rank {ranks[0]} with tiny-a and rank "
        f"{ranks[1]} with tiny-b, and is expected within 3; the check pinned_searches of model_comparison shows the "
        "pictures. To promote the model all the same, set `force: true`; to give a search up, run `photolineage pin "
        "--remove <number>`. The serving model was not changed."
    )
    assert serving(pinned.lineage) == ["tiny-a"]

    forced = promote(pinned.lineage, model="tiny-b", force=True)
    assert serving(pinned.lineage) == ["tiny-b"]
    (warning,) = warnings_of(pinned.lineage, forced)
    assert warning.startswith(f"tiny-b serves, but it loses the pinned search 1, “{TEXT}”: ")


def test_the_way_back_keeps_the_pinned_searches_of_the_serving_model(pinned: Pinned) -> None:
    """A pin that was made after going back keeps the model away that was left."""
    assert promote(pinned.lineage, model="tiny-b").success
    assert promote(pinned.lineage, model="tiny-a").success
    pinned.pin(pinned.lost())
    assert failure_of(promote(pinned.lineage, model="tiny-b")).startswith(
        "tiny-b cannot serve: it loses the pinned"
    )
    assert serving(pinned.lineage) == ["tiny-a"]


def test_a_model_that_loses_no_pinned_search_is_promoted(pinned: Pinned) -> None:
    pinned.pin(pinned.found_by_both(), within=8)
    pinned.pin(pinned.found_by_none())
    promoted = promote(pinned.lineage, model="tiny-b")
    assert serving(pinned.lineage) == ["tiny-b"]
    assert warnings_of(pinned.lineage, promoted) == []


def test_force_does_not_replace_what_a_model_lacks(pinned: Pinned) -> None:
    pinned.pin(pinned.lost())
    shutil.rmtree(pinned.library.settings.home / "index/tiny-b.lance")
    refused = promote(pinned.lineage, model="tiny-b", force=True)
    assert "its index has 0 rows for 26 embeddings" in failure_of(refused)
    assert "pinned" not in failure_of(refused)
    assert serving(pinned.lineage) == ["tiny-a"]


def test_a_serving_model_that_cannot_be_loaded_does_not_keep_another_one_away(pinned: Pinned) -> None:
    pinned.pin(pinned.lost())
    shutil.rmtree(pinned.library.settings.home / "text_encoders")
    change_model(pinned.lineage, "tiny-a", None)
    with open_lineage(pinned.lineage.config_file) as reopened:
        promoted = promote(reopened, model="tiny-b")
        assert serving(reopened) == ["tiny-b"]
        (warning,) = warnings_of(reopened, promoted)
    assert warning.startswith(
        "tiny-b serves, but 1 pinned search could not be compared with the serving model before: "
    )


def test_a_model_that_cannot_search_is_promoted_only_by_force(
    pinned: Pinned, tiny_models: Mapping[str, Path]
) -> None:
    pinned.pin(pinned.found_by_both(), within=8)
    shutil.rmtree(pinned.library.settings.home / "text_encoders")
    change_model(
        pinned.lineage, "tiny-b", tiny_models["tiny-a"]
    )  # other weights: they cannot search its index
    with open_lineage(pinned.lineage.config_file) as reopened:
        refused = failure_of(promote(reopened, model="tiny-b"))
        assert refused.startswith("tiny-b cannot serve: it cannot search: ")
        assert "force: true" in refused
        assert serving(reopened) == ["tiny-a"]
        assert promote(reopened, model="tiny-b", force=True).success
        assert serving(reopened) == ["tiny-b"]


def test_the_first_model_that_serves_loses_nothing(pinned: Pinned) -> None:
    pinned.pin(pinned.lost())
    pinned.lineage.execute("UPDATE ml_model SET serving = false, serving_since = NULL")
    assert promote(pinned.lineage, model="tiny-b").success
    assert serving(pinned.lineage) == ["tiny-b"]
