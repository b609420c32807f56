"""One tick of the sensor `stale_partitions`, and the partitions of the runs that it asks for."""

from dagster import DagsterRun, DagsterRunStatus, RunRequest, SensorEvaluationContext

from resources.home import catalog_resource, storage_resource
from tests.dagster_internals import SensorExecutionData, partition_loading_context
from tests.lineage import Lineage


def tick(lineage: Lineage, cursor: str | None = None, **changed: int) -> SensorExecutionData:
    """What the sensor says; the shards that it names are added. `changed`: settings."""
    settings = lineage.library.settings.model_copy(update=changed)
    sensor = lineage.definitions.resolve_sensor_def("stale_partitions")
    context = SensorEvaluationContext(
        instance_ref=lineage.instance.get_ref(),
        last_tick_completion_time=None,
        last_run_key=None,
        cursor=cursor,
        repository_name=None,
        resources={
            "catalog": catalog_resource(settings),
            "storage": storage_resource(settings),
            "settings": settings,
        },
        definitions=lineage.definitions,
    )
    with context:
        data = sensor.evaluate_tick(context)
        for request in data.dynamic_partitions_requests or []:
            lineage.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
    return data


def partitions_of(lineage: Lineage, request: RunRequest) -> list[str]:
    """The partitions that a run of the request has: Dagster says which of them a range covers."""
    if request.partition_key is not None:
        return [str(request.partition_key)]
    partitions = lineage.definitions.resolve_job_def(str(request.job_name)).partitions_def
    assert partitions is not None
    assert request.partition_key_range is not None
    with partition_loading_context(dynamic_partitions_store=lineage.instance):
        keys = partitions.get_partition_keys_in_range(request.partition_key_range)
    assert len(keys) > 1
    return [str(key) for key in keys]


def begin(lineage: Lineage, request: RunRequest) -> DagsterRun:
    """The run of a request, which does nothing."""
    return lineage.instance.create_run_for_job(
        lineage.definitions.resolve_job_def(str(request.job_name)),
        tags=request.tags,
        status=DagsterRunStatus.STARTED,
    )
