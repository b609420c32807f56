"""`model_contract`: the weights that are loaded are those of the embeddings that are there."""

from dataclasses import replace

from photolineage.catalog.vocabulary import Precision
from photolineage.checks.store_contract import compare_model
from photolineage.contract.drift import DriftKind
from photolineage.lineage import JobKind
from photolineage.models.embedder import load_embedder
from photolineage.models.registry import record_model
from tests.lineage import Lineage, differences, failure_of


def test_other_weights_under_the_same_key_fail_before_anything_is_written(lineage: Lineage) -> None:
    settings = lineage.library.settings.models["tiny-b"]
    facts = load_embedder("tiny-b", settings).facts
    record_model(lineage.library.engine, "tiny-b", settings, replace(facts, weights_digest="0" * 64))
    files, jobs = lineage.files(), len(lineage.library.jobs(JobKind.EMBED))

    run = lineage.materialize_embeddings("tiny-b", "photos-00000")

    assert not run.success
    check = lineage.checks_of(run)["model_contract"]
    assert not check.passed
    assert "embeddings of different weights cannot be compared" in str(check.description)
    (digests,) = [row for row in differences(check) if row["where"].endswith("weights_digest")]
    assert set(digests["expected → found"].split(" → ")) == {"0" * 64, facts.weights_digest}
    assert "models.tiny-b: the weights or the precision differ" in str(failure_of(run))
    assert (lineage.files(), len(lineage.library.jobs(JobKind.EMBED))) == (files, jobs)


def test_each_fact_of_a_model_that_differs_is_a_drift(lineage: Lineage) -> None:
    facts = load_embedder("tiny-b", lineage.library.settings.models["tiny-b"]).facts
    assert compare_model(facts, facts, "tiny-b") == []
    other = replace(facts, embedding_dim=99, image_size=32, precision=Precision.BFLOAT16)
    assert [
        (drift.kind, drift.name, drift.expected, drift.actual) for drift in compare_model(facts, other, "m")
    ] == [
        (DriftKind.DIMS, "embedding_dim", "24", "99"),
        (DriftKind.TABLE_OPTION, "image_size", "64", "32"),
        (DriftKind.TABLE_OPTION, "precision", "float32", "bfloat16"),
    ]
