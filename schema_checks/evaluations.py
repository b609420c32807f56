"""Records the result of a check of one partition, in a run that Dagster gives no partition or several."""

from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetKey,
    AssetRecordsFilter,
    DagsterInstance,
)

from resources.dagster_internals import AssetCheckEvaluationTargetMaterializationData


def evaluation(
    instance: DagsterInstance,
    asset: str,
    result: AssetCheckResult,
    partition_key: str | None,
    *,
    blocking: bool = False,
) -> AssetCheckEvaluation:
    """The result as an event about the latest materialization of the partition, or of an asset without partitions.

    The UI shows a check as missing if its event names an older materialization than the latest.
    """
    return AssetCheckEvaluation(
        AssetKey(asset),
        str(result.check_name),
        result.passed,
        metadata=result.metadata,
        target_materialization_data=_latest_materialization(instance, asset, partition_key),
        severity=result.severity,
        description=result.description,
        blocking=blocking,
        partition=partition_key,
    )


def _latest_materialization(
    instance: DagsterInstance, asset: str, partition_key: str | None
) -> AssetCheckEvaluationTargetMaterializationData | None:
    partitions = None if partition_key is None else [partition_key]
    records = instance.fetch_materializations(
        AssetRecordsFilter(AssetKey(asset), asset_partitions=partitions), limit=1
    ).records
    if not records:
        return None
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=records[0].storage_id, run_id=records[0].run_id, timestamp=records[0].timestamp
    )
