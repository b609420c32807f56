"""`photolineage models`: what was measured of each model, and measuring it anew."""

from sqlalchemy import select

from photolineage.catalog.orm import MlModelTiming
from photolineage.models.ways import WAYS
from tests.command_line import as_json, failure, photolineage
from tests.lineage import Lineage


def test_the_ways_of_each_model_are_listed_and_measured_anew(lineage: Lineage) -> None:
    (first,) = as_json(lineage, "models")["models"]
    assert (first["key"], first["serving"], len(first["weights_digest"])) == ("tiny-a", True, 64)
    (measured,) = first["measured"]
    assert [(way["precision"], way["backend"]) for way in measured["ways"]] == [
        (way.precision, way.backend) for way in WAYS["cpu"]
    ]
    (used,) = (way for way in measured["ways"] if way["is_used"])
    assert used["precision"] in {first["precision"], "float32"}
    (speed,) = as_json(lineage, "status")["speeds"]
    assert speed == {
        "model": "tiny-a",
        "machine": measured["machine"],
        "measured_at": measured["measured_at"],
        "way": used,
    }

    said = photolineage(lineage, "models", "--measure", "--model", "tiny-a")
    assert said.returncode == 0
    shown = said.stdout
    assert f"tiny-a: embeddings in {first['precision']}, digest {first['weights_digest'][:16]}" in shown
    assert measured["machine"].split(",")[0] in shown
    assert shown.count("used") == 1
    (again,) = as_json(lineage, "models", "--model", "tiny-a")["models"]
    assert again["precision"] == first["precision"]
    (anew,) = again["measured"]
    assert anew["measured_at"] > measured["measured_at"]

    as_json(lineage, "models", "--measure")
    with lineage.library.engine.connect() as connection:
        assert len(connection.execute(select(MlModelTiming.model_id)).all()) == 2
    assert [model["key"] for model in as_json(lineage, "models")["models"]] == ["tiny-a", "tiny-b"]
    for arguments in (["--measure"], []):
        assert "model 'tiny-z' is not configured" in failure(
            lineage, "models", *arguments, "--model", "tiny-z"
        )


def test_before_a_model_was_loaded_there_is_nothing_to_list(new_lineage: Lineage) -> None:
    new_lineage.must_materialize("catalog_schema")
    assert "No model was loaded yet." in photolineage(new_lineage, "models").stdout
    said = photolineage(new_lineage, "models", "--model", "tiny-b").stdout
    assert "The model tiny-b was not loaded yet." in " ".join(said.split())
    assert as_json(new_lineage, "models") == {"models": []}
    said = failure(new_lineage, "models", "--measure")
    assert "no photo is registered yet" in said
