"""The state of the whole library in figures: how far each step is, how long the rest takes, and what is stale and why.

The command `photolineage status` and the asset `library_status` show the same figures.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, select

from photolineage.catalog.coverage import ImageTally, tally_images
from photolineage.catalog.engine import reading
from photolineage.catalog.listing import JobStatus, LibraryStatus, ModelStatus, SourceStatus, library_status
from photolineage.catalog.orm import MlJob, MlModel
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import (
    IMAGE_EMBEDDINGS,
    IMAGE_EVENTS,
    JOB_STEPS,
    REGISTERED_IMAGES,
    SOURCE_FILES,
    VECTOR_INDEX,
    JobKind,
    Step,
)
from photolineage.models.timings import MeasuredWay, list_timings
from photolineage.settings import Settings
from photolineage.steps.freshness import RETIRED
from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.stale_reasons import StalePartition, find_outdated
from photolineage.stores.files import Files
from photolineage.stores.root_folder import StorageError
from photolineage.stores.vector_index import VectorIndexes

OPEN_JOBS: Final = 20
COUNTED_JOBS: Final = 10_000
TIMED_JOBS: Final = 500
"""Rates are those of the newest jobs of each step: of so many in all, and of so many of one source or model."""
TIMED_JOBS_EACH: Final = 20


Rates = Mapping[tuple[Step, str], float]
"""Images per second, by step and model or source."""


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a step is: `done` of `total` images of a source, with a model. None: of all sources, without a model.

    `images_per_second`: the rate of the newest jobs; None before the first.
    """

    step: str
    source: str | None
    model: str | None
    done: int
    total: int
    images_per_second: float | None

    @property
    def left(self) -> int:
        """The images that are left."""
        return max(self.total - self.done, 0)

    @property
    def seconds_left(self) -> float | None:
        """Seconds of work that are left at this rate; None if nothing is left, or if the rate is unknown."""
        return self.left / self.images_per_second if self.left and self.images_per_second else None


@dataclass(frozen=True, slots=True)
class StaleStep:
    """The stale partitions of a step."""

    step: str
    partitions: list[StalePartition]


@dataclass(frozen=True, slots=True)
class ModelSpeed:
    """How one machine computes a model, and how fast, as measured there."""

    model: str
    machine: str
    measured_at: datetime
    way: MeasuredWay


@dataclass(frozen=True, slots=True)
class LibraryFigures(LibraryStatus):
    """The state of the whole library. `problem`: why it is unknown what is stale.

    `jobs`: the newest of those that run, and of the configured partitions whose last job did not succeed.
    `failed_jobs`: how many of the latter there are.
    """

    progress: list[StepProgress]
    stale: list[StaleStep]
    failed_jobs: int
    speeds: list[ModelSpeed]
    problem: str | None = None


def library_figures(
    engine: Engine, settings: Settings, files: Files, indexes: VectorIndexes
) -> LibraryFigures:
    """The figures, from aggregates over the catalog and a listing of the stored files."""
    models, problem = list(settings.models), None
    outdated: Mapping[Step, Sequence[StalePartition]] = {}
    with reading(engine) as connection:
        tallies = tally_images(connection)
        status = library_status(connection, tallies=tallies, recent_jobs=COUNTED_JOBS)
        progress = list(_progress(connection, status, tallies, models))
        speeds = [
            ModelSpeed(one.model, one.machine, one.measured_at, way)
            for one in list_timings(connection)
            for way in one.ways()
            if way.is_used
        ]
        try:
            lost = find_lost_files(connection, files, indexes, models)
            outdated = find_outdated(connection, list(settings.sources), models, lost)
        except StorageError as error:
            problem = str(error)
    stale = [StaleStep(step.name, [*partitions]) for step, partitions in outdated.items() if partitions]
    jobs = [job for job in status.jobs if _is_configured(job, settings)]
    failed = sum(job.state != JobState.RUNNING for job in jobs)
    return LibraryFigures(
        status.sources, status.models, jobs[:OPEN_JOBS], progress, stale, failed, speeds, problem
    )


def _is_configured(job: JobStatus, settings: Settings) -> bool:
    """Whether the job's source and model are still configured."""
    of = JOB_STEPS[job.kind].subject(job.subject)
    return (of.source is None or of.source in settings.sources) and (
        of.model is None or of.model in settings.models
    )


def _progress(
    connection: Connection, status: LibraryStatus, tallies: Sequence[ImageTally], model_keys: Iterable[str]
) -> Iterator[StepProgress]:
    rates = _rates(connection)
    known = {model.key: model for model in status.models}
    bits = {key: bit for key, bit in connection.execute(select(MlModel.key, MlModel.embedded_bit))}  # noqa: C416
    for source in status.sources:
        yield from _of_source(source, rates)
        of_source = [tally for tally in tallies if tally.source == source.key]
        embeddable = sum(tally.embeddable for tally in of_source)
        for key in model_keys:
            embedded = sum(tally.embedded(bits.get(key, 0)) for tally in of_source)
            rate = rates.get((IMAGE_EMBEDDINGS, key))
            yield StepProgress(IMAGE_EMBEDDINGS.name, source.key, key, embedded, embeddable, rate)
    registered = sum(source.registered for source in status.sources)
    for key in model_keys:
        if key in known:
            yield from _of_model(connection, known[key], registered, rates)


def _of_source(source: SourceStatus, rates: Rates) -> Iterator[StepProgress]:
    found = source.images - source.missing
    for step, done in ((SOURCE_FILES, found), (REGISTERED_IMAGES, found - source.discovered)):
        yield StepProgress(step.name, source.key, None, done, found, rates.get((step, source.key)))


def _of_model(
    connection: Connection, model: ModelStatus, registered: int, rates: Rates
) -> Iterator[StepProgress]:
    """Copies of an image are in its event too, but the index has only one of them."""
    indexed = _images_of(connection, JobKind.INDEX, model.key)
    clustered = _images_of(connection, JobKind.CLUSTER, model.key)
    for step, done, total in (
        (VECTOR_INDEX, indexed, model.committed_embeddings),
        (IMAGE_EVENTS, clustered, registered),
    ):
        yield StepProgress(step.name, None, model.key, done, total, rates.get((step, model.key)))


def _images_of(connection: Connection, kind: JobKind, model_key: str) -> int:
    """The images in a model's index or events. Jobs that only maintain an index count none."""
    newest = (
        select(MlJob.done, MlJob.input_version)
        .where(
            MlJob.kind == kind, MlJob.subject == model_key, MlJob.state == JobState.SUCCEEDED, MlJob.done > 0
        )
        .order_by(MlJob.id.desc())
        .limit(1)
    )
    row = connection.execute(newest).one_or_none()
    return 0 if row is None or row.input_version.startswith(RETIRED) else row.done


def _rates(connection: Connection) -> Rates:
    """Images per second of each step's newest jobs that did any work, by model, else by source."""
    rows = connection.execute(
        select(MlJob.kind, MlJob.subject, MlJob.done - MlJob.resumed, MlJob.started_at, MlJob.heartbeat_at)
        .where(MlJob.done > MlJob.resumed)
        .order_by(MlJob.id.desc())
        .limit(TIMED_JOBS)
    )
    images: dict[tuple[Step, str], list[int]] = defaultdict(list)
    seconds: dict[tuple[Step, str], float] = defaultdict(float)
    for kind, subject, done, started_at, heartbeat_at in rows:
        step = JOB_STEPS[kind]
        of = step.subject(subject)
        key = (step, str(of.model or of.source))
        if len(images[key]) < TIMED_JOBS_EACH:
            images[key].append(done)
            seconds[key] += (heartbeat_at - started_at).total_seconds()
    return {key: sum(counts) / max(seconds[key], 1e-3) for key, counts in images.items()}
