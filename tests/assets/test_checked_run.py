"""What a run of a range records of its partitions and checks when something goes wrong on the way."""

import pytest
from dagster import AssetExecutionContext, DagsterExecutionInterruptedError

from photolineage.checks import stores
from photolineage.steps.progress import OnProgress
from resources.dagster_internals import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from resources.progress import LoggedProgress
from tests.lineage import QUIET, Lineage, failure_of

FIRST, SECOND, THIRD = (f"tiny-b|photos-{number:05}" for number in range(3))


def test_a_check_that_raises_has_failed_and_its_partition_is_materialized(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_arguments: object) -> None:
        raise MemoryError("cannot allocate 12 GB")

    monkeypatch.setattr(stores, "check_embedding_files", no_memory)
    run = lineage.materialize("image_embeddings", partition_range=(FIRST, SECOND))

    assert run.success, failure_of(run)
    assert lineage.materialized_partitions("image_embeddings") >= {FIRST, SECOND}
    found = {(one.partition, one.check_name): one for one in lineage.evaluations_of(run)}
    for partition in (FIRST, SECOND):
        assert found[partition, "catalog_contract"].passed
        assert found[partition, "model_contract"].passed
        failed = found[partition, "embedding_files"]
        assert not failed.passed
        assert failed.description == "MemoryError: cannot allocate 12 GB"


class EndedAt(LoggedProgress):
    """Somebody ends the run when it comes to a partition."""

    def __init__(self, partition: str) -> None:
        self.partition = partition

    def track(self, context: AssetExecutionContext, label: str) -> OnProgress:
        if label == self.partition:
            raise DagsterExecutionInterruptedError("stopped at a checkpoint")
        return super().track(context, label)


def test_a_run_that_is_ended_says_what_was_not_checked(lineage: Lineage) -> None:
    job = lineage.definitions.resolve_job_def("materialize_image_embeddings")
    run = job.execute_in_process(
        instance=lineage.instance,
        tags={ASSET_PARTITION_RANGE_START_TAG: FIRST, ASSET_PARTITION_RANGE_END_TAG: THIRD},
        run_config=QUIET,
        resources={"progress": EndedAt(SECOND)},
        raise_on_error=False,
    )

    assert not run.success
    found = {(one.partition, one.check_name): one for one in lineage.evaluations_of(run)}
    assert found[FIRST, "embedding_files"].passed
    for partition in (SECOND, THIRD):
        assert found[partition, "catalog_contract"].passed
        for name in ("model_contract", "embedding_files"):
            said = "Not evaluated, because the partition was not materialized: the run was ended."
            assert found[partition, name].description == said
    assert (None, "up_to_date") in found
    assert lineage.materialized_partitions("image_embeddings") & {FIRST, SECOND, THIRD} == {FIRST}
