"""The run queue that knows what a run works on, so that the deployment can limit it by that.

`dagster.yaml` limits runs by their tags, and Dagster gives a run of the UI or of a backfill none but its
partition's key. Here each run is tagged, however it was started, before it waits.
"""

from collections.abc import Mapping

from dagster import DagsterRun, QueuedRunCoordinator, SubmitRunContext

from assets.orchestration.dagster_internals import ASSET_PARTITION_RANGE_START_TAG, PARTITION_NAME_TAG
from photolineage.lineage import STEPS, Step

MODEL_TAG = "photolineage/model"
SOURCE_TAG = "photolineage/source"
DEVICE_TAG = "photolineage/device"


class LineageRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue, over runs that are tagged by model, by the source whose disk they read, and by device."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag the run and put it into the queue."""
        run = context.dagster_run
        missing = {key: value for key, value in queue_tags(run).items() if key not in run.tags}
        if missing:
            self._instance.add_run_tags(run.run_id, missing)
        return super().submit_run(context)


def queue_tags(run: DagsterRun) -> Mapping[str, str]:
    """What the deployment's limits may speak of: model, source and device, where the run has them.

    The runs of a backfill are cut at each model, so the first partition of a range tells for all.
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
                # Only without a model: a step that has one reads previews, and not the source's disk.
                tags[SOURCE_TAG] = subject.source
    return tags


def _steps(run: DagsterRun) -> list[Step]:
    """The steps that a run materializes."""
    if run.asset_selection:
        selected = {key.to_user_string() for key in run.asset_selection}
        return [step for step in STEPS if step.name in selected]
    return [step for step in STEPS if step.job_name == run.job_name]
