"""The asset checks through Dagster: what each shows where it fails, and where it passes."""

import numpy as np
import pyarrow as pa
import pytest
from dagster import AssetCheckEvaluation

from photolineage.catalog.orm import Base
from tests.lineage import QUIET, Lineage, differences, plain

PARTITIONED = {
    "embedding_files": ("image_embeddings", "tiny-a|photos-00000"),
    "index_coverage": ("vector_index", "tiny-a"),
    "index_recall": ("vector_index", "tiny-a"),
    "event_membership": ("image_events", "tiny-a"),
}


def run_check(lineage: Lineage, name: str, partition_key: str | None = None) -> AssetCheckEvaluation:
    """Execute one store check by itself, for its usual partition or another."""
    return lineage.run_check(PARTITIONED[name][0], name, partition_key or PARTITIONED[name][1])


@pytest.mark.parametrize("name", PARTITIONED)
def test_a_store_that_is_as_recorded_passes(lineage: Lineage, name: str) -> None:
    evaluation = run_check(lineage, name)
    assert evaluation.passed
    assert evaluation.metadata["partition"].value == PARTITIONED[name][1]


@pytest.mark.parametrize("name", ["index_coverage", "event_membership"])
def test_a_model_of_which_nothing_is_built_fails(lineage: Lineage, name: str) -> None:
    evaluation = run_check(lineage, name, "tiny-b")
    assert not evaluation.passed
    assert evaluation.description == (
        "model 'tiny-b' has no embeddings yet. Materialize image_embeddings for it first."
    )


def test_an_embedding_file_that_is_gone_fails(lineage: Lineage) -> None:
    gone = min((lineage.home / "embeddings/tiny-a/photos-00000").iterdir())
    gone.unlink()
    evaluation = run_check(lineage, "embedding_files")
    assert not evaluation.passed
    assert evaluation.description == "tiny-a|photos-00000: 3 files, 1 problems"
    assert gone.name in str(evaluation.metadata["problems"].value)


def test_execute_all_evaluates_every_materialized_partition(lineage: Lineage) -> None:
    min((lineage.home / "embeddings/tiny-a/photos-00001").iterdir()).unlink()

    evaluations = lineage.run_check_of("image_embeddings", "embedding_files", {})

    outcomes = {one.partition: one.passed for one in evaluations}
    assert outcomes == {
        "tiny-a|photos-00000": True,
        "tiny-a|photos-00001": False,
        "tiny-a|photos-00002": True,
        None: False,
    }
    assert str(evaluations[-1].description).startswith("1 of 3 partitions failed: tiny-a|photos-00001: ")


def test_a_check_of_a_range_evaluates_its_partitions(lineage: Lineage) -> None:
    tags = {
        "dagster/asset_partition_range_start": "tiny-a|photos-00001",
        "dagster/asset_partition_range_end": "tiny-a|photos-00002",
    }
    evaluations = lineage.run_check_of("image_embeddings", "embedding_files", tags)
    assert [(one.partition, one.passed) for one in evaluations] == [
        ("tiny-a|photos-00001", True),
        ("tiny-a|photos-00002", True),
        (None, True),
    ]
    assert evaluations[-1].description == "All 2 partitions passed."


def test_execute_all_of_an_empty_library_says_so(new_lineage: Lineage) -> None:
    new_lineage.must_materialize("catalog_schema")
    (evaluation,) = new_lineage.run_check_of("vector_index", "index_coverage", {})
    assert not evaluation.passed
    assert evaluation.description == "Not evaluated, because no partition is materialized yet."


def test_an_index_without_a_row_fails(lineage: Lineage) -> None:
    lineage.execute("UPDATE image SET state = 'missing' WHERE id = 1")
    evaluation = run_check(lineage, "index_coverage")
    assert not evaluation.passed
    assert evaluation.metadata["index_rows"].value == 26
    assert "1 rows of the index belong to removed images" in str(evaluation.metadata["problems"].value)


def test_an_event_of_a_wrong_size_fails(lineage: Lineage) -> None:
    lineage.execute("UPDATE event SET image_count = 99 WHERE id = 1")
    evaluation = run_check(lineage, "event_membership")
    assert not evaluation.passed
    assert "records 99 images but contains" in str(evaluation.metadata["problems"].value)


def check_of_serving_model(lineage: Lineage) -> AssetCheckEvaluation:
    return lineage.checks_of(lineage.materialize("serving_model"))["events_are_current"]


def test_a_serving_model_with_present_events_passes(lineage: Lineage) -> None:
    evaluation = check_of_serving_model(lineage)
    assert evaluation.passed
    assert evaluation.description == "tiny-a: 1 models, no problems"


def test_a_serving_model_with_old_events_fails(lineage: Lineage) -> None:
    lineage.execute("UPDATE ml_job SET input_version = 'older' WHERE kind = 'cluster'")
    evaluation = check_of_serving_model(lineage)
    assert not evaluation.passed
    assert "of the serving model `tiny-a` are older than its index" in str(
        evaluation.metadata["problems"].value
    )


def run_table_checks(lineage: Lineage) -> dict[str, AssetCheckEvaluation]:
    result = lineage.definitions.resolve_job_def("check_contract").execute_in_process(
        instance=lineage.instance, run_config=QUIET, raise_on_error=False
    )
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def test_every_table_has_a_check_that_passes(lineage: Lineage) -> None:
    checks = run_table_checks(lineage)
    assert {name: check.passed for name, check in checks.items()} == {
        f"table_{table}": True for table in Base.metadata.tables
    }


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("source", "root"),
        ("shard", "capacity"),
        ("image", "camera"),
        ("ml_model", "image_size"),
        ("ml_job", "host"),
        ("shard_file", "size_bytes"),
        ("event", "confidence"),
    ],
)
def test_the_table_that_lacks_a_column_is_the_one_that_fails(
    lineage: Lineage, table: str, column: str
) -> None:
    lineage.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    checks = run_table_checks(lineage)
    assert [name for name, check in checks.items() if not check.passed] == [f"table_{table}"]
    failed = checks[f"table_{table}"]
    assert failed.metadata["drifts"].value == 1
    assert [(row["what"], row["where"]) for row in differences(failed)] == [
        ("error: missing column", f"{table}.{column}")
    ]


def test_a_table_that_is_gone_fails(lineage: Lineage) -> None:
    lineage.execute("DROP TABLE event_image")
    checks = run_table_checks(lineage)
    assert [name for name, check in checks.items() if not check.passed] == ["table_event_image"]
    assert [row["what"] for row in differences(checks["table_event_image"])] == ["error: missing table"]


def test_an_index_that_finds_too_little_fails(lineage: Lineage) -> None:
    """4,000 vectors in 64 partitions, each known by one byte: too coarse to find their neighbours."""
    import lancedb
    from lancedb.index import IvfPq

    vectors = np.random.default_rng(0).standard_normal((4000, 16)).astype(np.float16)
    index = lineage.library.indexes.open("tiny-a", 16)
    table = lancedb.connect(index.directory).open_table("tiny-a")
    row = table.search().limit(1).select(table.schema.names).to_arrow().select(table.schema.names)
    copies = pa.concat_tables([row] * len(vectors))
    for name, column in (
        ("image_id", pa.array(range(1000, 1000 + len(vectors)), pa.int64())),
        (
            "vector",
            pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.ravel(), pa.float16()), type=table.schema.field("vector").type
            ),
        ),
    ):
        copies = copies.set_column(table.schema.get_field_index(name), table.schema.field(name), column)
    table.add(copies)
    coarse = IvfPq(distance_type="cosine", num_partitions=64, num_sub_vectors=1)
    table.create_index("vector", config=coarse, name="vector_ann_4026")

    evaluation = run_check(lineage, "index_recall")

    assert not evaluation.passed
    assert 0 < plain(evaluation.metadata)["recall"] < 0.95
    assert evaluation.metadata["sample"].value == 200
    assert str(evaluation.description).endswith("; at least 0.95 is required (recall_bar)")
