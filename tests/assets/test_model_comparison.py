"""`model_comparison`: what a person reads before promoting a model, and when there is nothing to read."""

import base64
import io
import re

import pytest
from PIL import Image

from resources.comparison_settings import ComparisonSettings
from tests.lineage import Lineage, failure_of, metadata_of


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
    assert found["report"].startswith("| | tiny-a (serves) | tiny-b |\n")
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


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (
            "tiny-a",
            "tiny-a is the serving model: it would be compared with itself. Compare another one: tiny-b.",
        ),
        ("tiny-b", "model 'tiny-b' has no embeddings yet. Materialize image_embeddings for it first."),
    ],
)
def test_a_comparison_that_would_say_nothing(lineage: Lineage, candidate: str, reason: str) -> None:
    refused = lineage.materialize("model_comparison", candidate)
    assert not refused.success
    assert failure_of(refused) == reason
