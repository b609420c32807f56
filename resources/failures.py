"""Failures of runs: expected errors become failures with their own message; `failure_reason` finds it again."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster import DagsterEvent, DagsterExecutionInterruptedError, Failure
from sqlalchemy.exc import DBAPIError

from photolineage.catalog.migrate import require_current
from photolineage.catalog.refusals import explain_refusal
from photolineage.errors import PhotolineageError
from resources.dagster_internals import DagsterUserCodeProcessError, JobFailureData, SerializableErrorInfo
from resources.home import CatalogResource


class StoppedError(DagsterExecutionInterruptedError, DagsterUserCodeProcessError):
    """Somebody has ended the run. Its log shows the message, and no stack trace: nothing is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(message, user_code_process_error_infos=[_without_stack(message)])  # type: ignore[no-untyped-call]


class ExplainedError(DagsterUserCodeProcessError, Failure):
    """A failure whose description says why, and what to do. It is not retried.

    The log of the run shows the description without the stack trace of the error that it explains: that would only
    say where Photolineage found it. Dagster records the class of that error, `explained`.
    """

    def __init__(
        self,
        description: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        explained: type[Exception] | None = None,
    ) -> None:
        info = _without_stack(description, explained)
        super().__init__(  # type: ignore[no-untyped-call]
            description, metadata, False, user_code_process_error_infos=[info]
        )


def _without_stack(message: str, explained: type[Exception] | None = None) -> SerializableErrorInfo:
    return SerializableErrorInfo(message, stack=[], cls_name=explained.__name__ if explained else None)


@contextmanager
def reported() -> Iterator[None]:
    """Turns a PhotolineageError, and what a database or a disk refuses, into a Failure with the remedy.

    It is not retried. Only the error of a database, disk or library is logged with its stack trace.
    """
    try:
        yield
    except PhotolineageError as error:
        raise ExplainedError(str(error), explained=type(error)) from error
    except (DBAPIError, OSError, MemoryError, ImportError) as error:
        if (explained := explain_refusal(error)) is None:
            raise
        raise Failure(description=explained, allow_retries=False) from error


def require_migrated(catalog: CatalogResource) -> None:
    """Raises Failure, which says what to do, if the catalog is not at the revision of the code."""
    with reported():
        require_current(catalog.engine)


def failure_reason(events: Iterable[DagsterEvent]) -> str | None:
    """The description of the first failed step, else its error, else Dagster's message about the run.

    None if no event is a failure.
    """
    of_the_run = None
    for event in events:
        if event.is_step_failure:
            return _step_failure_reason(event)
        if event.is_run_failure:
            of_the_run = _run_failure_reason(event)
    return of_the_run


def _run_failure_reason(event: DagsterEvent) -> str | None:
    """The error that ended the run outside its steps, else the message, without the internal name of the job."""
    if isinstance(event.event_specific_data, JobFailureData) and event.job_failure_data.error is not None:
        return _message(event.job_failure_data.error)
    return (event.message or "").removeprefix(f'Execution of run for "{event.job_name}" failed. ') or None


def _step_failure_reason(event: DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    # Dagster's own error says only which step failed; its cause is the error that the step raised.
    raised = data.error.cause if data.error is not None and data.error.cause else data.error
    return "failed without an error message" if raised is None else _message(raised)


def _message(error: SerializableErrorInfo) -> str:
    return error.message.strip().split(f"{error.cls_name}: ", 1)[-1]
