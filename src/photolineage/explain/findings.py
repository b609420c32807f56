"""The rows of an answer, and the row about work that is still to be done."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from photolineage.catalog.listing import newest_job
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JOB_STEPS, JobKind

NOT_YET: Final = "not yet"
YES: Final = "yes"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of an answer: a stage, where the photo stands in it, the reason, and what to do, if anything."""

    stage: str
    state: str
    reason: str = ""
    remedy: str = ""


def moment(time: datetime | None) -> str:
    """A time in UTC, for a sentence."""
    return "an unknown time" if time is None else f"{time:%Y-%m-%d %H:%M} UTC"


def work_left(connection: Connection, stage: str, kind: JobKind, subject: str) -> Finding:
    """Why the work on a partition is not done: a run is working on it, the newest run failed, or none has begun."""
    asset = JOB_STEPS[kind].name
    partition = f"the partition {subject} of {asset}"
    job = newest_job(connection, kind, subject)
    again = f"materialize {partition}, or run `{_command(kind, subject)}`"
    if job is None or job.state == JobState.SUCCEEDED:
        return Finding(stage, NOT_YET, f"{partition} is due", f"{again[0].upper()}{again[1:]}.")
    if job.state == JobState.RUNNING:
        progress = f"{job.done:,} of {job.total:,} images; last sign of life {moment(job.heartbeat_at)}"
        return Finding(stage, "running", f"a run works on {partition}: {progress}")
    reason = f"the newest run of {partition} ({moment(job.started_at)}) {job.state}: {job.error or 'no reason given'}"
    return Finding(stage, str(job.state), reason, f"When that is fixed, {again}.")


def _command(kind: JobKind, subject: str) -> str:
    model = JOB_STEPS[kind].subject(subject).model
    return "photolineage run" if model is None else f"photolineage run --model {model}"
