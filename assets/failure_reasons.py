"""Why a run failed, in the words that a person reads first."""

from collections.abc import Iterable

from dagster import DagsterEvent


def failure_reason(events: Iterable[DagsterEvent]) -> str | None:
    """The description of the first failed step, else the error below it, else what Dagster says of the run.

    None where no event tells of a failure.
    """
    of_the_run = None
    for event in events:
        if event.is_step_failure:
            return _step_failure_reason(event)
        if event.is_run_failure:
            of_the_run = event.message
    return of_the_run


def _step_failure_reason(event: DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    # Dagster's own error says only which step failed; its cause is what was raised there.
    raised = data.error.cause if data.error is not None and data.error.cause else data.error
    if raised is None:
        return "failed without a message"
    return raised.message.strip().split(f"{raised.cls_name}: ", 1)[-1]
