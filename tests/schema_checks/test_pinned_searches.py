"""The check `pinned_searches` through Dagster: a photo that is lost, one that nobody finds, and none at all."""

import base64
import io
import re

import pytest
from dagster import AssetCheckEvaluation, AssetCheckSeverity, MarkdownMetadataValue
from PIL import Image

from photolineage.pins.stored import store_pins
from photolineage.plain_text import markdown_code
from photolineage.search.query import Query, Weighted
from tests.lineage import plain
from tests.pinned import TEXT, Pinned

ASSETS = ["vector_index", "model_comparison"]
HOSTILE = "[/red] \x1b]0;owned\x07 | <img src=x> ![a](http://x/y.png) `b`"


def run_check(pinned: Pinned, asset: str, model: str = "tiny-b") -> AssetCheckEvaluation:
    return pinned.lineage.run_check(asset, "pinned_searches", model)


@pytest.mark.parametrize("asset", ASSETS)
def test_without_pins_the_check_passes(pinned: Pinned, asset: str) -> None:
    evaluation = run_check(pinned, asset)
    assert evaluation.passed
    assert evaluation.description == (
        "No searches are pinned. To pin one, run `photolineage pin TEXT --expect PHOTO`."
    )
    assert plain(evaluation.metadata) == {"partition": "tiny-b", "pins": 0, "lost": 0}


@pytest.mark.parametrize("asset", ASSETS)
def test_a_photo_that_is_found_passes(pinned: Pinned, asset: str) -> None:
    photo = pinned.found_by_both()
    pinned.pin(photo, within=8)
    evaluation = run_check(pinned, asset)
    assert evaluation.passed
    found = plain(evaluation.metadata)
    path = pinned.library.root / pinned.path_of(photo)
    assert found["pinned_searches"] == [
        {
            "pin": "1",
            "search": f"“{TEXT}”",
            "photo": f"{path.name} in {path.parent}",
            "within": "8",
            "rank with tiny-a": str(pinned.ranking("tiny-a").index(photo) + 1),
            "rank with tiny-b": str(pinned.ranking("tiny-b").index(photo) + 1),
            "result": "found",
        }
    ]
    assert "hits_in_place" not in found


@pytest.mark.parametrize("asset", ASSETS)
def test_a_photo_that_is_lost_fails_and_shows_what_is_in_its_place(pinned: Pinned, asset: str) -> None:
    pinned.pin(pinned.found_by_both(), within=8)
    pinned.pin(pinned.lost())
    evaluation = run_check(pinned, asset)
    assert (evaluation.passed, evaluation.severity) == (False, AssetCheckSeverity.ERROR)
    assert evaluation.description == f"tiny-b loses 1 of 2 pinned searches that tiny-a finds: `“{TEXT}”`."
    found = plain(evaluation.metadata)
    assert (found["partition"], found["pins"], found["lost"]) == ("tiny-b", 2, 1)
    assert [(row["pin"], row["result"]) for row in found["pinned_searches"]] == [
        ("2", "lost"),
        ("1", "found"),
    ]
    (picture,) = re.findall(r"\(data:image/webp;base64,(.*)\)", found["hits_in_place"])
    assert len(picture) < 40_000
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (1020, 98)


@pytest.mark.parametrize(("model", "said"), [("tiny-a", ""), ("tiny-b", ", and neither does tiny-a")])
def test_a_photo_that_the_serving_model_does_not_find_either_is_a_warning(
    pinned: Pinned, model: str, said: str
) -> None:
    pinned.pin(pinned.found_by_none())
    evaluation = run_check(pinned, "vector_index", model)
    assert (evaluation.passed, evaluation.severity) == (False, AssetCheckSeverity.WARN)
    assert (
        evaluation.description == f"{model} does not find the photo of the pinned search{said}: `“{TEXT}”`."
    )
    assert "hits_in_place" in evaluation.metadata


def test_a_photo_that_is_gone_is_a_warning(pinned: Pinned) -> None:
    photo = pinned.lost()
    pinned.pin(photo)
    pinned.lineage.execute(f"UPDATE image SET state = 'missing' WHERE id = {photo}")
    evaluation = run_check(pinned, "vector_index")
    assert (evaluation.passed, evaluation.severity) == (False, AssetCheckSeverity.WARN)
    assert "the photo is not in the library now" in str(evaluation.description)
    assert "hits_in_place" not in evaluation.metadata


def test_a_pin_that_something_else_has_changed_fails(pinned: Pinned) -> None:
    pinned.pin(pinned.lost())
    pinned.lineage.execute("UPDATE pinned_search SET search = ''")
    evaluation = run_check(pinned, "vector_index")
    assert (evaluation.passed, evaluation.severity) == (False, AssetCheckSeverity.ERROR)
    assert str(evaluation.description).startswith("pinned search 1 cannot be read")


def test_a_hostile_search_is_shown_as_text(pinned: Pinned) -> None:
    query = Query(texts=(Weighted(HOSTILE),))
    first = pinned.ranking("tiny-b", query)[0]
    (pin,) = pinned.pins(first, within=1, query=query)
    last = pinned.ranking("tiny-b", query)[-1]
    store_pins(pinned.library.engine, [pin, *pinned.pins(last, within=1, query=query)])
    evaluation = run_check(pinned, "vector_index")
    code = markdown_code(f"“{HOSTILE}”")
    assert "\x1b" not in code
    assert str(evaluation.description).endswith(f": {code}.")
    rows = plain(evaluation.metadata)["pinned_searches"]
    assert {row["search"] for row in rows} == {
        f"“{HOSTILE}”".replace("\x1b", r"\x1b").replace("\x07", r"\x07")
    }
    markdown = [one.value for one in evaluation.metadata.values() if isinstance(one, MarkdownMetadataValue)]
    assert [re.sub(re.escape(code), "", str(one)).count("http") for one in markdown] == [0]


@pytest.mark.parametrize("asset", ASSETS)
def test_a_run_of_an_asset_evaluates_its_pins(pinned: Pinned, asset: str) -> None:
    pinned.pin(pinned.lost())
    run = pinned.lineage.materialize(asset, "tiny-b")
    assert run.success, "the check does not stop the run"
    assert not pinned.lineage.checks_of(run)["pinned_searches"].passed


def test_a_check_of_several_partitions_evaluates_each(pinned: Pinned) -> None:
    pinned.pin(pinned.lost())
    tags = {"dagster/asset_partition_range_start": "tiny-a", "dagster/asset_partition_range_end": "tiny-b"}
    for chosen in (tags, {}):
        evaluations = pinned.lineage.run_check_of("vector_index", "pinned_searches", chosen)
        outcomes = [(one.partition, one.passed) for one in evaluations]
        assert outcomes == [("tiny-a", True), ("tiny-b", False), (None, False)]
        assert str(evaluations[-1].description).startswith(
            "1 of 2 partitions failed: tiny-b: tiny-b loses the pinned"
        )
