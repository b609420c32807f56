"""`image_embeddings`: committed checkpoints, resumed work, and backfills that keep what they have done."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from dagster import AssetCheckKey, AssetCheckSeverity, AssetKey, DagsterEventType, ExecuteInProcessResult
from sqlalchemy import select

from assets.orchestration.partitions import model_shard_key
from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.orm import MlJob
from photolineage.catalog.vocabulary import JobState, Precision
from photolineage.lineage import JobKind
from photolineage.models.embedder import Embedder
from photolineage.models.ways import WAYS
from tests.library import touch
from tests.lineage import Lineage, failure_of, metadata_of, open_lineage, plain, steps_of

COUNTS = ("images", "embedded_now", "resumed", "checkpoints", "embedding_dim", "device")


OTHER_WEIGHTS = "models.tiny-a: the weights or the precision differ from those of the model's embeddings."


def counts(metadata: dict[str, object]) -> dict[str, object]:
    return {name: metadata[name] for name in COUNTS}


@contextmanager
def folder_taken(lineage: Lineage, partition: str) -> Iterator[None]:
    """With a file where the partition's folder has to be: its embedding fails until the file is gone."""
    path = lineage.home / "embeddings" / partition.replace("|", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    yield
    path.unlink()


def test_a_partition_and_what_its_metadata_say(lineage: Lineage) -> None:
    run = lineage.materialize_embeddings("tiny-b", "photos-00000")

    assert run.success
    found = metadata_of(run)
    assert counts(found) == {
        "images": 10,
        "embedded_now": 10,
        "resumed": 0,
        "checkpoints": 3,
        "embedding_dim": 24,
        "device": "cpu",
    }
    assert found["images_per_second"] > 0
    assert len(found["weights_digest"]) == 16
    assert found["precision"].split(" ")[0] in set(Precision)
    measured = list(found["measured"])
    assert [(row["precision"], row["backend"]) for row in measured] == [
        (way.precision, way.backend) for way in WAYS["cpu"]
    ]
    (used,) = (row for row in measured if row["note"] == "used")
    assert used["backend"] == found["backend"]
    assert used["precision"] in found["precision"]
    assert used["images/s"] > 0
    assert {name: check.passed for name, check in lineage.checks_of(run).items()} == {
        "catalog_contract": True,
        "model_contract": True,
        "embedding_files": True,
        "up_to_date": True,
    }
    assert "tiny-b|photos-00000" in lineage.materialized_partitions("image_embeddings")


def test_neither_copies_nor_unreadable_images_are_embedded(lineage: Lineage) -> None:
    found = metadata_of(lineage.materialize_embeddings("tiny-b", "photos-00001"))
    assert counts(found) | {"embedding_dim": 24} == {
        "images": 8,
        "embedded_now": 8,
        "resumed": 0,
        "checkpoints": 2,
        "embedding_dim": 24,
        "device": "cpu",
    }


def test_a_second_materialization_embeds_nothing(lineage: Lineage) -> None:
    files = lineage.files()

    found = metadata_of(lineage.materialize_embeddings("tiny-a", "photos-00000"))

    assert (found["images"], found["embedded_now"], found["resumed"], found["checkpoints"]) == (10, 0, 10, 0)
    assert lineage.files() == files


def test_only_a_changed_image_is_embedded_again(lineage: Lineage) -> None:
    changed = lineage.library.root / "2023/01.jpg"
    changed.write_bytes((lineage.library.root / "2024/12.jpg").read_bytes()[:-2] + b"\x00\xff\xd9")
    touch(changed)
    lineage.materialize("source_files", "photos")
    lineage.materialize("registered_images", "photos-00000")

    found = metadata_of(lineage.materialize_embeddings("tiny-a", "photos-00000"))

    assert (found["images"], found["embedded_now"], found["resumed"], found["checkpoints"]) == (10, 1, 9, 1)


def test_an_unregistered_shard_is_refused(new_lineage: Lineage) -> None:
    new_lineage.materialize("catalog_schema")
    new_lineage.materialize("source_files", "photos")

    run = new_lineage.materialize_embeddings("tiny-a", "photos-00000")

    assert not run.success
    assert "shard 'photos-00000': its images are not registered" in failure_of(run)


def test_a_backfill_in_one_run_records_each_partition(lineage: Lineage) -> None:
    run = lineage.materialize(
        "image_embeddings", partition_range=("tiny-b|photos-00000", "tiny-b|photos-00002")
    )

    assert run.success
    assert recorded(lineage, run) == {
        "tiny-b|photos-00000": 10,
        "tiny-b|photos-00001": 8,
        "tiny-b|photos-00002": 8,
    }


def recorded(lineage: Lineage, run: ExecuteInProcessResult) -> dict[str, int]:
    """The images that a run embedded, by the partitions that it recorded, in their order."""
    entries = lineage.instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
    materializations = [
        entry.get_dagster_event().step_materialization_data.materialization for entry in entries
    ]
    return {str(one.partition): plain(one.metadata)["embedded_now"] for one in materializations}


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_run_of_a_range_evaluates_every_check_of_each_partition(lineage: Lineage, partitions: int) -> None:
    keys = model_keys(lineage, "tiny-b")[:partitions]

    run = lineage.materialize("image_embeddings", partition_range=(keys[0], keys[-1]))

    assert run.success
    evaluations = lineage.evaluations_of(run)
    names = ("catalog_contract", "model_contract", "embedding_files")
    assert Counter((one.partition, one.check_name) for one in evaluations) == Counter(
        [*((key, name) for key in keys for name in names), (None, "up_to_date")]
    )
    assert all(one.passed for one in evaluations)
    for name in names:
        info = lineage.instance.event_log_storage.get_asset_check_partition_info(
            [AssetCheckKey(AssetKey("image_embeddings"), name)]
        )
        of_run = {one.partition_key: one for one in info if one.latest_planned_run_id == run.run_id}
        assert set(of_run) == set(keys)
        for one in of_run.values():  # the UI shows a check of an older materialization as missing
            assert one.latest_execution_status.value == "SUCCEEDED"
            assert one.latest_target_materialization_storage_id == one.latest_materialization_storage_id


def test_a_failing_partition_does_not_stop_the_others(lineage: Lineage) -> None:
    first, second, third = model_keys(lineage, "tiny-b")
    with folder_taken(lineage, second):
        failed = lineage.materialize("image_embeddings", partition_range=(first, third))
    assert not failed.success
    assert recorded(lineage, failed) == {first: 10, third: 8}
    assert failure_of(failed).startswith(
        f"1 of 3 partitions failed. The other partitions are materialized.\n- {second}: "
    )
    assert "Not a directory" in failure_of(failed)
    assert second not in lineage.materialized_partitions("image_embeddings")
    not_evaluated = [one for one in lineage.evaluations_of(failed) if not one.passed]
    assert {(one.partition, one.check_name) for one in not_evaluated} == {
        (second, "model_contract"),
        (second, "embedding_files"),
    }
    for one in not_evaluated:
        assert str(one.description).startswith("Not evaluated, because the partition was not materialized: ")
        assert "Not a directory" in str(one.description)

    again = lineage.materialize("image_embeddings", partition_range=(first, third))

    assert again.success
    assert recorded(lineage, again) == {first: 0, second: 8, third: 0}


def test_a_run_says_why_each_of_its_partitions_failed(lineage: Lineage) -> None:
    keys = model_keys(lineage, "tiny-b")
    lineage.execute(
        "UPDATE ml_job SET state = 'failed' WHERE kind = 'register' AND subject != 'photos-00001'"
    )
    with folder_taken(lineage, keys[1]):
        failed = lineage.materialize("image_embeddings", partition_range=(keys[0], keys[2]))

    said = failure_of(failed).splitlines()
    assert said[0].strip() == "3 of 3 partitions failed."
    assert [line.split(":")[0] for line in said[1:]] == [f"- {key}" for key in keys]
    assert "shard 'photos-00000': its images are not registered" in said[1]
    assert "Not a directory" in said[2]
    assert recorded(lineage, failed) == {}


def test_a_model_that_cannot_be_loaded_fails_its_own_partitions(
    lineage: Lineage, tiny_models: Mapping[str, Path], tmp_path: Path
) -> None:
    bare = shutil.copytree(tiny_models["tiny-a"], tmp_path / "bare")
    (bare / "open_clip_model.safetensors").unlink()
    configuration = lineage.config_file.read_text()
    lineage.config_file.write_text(configuration.replace(str(tiny_models["tiny-a"]), str(bare)))
    both = ("tiny-a|photos-00000", "tiny-b|photos-00002")

    with open_lineage(lineage.config_file) as broken:
        run = broken.materialize("image_embeddings", partition_range=both)

    assert not run.success
    assert list(recorded(broken, run)) == model_keys(lineage, "tiny-b")
    summary, reason = failure_of(run).splitlines()
    assert summary == "3 of 6 partitions failed. The other partitions are materialized."
    assert reason.startswith(f"- {', '.join(model_keys(lineage, 'tiny-a'))}: ")
    assert f"models.tiny-a: local-dir:{bare} cannot be loaded: " in reason


def test_other_weights_fail_the_partitions_of_their_model_alone(lineage: Lineage) -> None:
    lineage.execute("UPDATE ml_model SET weights_digest = '07e407e4' WHERE key = 'tiny-a'")
    before = {name for name in lineage.files() if "/tiny-a/" in name}

    run = lineage.materialize(
        "image_embeddings", partition_range=("tiny-a|photos-00000", "tiny-b|photos-00002")
    )

    assert list(recorded(lineage, run)) == model_keys(lineage, "tiny-b")
    assert OTHER_WEIGHTS in failure_of(run)
    outcomes = {
        (one.partition, one.check_name): (one.passed, one.severity) for one in lineage.evaluations_of(run)
    }
    for key in model_keys(lineage, "tiny-a"):
        assert outcomes[key, "catalog_contract"] == (True, AssetCheckSeverity.ERROR)
        assert outcomes[key, "model_contract"] == (False, AssetCheckSeverity.ERROR)
        assert outcomes[key, "embedding_files"] == (False, AssetCheckSeverity.WARN)
    for key in model_keys(lineage, "tiny-b"):
        for check in ("catalog_contract", "model_contract", "embedding_files"):
            assert outcomes[key, check] == (True, AssetCheckSeverity.ERROR)
    assert len(outcomes) == 6 * 3 + 1  # and up_to_date of the asset
    assert {name for name in lineage.files() if "/tiny-a/" in name} == before


def model_keys(lineage: Lineage, model: str) -> list[str]:
    return [str(model_shard_key(model, shard)) for shard in lineage.shards]


def test_other_weights_under_a_known_key_are_refused(lineage: Lineage) -> None:
    lineage.execute("UPDATE ml_model SET weights_digest = '07e407e4'")
    files = lineage.files()

    run = lineage.materialize_embeddings("tiny-a", "photos-00000")

    assert not run.success
    assert OTHER_WEIGHTS in failure_of(run)
    assert lineage.files() == files


def test_a_held_lease_names_its_holder_and_is_not_retried(lineage: Lineage) -> None:
    acquire_lease(
        lineage.library.engine,
        JobKind.EMBED,
        "tiny-b|photos-00000",
        run_id="the-other-run",
        input_version="1",
        timeout=timedelta(minutes=5),
    )

    run = lineage.materialize_embeddings("tiny-b", "photos-00000")

    assert not run.success
    assert "run the-other-run (process" in failure_of(run)
    assert not is_retried(lineage, run)
    with lineage.library.engine.connect() as connection:
        holders = connection.execute(select(MlJob.run_id).where(MlJob.state == JobState.RUNNING)).scalars()
        assert list(holders) == ["the-other-run"]


def is_retried(lineage: Lineage, run: ExecuteInProcessResult) -> bool:
    record = lineage.instance.get_run_by_id(run.run_id)
    assert record is not None
    return "STEP_UP_FOR_RETRY" in steps_of(run) or record.tags["dagster/will_retry"] != "false"


def test_images_without_a_vector_fail_their_partition_which_is_not_retried(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Embedder, "encode_batch", lambda _, batch: np.full((len(batch), 24), np.nan, np.float32)
    )

    run = lineage.materialize_embeddings("tiny-b", "photos-00000")

    assert not run.success
    assert failure_of(run).startswith("shard 'photos-00000': 10 images were not embedded, because")
    assert not is_retried(lineage, run)
