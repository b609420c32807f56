"""The table of steps: what it says of the catalog, and the keys of partitions."""

import pytest

from photolineage.catalog.orm import Base
from photolineage.lineage import (
    IMAGE_EMBEDDINGS,
    JOB_STEPS,
    REGISTERED_IMAGES,
    SOURCE_FILES,
    STEPS,
    VECTOR_INDEX,
    JobKind,
    PartitionedBy,
    Step,
    Subject,
    partition_subject,
    shard_key,
    split_partition_key,
)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_reads_only_steps_before_it(step: Step) -> None:
    assert set(step.reads) <= set(STEPS[: STEPS.index(step)])


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_tables_of_a_step_are_in_the_catalog(step: Step) -> None:
    assert step.tables <= Base.metadata.tables.keys()
    if step.job is not None:
        assert "ml_job" in step.tables  # it takes a lease


def test_every_kind_of_job_is_of_one_step() -> None:
    assert list(JOB_STEPS) == list(JobKind)
    assert len([step for step in STEPS if step.job is not None]) == len(JobKind)
    assert all(step.title for step in JOB_STEPS.values())


def test_steps_from_the_first_with_a_model_on_need_a_model() -> None:
    assert [step.name for step in STEPS if not step.needs_model] == [
        "catalog_schema",
        "source_files",
        "registered_images",
        "verified_originals",
        "library_status",
    ]


def test_a_step_comes_after_all_that_it_reads_directly_or_not() -> None:
    assert IMAGE_EMBEDDINGS.comes_after([REGISTERED_IMAGES])
    assert VECTOR_INDEX.comes_after([SOURCE_FILES])
    assert not VECTOR_INDEX.comes_after([VECTOR_INDEX])
    assert not SOURCE_FILES.comes_after([REGISTERED_IMAGES])


@pytest.mark.parametrize("source", ["photos", "holiday-2024", "a-00001"])
@pytest.mark.parametrize("number", [0, 12, 123_456])
def test_a_partition_key_tells_what_it_is_about(source: str, number: int) -> None:
    shard = shard_key(source, number)
    pair = partition_subject("vit-b-32", shard)
    assert SOURCE_FILES.subject(source) == Subject(source=source)
    assert REGISTERED_IMAGES.subject(shard) == Subject(source, shard)
    assert IMAGE_EMBEDDINGS.subject(pair) == Subject(source, shard, "vit-b-32")
    assert VECTOR_INDEX.subject("vit-b-32") == Subject(model="vit-b-32")


@pytest.mark.parametrize(
    "step",
    [step for step in STEPS if step.partitioned_by is PartitionedBy.NOTHING],
    ids=lambda step: step.name,
)
def test_a_step_without_partitions_has_no_subject(step: Step) -> None:
    with pytest.raises(ValueError, match=f"{step.name} has no partitions"):
        step.subject("photos")


def test_a_key_of_one_dimension_is_not_split_into_two() -> None:
    with pytest.raises(ValueError, match="'photos-00000': expected a model and a shard"):
        split_partition_key("photos-00000")
