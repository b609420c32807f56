"""`vector_index`, `image_events` and `serving_model`: what each reports, and when each refuses."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.library import draw_photo, write_tiny_model
from tests.lineage import Lineage, change_model, failure_of, metadata_of, open_lineage

CHANGES = ("rows", "added", "replaced", "removed", "not_embedded", "ann_index")
WHAT_BECAME = ("created", "grown", "shrunk", "split", "merged", "vanished")


def changes(metadata: dict[str, object]) -> dict[str, object]:
    return {name: metadata[name] for name in CHANGES}


@pytest.fixture
def lineage_of_two(lineage: Lineage) -> Lineage:
    """The built library with the embeddings of `tiny-b` too, and without their index."""
    for shard in lineage.shards:
        assert lineage.materialize_embeddings("tiny-b", shard).success
    return lineage


def test_an_index_has_a_row_for_each_distinct_image(lineage_of_two: Lineage) -> None:
    run = lineage_of_two.materialize("vector_index", "tiny-b")

    assert run.success
    assert changes(metadata_of(run)) == {
        "rows": 26,
        "added": 26,
        "replaced": 0,
        "removed": 0,
        "not_embedded": 0,
        "ann_index": "none (exact search)",
    }
    assert {name: check.passed for name, check in lineage_of_two.checks_of(run).items()} == {
        "catalog_contract": True,
        "index_coverage": True,
        "index_recall": True,
        "pinned_searches": True,
        "up_to_date": True,
    }

    again = lineage_of_two.materialize("vector_index", "tiny-b")
    assert changes(metadata_of(again))["added"] == 0
    assert lineage_of_two.library.indexes.open("tiny-b", 24).row_count() == 26


def test_an_index_before_all_is_embedded_says_what_it_lacks(lineage: Lineage) -> None:
    lineage.materialize_embeddings("tiny-b", "photos-00000")

    run = lineage.materialize("vector_index", "tiny-b")

    assert changes(metadata_of(run)) == {
        "rows": 10,
        "added": 10,
        "replaced": 0,
        "removed": 0,
        "not_embedded": 16,
        "ann_index": "none (exact search)",
    }
    coverage = lineage.checks_of(run)["index_coverage"]
    assert not coverage.passed
    assert "16 registered images have no embedding." in str(coverage.metadata["problems"].value)


def test_an_index_of_nothing_is_refused(lineage: Lineage) -> None:
    run = lineage.materialize("vector_index", "tiny-b")
    assert not run.success
    assert "model 'tiny-b' has no embeddings yet. Materialize image_embeddings for it first." in failure_of(
        run
    )


def test_events_of_an_index_that_is_not_built_are_refused(lineage_of_two: Lineage) -> None:
    run = lineage_of_two.materialize("image_events", "tiny-b")
    assert not run.success
    assert "model 'tiny-b': materialize vector_index for it first." in failure_of(run)


def test_events_keep_their_ids_and_say_what_changed(lineage: Lineage) -> None:
    with lineage.library.engine.connect() as connection:
        before = connection.exec_driver_sql("SELECT id, image_count FROM event ORDER BY id").all()

    run = lineage.materialize("image_events", "tiny-a")

    assert run.success
    found = metadata_of(run)
    assert found["events"] == len(before) >= 2
    assert {name: found[name] for name in WHAT_BECAME} == dict.fromkeys(WHAT_BECAME, 0)
    assert (found["images_clustered"], found["images_reused"]) == (0, 13)
    assert found["nothing_reused_because"] == "–"
    assert (found["undated_images_joined"], found["undated_images"]) == (13, 0)
    assert 0.6 <= found["lowest_confidence_of_joined"] <= 1
    assert found["images_in_events"] + found["undated_images"] == 26  # a copy counts with its original
    assert found["images_in_events"] == sum(count for _, count in before)
    newest = found["newest_events"]
    assert sorted(event["images"] for event in newest) == sorted(count for _, count in before)
    assert [event["from"] for event in newest] == sorted((event["from"] for event in newest), reverse=True)
    assert found["covers"].startswith("![Covers of the newest events](data:image/webp;base64,")
    assert found["timeline"].startswith("![Events over time](data:image/webp;base64,")
    with lineage.library.engine.connect() as connection:
        after = connection.exec_driver_sql("SELECT id, image_count FROM event ORDER BY id").all()
    assert after == before


def miscounted(lineage: Lineage) -> None:
    lineage.miscount("tiny-b|photos-00000", by=1)


def of_another_dimension(lineage: Lineage) -> None:
    path = min((lineage.home / "embeddings/tiny-b/photos-00000").iterdir())
    table = pq.read_table(path)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([0.5] * 4 * len(table), pa.float16()), 4)
    pq.write_table(table.set_column(2, "vector", vectors), path)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (miscounted, "the file has 4 rows, but its commit record says 5"),
        (of_another_dimension, "the file does not have the columns of embeddings of dimension 24"),
    ],
)
def test_a_file_that_is_not_as_its_record_says_is_named_and_made_again(
    lineage_of_two: Lineage, damage: Callable[[Lineage], None], problem: str
) -> None:
    damage(lineage_of_two)
    refused = lineage_of_two.materialize("vector_index", "tiny-b")
    assert not refused.success
    said = failure_of(refused)
    assert "home/embeddings/tiny-b/photos-00000/0" in said
    assert said.endswith(
        f".parquet: a committed embedding file cannot be read: {problem}. "
        "Materialize the partition tiny-b|photos-00000 of image_embeddings again."
    )

    assert metadata_of(lineage_of_two.materialize_embeddings("tiny-b", "photos-00000"))["lost_files"] == 1
    assert metadata_of(lineage_of_two.materialize("vector_index", "tiny-b"))["rows"] == 26


def test_promotion_and_the_way_back(lineage_of_two: Lineage) -> None:
    lineage_of_two.materialize("vector_index", "tiny-b")

    promoted = metadata_of(lineage_of_two.materialize("serving_model", config={"model": "tiny-b"}))
    assert (promoted["model"], promoted["previous_model"], promoted["images"]) == ("tiny-b", "tiny-a", 26)
    assert promoted["recall_at_10"] == 1.0

    kept = metadata_of(lineage_of_two.materialize("serving_model"))
    assert (kept["model"], kept["previous_model"]) == ("tiny-b", "tiny-a")
    assert kept["way_back"] == promoted["way_back"]
    assert promoted["way_back"] == "To go back, launch the job promote_model with model: tiny-a"

    back = metadata_of(lineage_of_two.materialize("serving_model", config={"model": "tiny-a"}))
    assert (back["model"], back["previous_model"]) == ("tiny-a", "tiny-b")


def test_the_way_back_with_images_missing_and_files_that_cannot_be_read(lineage_of_two: Lineage) -> None:
    lineage_of_two.materialize("vector_index", "tiny-b")
    lineage_of_two.materialize("serving_model", config={"model": "tiny-b"})
    draw_photo(lineage_of_two.library.root / "2025/00.jpg", 500)
    lineage_of_two.materialize("source_files", "photos")
    lineage_of_two.materialize("registered_images", "photos-00002")
    lose_file(lineage_of_two)

    back = metadata_of(lineage_of_two.materialize("serving_model", config={"model": "tiny-a"}))

    del back["way_back"]
    assert back == {"model": "tiny-a", "previous_model": "tiny-b", "images": 27, "not_embedded": 1}


def test_the_way_back_needs_an_index_as_the_contract_says(lineage_of_two: Lineage) -> None:
    lineage_of_two.materialize("vector_index", "tiny-b")
    lineage_of_two.materialize("serving_model", config={"model": "tiny-b"})
    add_column(lineage_of_two)
    refused = lineage_of_two.materialize("serving_model", config={"model": "tiny-a"})
    assert failure_of(refused).startswith(
        "tiny-a cannot serve: the index of tiny-a: rating: expected nothing, found int64"
    )


def test_a_model_that_does_not_cover_every_image_cannot_serve(lineage: Lineage) -> None:
    lineage.materialize_embeddings("tiny-b", "photos-00000")
    lineage.materialize("vector_index", "tiny-b")
    models = [row for row in lineage.rows() if 'INTO "ml_model"' in row]

    refused = lineage.materialize("serving_model", config={"model": "tiny-b"})

    assert not refused.success
    assert failure_of(refused) == (
        "tiny-b cannot serve: 16 of 26 images have no embedding yet: materialize the missing partitions of "
        "image_embeddings for tiny-b. The serving model was not changed."
    )
    assert [row for row in lineage.rows() if 'INTO "ml_model"' in row] == models


def test_a_model_whose_index_is_older_than_its_embeddings_cannot_serve(lineage: Lineage) -> None:
    draw_photo(lineage.library.root / "2025/00.jpg", 500)
    lineage.materialize("source_files", "photos")
    lineage.materialize("registered_images", "photos-00002")
    lineage.materialize_embeddings("tiny-a", "photos-00002")

    refused = lineage.materialize("serving_model", config={"model": "tiny-a"})
    kept = lineage.materialize("serving_model")

    assert metadata_of(kept)["not_embedded"] == 0
    assert not refused.success
    assert "its index has 26 rows for 27 embeddings" in failure_of(refused)
    assert "materialize vector_index for tiny-a" in failure_of(refused)


def relabel(lineage: Lineage) -> None:
    """An embedding file that says it is of other weights."""
    path = min((lineage.home / "embeddings/tiny-a/photos-00000").iterdir())
    table = pq.read_table(path)
    metadata = table.schema.metadata | {b"photolineage.weights_digest": b"of-other-weights"}
    pq.write_table(table.replace_schema_metadata(metadata), path, compression="none")


def lose_file(lineage: Lineage) -> None:
    min((lineage.home / "embeddings/tiny-a/photos-00000").iterdir()).unlink()


def add_column(lineage: Lineage) -> None:
    import lancedb

    lancedb.connect(lineage.home / "index").open_table("tiny-a").add_columns({"rating": "1"})


def rename_column(lineage: Lineage) -> None:
    lineage.execute("ALTER TABLE shard_file RENAME COLUMN row_count TO images")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            relabel,
            r"tiny-a cannot serve: .*0000-\w+\.parquet: photolineage\.weights_digest: expected .*, found of-other",
        ),
        (
            lose_file,
            r"tiny-a cannot serve: .*0000-[0-9a-f]+\.parquet: a committed embedding file cannot be read: ",
        ),
        (
            add_column,
            r"tiny-a cannot serve: the index of tiny-a: rating: expected nothing, found .*\. The serving",
        ),
        (rename_column, r".* between the code and the database, in shard_file\. .* Nothing was written\."),
    ],
)
def test_a_model_that_is_not_as_the_contract_says_cannot_serve(
    lineage: Lineage, spoil: Callable[[Lineage], None], reason: str
) -> None:
    spoil(lineage)
    models = [row for row in lineage.rows() if 'INTO "ml_model"' in row]
    refused = lineage.materialize("serving_model", config={"model": "tiny-a"})
    assert not refused.success
    assert re.match(reason, failure_of(refused))
    assert [row for row in lineage.rows() if 'INTO "ml_model"' in row] == models


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("no-such-model", "model 'no-such-model' is not configured. Configured models: tiny-a, tiny-b"),
        ("tiny-b", "model 'tiny-b' has no embeddings yet. Materialize image_embeddings for it first."),
    ],
)
def test_a_model_that_is_not_there_cannot_serve(lineage: Lineage, model: str, reason: str) -> None:
    refused = lineage.materialize("serving_model", config={"model": model})
    assert not refused.success
    assert reason in failure_of(refused)


def test_no_model_serves_before_anything_is_embedded(new_lineage: Lineage) -> None:
    new_lineage.materialize("catalog_schema")
    refused = new_lineage.materialize("serving_model")
    assert failure_of(refused) == "no model has embeddings yet: materialize image_embeddings first."


def test_a_library_without_times_has_no_events(new_lineage: Lineage) -> None:
    shutil.rmtree(new_lineage.library.root)
    for number in range(3):
        draw_photo(new_lineage.library.root / f"{number}.jpg", number)
    new_lineage.build("tiny-a")

    found = metadata_of(new_lineage.materialize("image_events", "tiny-a"))

    assert (found["events"], found["images_in_events"], found["undated_images"]) == (0, 0, 3)
    assert found["newest_events"] == []
    assert found["covers"] == found["timeline"] == "No events yet."


def test_events_that_are_taken_apart_and_put_together_are_counted(lineage: Lineage) -> None:
    """The former events are rewritten by hand: the first one into halves, which clustering puts together again."""
    with lineage.library.engine.connect() as connection:
        first, count = connection.exec_driver_sql(
            "SELECT id, image_count FROM event ORDER BY starts_at LIMIT 1"
        ).one()
    lineage.execute(
        "INSERT INTO event (model_id, title, starts_at, ends_at, image_count, confidence, updated_at) "
        f"SELECT model_id, title, starts_at, ends_at, 1, confidence, updated_at FROM event WHERE id = {first}",
        "UPDATE event_image SET event_id = (SELECT max(id) FROM event) WHERE image_id IN "
        f"(SELECT image_id FROM event_image WHERE event_id = {first} ORDER BY image_id LIMIT {count // 2})",
    )

    found = metadata_of(lineage.materialize("image_events", "tiny-a"))

    became = {"created": 0, "grown": 1, "shrunk": 0, "split": 0, "merged": 1, "vanished": 1}
    assert {name: found[name] for name in WHAT_BECAME} == became


def test_an_event_that_was_two_is_counted_as_split(lineage: Lineage) -> None:
    with lineage.library.engine.connect() as connection:
        first, second = connection.exec_driver_sql(
            "SELECT id FROM event ORDER BY starts_at LIMIT 2"
        ).scalars()
    lineage.execute(
        f"UPDATE event_image SET event_id = {first} WHERE event_id = {second}",
        f"DELETE FROM event WHERE id = {second}",
    )

    found = metadata_of(lineage.materialize("image_events", "tiny-a"))

    assert (found["created"], found["split"], found["merged"]) == (1, 1, 0)


def test_events_of_other_weights_under_a_known_key_are_refused(lineage: Lineage, tmp_path: Path) -> None:
    """Their titles would be chosen by vectors that mean something else."""
    other = write_tiny_model(tmp_path / "other", dim=16, seed=99)
    change_model(lineage, "tiny-a", other)
    events = [row for row in lineage.rows() if 'INTO "event"' in row]
    with open_lineage(lineage.config_file) as changed:
        refused = changed.materialize("image_events", "tiny-a")
    assert failure_of(refused).startswith("models.tiny-a: the weights or the precision differ")
    assert [row for row in lineage.rows() if 'INTO "event"' in row] == events
