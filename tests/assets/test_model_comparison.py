"""`model_comparison`: what a person reads before promoting a model, and when there is nothing to read."""

import base64
import io
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from photolineage.settings import ComparisonSettings
from tests.lineage import Lineage, failure_of, metadata_of, open_lineage


def test_a_candidate_beside_the_serving_model(lineage: Lineage) -> None:
    for shard in lineage.shards:
        assert lineage.materialize_embeddings("tiny-b", shard).success
    lineage.must_materialize("vector_index", "tiny-b")
    before = (lineage.rows(), lineage.files())

    found = metadata_of(lineage.materialize("model_comparison", "tiny-b"))

    assert (found["serving_model"], found["sample"]) == ("tiny-a", 26)
    assert 0 < found["neighbours_in_common"] < 1
    assert 0 < found["near_duplicate_recall"] <= 1
    assert 0 < found["near_duplicate_recall_of_serving"] <= 1
    assert found["report"].startswith("| | tiny-a (serving) | tiny-b |\n")
    picture = re.fullmatch(
        r"!\[The hits of both models\]\(data:image/webp;base64,(.*)\)", found["hits_of_both"]
    )
    assert picture is not None
    assert len(picture[1]) < 300_000
    sheet = Image.open(io.BytesIO(base64.b64decode(picture[1])))
    rows = len(ComparisonSettings().queries)
    assert rows == 12
    assert sheet.size == (2 * 5 * 100 + 32, 40 + rows * 96)
    assert (lineage.rows(), lineage.files()) == before


def test_the_serving_model_has_nothing_to_be_compared_with(lineage: Lineage) -> None:
    run = lineage.materialize("model_comparison", "tiny-a")
    assert run.success
    assert metadata_of(run)["report"] == (
        "Nothing to compare: tiny-a is the serving model. Other models: tiny-b."
    )


def test_a_candidate_without_embeddings_cannot_be_compared(lineage: Lineage) -> None:
    refused = lineage.materialize("model_comparison", "tiny-b")
    assert not refused.success
    assert failure_of(refused) == (
        "model 'tiny-b' has no embeddings yet. Materialize image_embeddings for it first."
    )


def test_a_model_that_cannot_be_loaded_says_what_to_do(
    lineage: Lineage, tiny_models: Mapping[str, Path], tmp_path: Path
) -> None:
    for shard in lineage.shards:
        assert lineage.materialize_embeddings("tiny-b", shard).success
    lineage.must_materialize("vector_index", "tiny-b")
    bare = shutil.copytree(tiny_models["tiny-b"], tmp_path / "bare")
    (bare / "open_clip_model.safetensors").unlink()
    configuration = lineage.config_file.read_text()
    lineage.config_file.write_text(configuration.replace(str(tiny_models["tiny-b"]), str(bare)))

    with open_lineage(lineage.config_file) as broken:
        refused = broken.materialize("model_comparison", "tiny-b")

    assert not refused.success
    assert failure_of(refused).startswith(f"models.tiny-b: local-dir:{bare} cannot be loaded: ")
    (failed,) = [event for event in refused.all_events if event.is_step_failure]
    assert failed.step_failure_data.user_failure_data is not None
