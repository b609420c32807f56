"""Dagster's partitions and partition keys for each step of the lineage."""

import logging
import os
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

from photolineage.catalog.engine import reading, require_reachable
from photolineage.catalog.migrate import catalog_revision
from photolineage.catalog.queries import scanned_source_keys, shard_keys
from photolineage.errors import PhotolineageError
from photolineage.lineage import PartitionedBy, Step, shard_key, split_partition_key
from photolineage.settings import Settings
from resources.own_server import is_own_server

SHARDS = DynamicPartitionsDefinition(name="shard")
"""The shards of the catalog, and the first shard of each source that was never scanned.

Without the latter, an asset of a new library would have no partitions. Dagster shows such an asset as complete, and a
backfill of everything would leave it out and begin with the assets after it.
"""
NO_SOURCE, NO_MODEL = "add-a-source", "add-a-model"
"""The only partition of an asset if the configuration has no source or no model: see `lacking`."""


def lacking(step: Step, settings: Settings) -> str | None:
    """What to add to the configuration before the step can run, in one sentence; None if nothing."""
    if step.partitioned_by is PartitionedBy.SOURCE and not settings.sources:
        what = "no folder of photos is configured. Add a section `[sources.<key>]`"
    elif step.needs_model and not settings.models:
        what = "no model is configured. Add a section `[models.<key>]`"
    else:
        return None
    return f"{what} to `{settings.config_name}`, then reload the code location (Deployment → Reload)."


def compare_shards(
    instance: DagsterInstance, engine: Engine, settings: Settings
) -> tuple[list[str], list[str]]:
    """The keys that `SHARDS` lacks; and those that it should not have, because somebody added them in the UI.

    The catalog is new or at the revision of the code.
    """
    # Before the catalog: a scan adds a shard first to the catalog, then to Dagster.
    found = set(instance.get_dynamic_partitions(str(SHARDS.name)))
    unscanned, shards = set(settings.sources) or {NO_SOURCE}, []
    with reading(engine) as connection:
        if catalog_revision(connection).is_current:
            unscanned, shards = unscanned - scanned_source_keys(connection), shard_keys(connection)
    expected = {*shards, *(shard_key(source, 0) for source in unscanned)}
    return sorted(expected - found), sorted(found - expected)


def adjust_shards(
    instance: DagsterInstance, engine: Engine, settings: Settings
) -> tuple[list[str], list[str]]:
    """Let `SHARDS` have the keys that it should have. Returns those that were added, and those that were removed."""
    lacking_keys, unknown = compare_shards(instance, engine, settings)
    instance.add_dynamic_partitions(str(SHARDS.name), lacking_keys)
    for name in unknown:
        instance.delete_dynamic_partition(str(SHARDS.name), name)
    return lacking_keys, unknown


def adjust_shards_at_load(settings: Settings) -> None:
    """`adjust_shards` when the code location loads: a source may be new. Skipped if the catalog cannot be used now.

    Only under `photolineage ui`, because other servers may have another instance.
    """
    if not is_own_server() or os.environ.get("DAGSTER_HOME") != str(settings.dagster_home):
        return
    engine = settings.catalog.open_engine()
    try:
        require_reachable(engine)
        with reading(engine) as connection:
            revision = catalog_revision(connection)
        if revision.is_current or not revision.has_tables:
            with DagsterInstance.get() as instance:
                adjust_shards(instance, engine, settings)
    except PhotolineageError as error:  # the runs say it
        logging.getLogger("photolineage").warning(str(error))
    finally:
        engine.dispose()


def model_partitions(settings: Settings) -> StaticPartitionsDefinition:
    """One partition for each configured model."""
    return StaticPartitionsDefinition(list(settings.models) or [NO_MODEL])


def model_shard_partitions(settings: Settings) -> MultiPartitionsDefinition:
    """One partition for each model and shard."""
    return MultiPartitionsDefinition({"model": model_partitions(settings), "shard": SHARDS})


def partitions_of(step: Step, settings: Settings) -> PartitionsDefinition[Any] | None:
    """The partitions of a step; None for an unpartitioned step."""
    match step.partitioned_by:
        case PartitionedBy.NOTHING:
            return None
        case PartitionedBy.SOURCE:
            return StaticPartitionsDefinition(list(settings.sources) or [NO_SOURCE])
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
