"""How the lineage is partitioned: by source, by shard, by model, and by model × shard."""

from dagster import (
    DynamicPartitionsDefinition,
    MultiPartitionKey,
    MultiPartitionsDefinition,
    StaticPartitionsDefinition,
)

from photolineage.settings import Settings

SHARDS = DynamicPartitionsDefinition(name="shard")
"""Shards come to exist when `source_files` is materialized."""


def source_partitions(settings: Settings) -> StaticPartitionsDefinition:
    """One partition for each configured source."""
    return StaticPartitionsDefinition(list(settings.sources))


def model_partitions(settings: Settings) -> StaticPartitionsDefinition:
    """One partition for each configured model."""
    return StaticPartitionsDefinition(list(settings.models))


def model_shard_partitions(settings: Settings) -> MultiPartitionsDefinition:
    """One partition for each model and shard."""
    return MultiPartitionsDefinition({"model": model_partitions(settings), "shard": SHARDS})


def model_shard_key(model_key: str, shard_key: str) -> MultiPartitionKey:
    """The partition key of one model and shard."""
    return MultiPartitionKey({"model": model_key, "shard": shard_key})
