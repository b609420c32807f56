"""Dagster's partitions and partition keys for each step of the lineage."""

from typing import Any

from dagster import (
    AllPartitionMapping,
    AssetDep,
    DagsterInstance,
    DynamicPartitionsDefinition,
    MultiPartitionKey,
    MultiPartitionsDefinition,
    PartitionsDefinition,
    StaticPartitionsDefinition,
)
from sqlalchemy import Engine

from photolineage.catalog.engine import reading
from photolineage.catalog.queries import shard_keys
from photolineage.lineage import PartitionedBy, Step, split_partition_key
from photolineage.settings import Settings

SHARDS = DynamicPartitionsDefinition(name="shard")
"""The asset `source_files` adds the shards."""


def partitions_without_shard(instance: DagsterInstance, engine: Engine) -> list[str]:
    """The partitions that the catalog has no shard for: somebody added them in the UI."""
    before = instance.get_dynamic_partitions(
        str(SHARDS.name)
    )  # first: a shard is in the catalog before it is here
    with reading(engine) as connection:
        shards = shard_keys(connection)
    return sorted(set(before).difference(shards))


def model_partitions(settings: Settings) -> StaticPartitionsDefinition:
    """One partition for each configured model."""
    return StaticPartitionsDefinition(list(settings.models))


def model_shard_partitions(settings: Settings) -> MultiPartitionsDefinition:
    """One partition for each model and shard."""
    return MultiPartitionsDefinition({"model": model_partitions(settings), "shard": SHARDS})


def partitions_of(step: Step, settings: Settings) -> PartitionsDefinition[Any] | None:
    """The partitions of a step; None for an unpartitioned step."""
    match step.partitioned_by:
        case PartitionedBy.NOTHING:
            return None
        case PartitionedBy.SOURCE:
            return StaticPartitionsDefinition(list(settings.sources))
        case PartitionedBy.SHARD:
            return SHARDS
        case PartitionedBy.MODEL:
            return model_partitions(settings)
        case PartitionedBy.MODEL_AND_SHARD:
            return model_shard_partitions(settings)


def dependencies_of(step: Step) -> list[AssetDep]:
    """The dependencies of a step.

    Each shard depends on all sources: by default Dagster would look for a source with the shard's key.
    """
    by_shard = step.partitioned_by is PartitionedBy.SHARD
    return [
        AssetDep(upstream.name, partition_mapping=AllPartitionMapping())
        if by_shard and upstream.partitioned_by is PartitionedBy.SOURCE
        else AssetDep(upstream.name)
        for upstream in step.reads
    ]


def model_shard_key(model_key: str, shard_key: str) -> MultiPartitionKey:
    """The partition key of a model and a shard."""
    return MultiPartitionKey({"model": model_key, "shard": shard_key})


def dagster_key(step: Step, partition_key: str) -> str:
    """The partition key in the type that Dagster expects: a MultiPartitionKey for a model and a shard."""
    if step.partitioned_by is PartitionedBy.MODEL_AND_SHARD:
        return model_shard_key(*split_partition_key(partition_key))
    return partition_key
