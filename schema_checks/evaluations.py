"""Records results of checks where Dagster would not: of one partition of several in a run, or outside of a run."""

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetCheckResult,
    AssetKey,
    AssetRecordsFilter,
    DagsterInstance,
)

from resources.dagster_internals import (
    AssetCheckEvaluationTargetMaterializationData,
    AssetCheckExecutionRecord,
)

NOT_EVALUATED = "Not evaluated, because "
"""The beginning of the description of a check that something else has kept from being evaluated."""


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


def record_change(instance: DagsterInstance, result: AssetCheckResult) -> None:
    """Record the result of a check of a whole asset outside of a run, unless the newest result is the same."""
    newest = _newest(instance, result)
    recorded: object = newest.evaluation if newest is not None else None
    if not isinstance(recorded, AssetCheckEvaluation) or (  # it is a plan while a run waits
        (recorded.passed, recorded.description) != (result.passed, result.description)
    ):
        _record(instance, result)


def record_newest(instance: DagsterInstance, result: AssetCheckResult, run_id: str) -> None:
    """Record the result of a run's check outside of the run too, if the check has a newer record than the run's.

    Dagster makes the record of a run's check when the run is created, and later fills in the result. The UI shows the
    newest record: one that was made while the run waited in the queue would hide the run's result.
    """
    newest = _newest(instance, result)
    if newest is not None and newest.run_id != run_id:
        _record(instance, result)


def _newest(instance: DagsterInstance, result: AssetCheckResult) -> AssetCheckExecutionRecord | None:
    assert result.asset_key is not None
    key = AssetCheckKey(result.asset_key, str(result.check_name))
    return instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)


def _record(instance: DagsterInstance, result: AssetCheckResult) -> None:
    assert result.asset_key is not None
    instance.report_runless_asset_event(
        evaluation(instance, result.asset_key.to_user_string(), result, partition_key=None)
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
