"""The run queue: it tags each run with its model, source and device, so that the deployment can limit runs by them.

`dagster.yaml` limits runs by their tags. Dagster tags a run from the UI or from a backfill only with its partition key,
so the queue adds these tags to every run. The list of runs shows no tags that begin with `dagster/`, but the run does.

The queue also lets a run that somebody re-executes have automatic retries of its own.
"""

from collections.abc import Mapping

from dagster import DagsterInstance, DagsterRun, QueuedRunCoordinator, SubmitRunContext

from photolineage.lineage import LIBRARY_STATUS, SERVING_MODEL, STEPS, Step
from resources.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    MAX_RETRIES_TAG,
    PARTITION_NAME_TAG,
    RETRY_NUMBER_TAG,
)
from resources.own_server import is_own_server, refusal

MODEL_TAG = "dagster/photolineage-model"
SOURCE_TAG = "dagster/photolineage-source"
DEVICE_TAG = "dagster/photolineage-device"
PARTITIONS_TAG, ASSET_TAG = "partitions", "asset"
"""Name in the list of runs what Dagster leaves out there: the partitions of a run of a range, and the asset of a run of
checks, with one partition or alone, such as each run that somebody launches on the page of an asset."""

GUARDED_JOBS = frozenset({"migrate_catalog", "promote_model", "repair", "retire_model", "sweep_files"})
"""The jobs that can change or delete what serves, besides
the other jobs of `serving_model`. They also look themselves."""


class LineageRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue, which also tags each run with its model, the source that it reads from, and its device."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag the run and queue it. A run of only `library_status` doesn't wait in the queue.

        A server that Photolineage did not start may share the instance with one that it did. The first one may not
        queue what the second one would then run: such a run fails at once, and says why.
        """
        run = context.dagster_run
        if not is_own_server() and (run.job_name in GUARDED_JOBS or SERVING_MODEL in _steps(run)):
            self._instance.report_run_failed(run, refusal(run.job_name))
            return self._instance.get_run_by_id(run.run_id) or run
        if _steps(run) == [LIBRARY_STATUS]:  # it takes a second, and a person waits for it
            self._instance.launch_run(run.run_id, context.workspace)
            return self._instance.get_run_by_id(run.run_id) or run
        tags = {key: value for key, value in queue_tags(run).items() if key not in run.tags}
        tags |= {**shown_tags(run), **retry_tags(self._instance, run)}
        if tags:
            self._instance.add_run_tags(run.run_id, tags)
        return super().submit_run(context)


def shown_tags(run: DagsterRun) -> Mapping[str, str]:
    """The tag that names the partitions of a run of a range, or the asset of a run of checks."""
    first, last = (
        run.tags.get(tag) for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
    )
    if first is not None:
        return {PARTITIONS_TAG: first if first == last else f"{first} … {last}"}
    is_left_out = PARTITION_NAME_TAG in run.tags or not run.asset_selection
    if not run.asset_check_selection or not is_left_out:
        return {}
    assets = run.asset_selection or {check.asset_key for check in run.asset_check_selection}
    return {ASSET_TAG: ", ".join(sorted(asset.to_user_string() for asset in assets))}


def retry_tags(instance: DagsterInstance, run: DagsterRun) -> Mapping[str, str]:
    """How many retries a run may have that somebody has re-executed: as many as any other run.

    Dagster counts every run that descends from the same first run as a retry. So it would not retry a run that somebody
    has re-executed, and would let it inherit that a run of the command line has no retries.
    """
    if run.parent_run_id is None or RETRY_NUMBER_TAG in run.tags:
        return {}
    group = instance.get_run_group(run.run_id)
    former = 0 if group is None else len([one for one in group[1] if one.run_id != run.run_id])
    return {MAX_RETRIES_TAG: str(former + instance.run_retries_max_retries)}


def queue_tags(run: DagsterRun) -> Mapping[str, str]:
    """The tags that the deployment can limit runs by: model, source and device, if the run has them.

    A range of partitions in a backfill never spans two models, so the first partition gives the tags of the range.
    """
    partition = run.tags.get(ASSET_PARTITION_RANGE_START_TAG) or run.tags.get(PARTITION_NAME_TAG)
    tags = {}
    for step in _steps(run):
        if step.on_device:
            tags[DEVICE_TAG] = "local"
        if partition is not None and step.job is not None:
            subject = step.subject(partition)
            if subject.model is not None:
                tags[MODEL_TAG] = subject.model
            elif subject.source is not None:
                # Only without a model: a step with a model reads previews, not the source's disk.
                tags[SOURCE_TAG] = subject.source
    return tags


def _steps(run: DagsterRun) -> list[Step]:
    """The steps that a run materializes."""
    if run.asset_selection:
        selected = {key.to_user_string() for key in run.asset_selection}
        return [step for step in STEPS if step.name in selected]
    return [step for step in STEPS if step.job_name == run.job_name]
