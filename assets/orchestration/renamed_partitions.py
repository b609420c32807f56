"""The Dagster partitions of a source that is renamed or forgotten. What is recorded of them moves to the new ones."""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from dagster import AssetKey, AssetMaterialization, AssetRecordsFilter, DagsterInstance

from assets.orchestration.data_versions import DATA_VERSION_TAG, data_version, input_tags
from assets.orchestration.lineage_run import prepare_dagster_home
from assets.orchestration.partitions import SHARDS, dagster_key
from photolineage.catalog.engine import reading
from photolineage.lineage import JOB_STEPS, PartitionedBy, Step, partition_subject, source_of_shard
from photolineage.settings import Settings


def rename_partitions(settings: Settings, sources: tuple[str, str], shards: Mapping[str, str]) -> None:
    """Replace partitions by those with the new names, which count as materialized if the former ones do.

    `sources`: the old and the new key of the source. `shards`: the new key of each shard by the old one.
    """
    prepare_dagster_home(settings)
    engine = settings.catalog.open_engine()
    with DagsterInstance.get() as instance, reading(engine) as connection:
        instance.add_dynamic_partitions(str(SHARDS.name), list(shards.values()))
        for step in JOB_STEPS.values():
            materialized = set(instance.get_materialized_partitions(AssetKey(step.name)))
            # The input of a source is the schema, which has no partitions: what the former one recorded still holds.
            by_source = step.partitioned_by is PartitionedBy.SOURCE
            inputs = {} if by_source else input_tags(instance, step, f"renamed-{uuid4().hex}")
            for old, new in _renamed(step, sources, shards, list(settings.models)).items():
                if old in materialized and new not in materialized:
                    version = data_version(connection, step, new)
                    tags = inputs | ({} if version is None else {DATA_VERSION_TAG: version})
                    _record_again(instance, step, old, new, tags)
        for shard in (*_partitions_of(instance, sources[0]), *_partitions_of(instance, sources[1])):
            if shard not in shards.values():
                instance.delete_dynamic_partition(str(SHARDS.name), shard)
    engine.dispose()


def remove_partitions(settings: Settings, source: str) -> None:
    """Remove the partitions of a source that the catalog no longer has."""
    prepare_dagster_home(settings)
    with DagsterInstance.get() as instance:
        for shard in _partitions_of(instance, source):
            instance.delete_dynamic_partition(str(SHARDS.name), shard)


def has_partitions(settings: Settings, source: str) -> bool:
    """Whether Dagster has partitions of a source's shards."""
    prepare_dagster_home(settings)
    with DagsterInstance.get() as instance:
        return bool(_partitions_of(instance, source))


def _partitions_of(instance: DagsterInstance, source: str) -> list[str]:
    known = instance.get_dynamic_partitions(str(SHARDS.name))
    return [shard for shard in known if source_of_shard(shard) == source]


def _renamed(
    step: Step, sources: tuple[str, str], shards: Mapping[str, str], models: Sequence[str]
) -> Mapping[str, str]:
    match step.partitioned_by:
        case PartitionedBy.SOURCE:
            return {sources[0]: sources[1]}
        case PartitionedBy.SHARD:
            return shards
        case PartitionedBy.MODEL_AND_SHARD:
            return {
                partition_subject(model, old): partition_subject(model, new)
                for model in models
                for old, new in shards.items()
            }
        case _:
            return {}


def _record_again(instance: DagsterInstance, step: Step, old: str, new: str, tags: dict[str, str]) -> None:
    """Record the newest materialization of a partition for the one with the new name."""
    newest = instance.fetch_materializations(
        AssetRecordsFilter(asset_key=AssetKey(step.name), asset_partitions=[old]), limit=1
    ).records
    former = newest[0].asset_materialization if newest else None
    instance.report_runless_asset_event(
        AssetMaterialization(
            step.name,
            description=f"The source was renamed; this partition was {old}.",
            partition=dagster_key(step, new),
            metadata=dict(former.metadata) if former is not None else {},
            tags=_inputs_of(former) | tags,
        )
    )


def _inputs_of(former: AssetMaterialization | None) -> dict[str, str]:
    """The tags of a materialization that record its inputs, without the version of its own data."""
    tags = {} if former is None else former.tags or {}
    return {name: tag for name, tag in tags.items() if name.startswith(("dagster/input_", "dagster/code_"))}
