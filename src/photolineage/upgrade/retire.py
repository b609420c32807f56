"""Retiring a model: its rows are removed from the catalog first, and then its files."""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, or_, select, update

from photolineage.catalog.coverage import clear_bits_of_no_model
from photolineage.catalog.engine import advisory_lock, database_time, reading, run_in_transaction
from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.orm import Event, EventImage, MlJob, MlModel, Shard, ShardFile
from photolineage.catalog.queries import committed_files, find_model
from photolineage.catalog.vocabulary import FileKind, JobState
from photolineage.errors import PhotolineageError
from photolineage.lineage import KEY_PATTERN, JobKind, partition_subject
from photolineage.models.registry import MODELS_LOCK, ModelNotLoadedError
from photolineage.models.text_encoder import text_encoder_files
from photolineage.steps.freshness import RETIRED
from photolineage.steps.jobs import JobContext
from photolineage.stores.embeddings import embeddings_folder
from photolineage.stores.event_segments import SEGMENTS, segments_path
from photolineage.stores.files import Files, StoredFile
from photolineage.stores.vector_index import VectorIndexes


class ModelInUseError(PhotolineageError):
    """A model cannot be retired; the message says what uses it and what to do first. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class ModelStores:
    """The stores with the files of models."""

    files: Files
    indexes: VectorIndexes

    def files_of(self, model_key: str) -> list[StoredFile]:
        """The embeddings, event segments and text encoders of a model."""
        return [
            *self.files.list_files(embeddings_folder(model_key)),
            *(file for file in self.files.list_files(SEGMENTS) if file.path == segments_path(model_key)),
            *text_encoder_files(self.files, model_key),
        ]

    def summary(self, model_key: str) -> list["FolderSize"]:
        """The sizes of a model's files, by folder, and of its index."""
        found = []
        for folder, group in groupby(self.files_of(model_key), lambda file: file.path.split("/")[:2]):
            sizes = [file.size_bytes for file in group]
            found.append(FolderSize(self.files.location("/".join(folder)), len(sizes), sum(sizes)))
        return found + [_on_the_disk(path) for path in self.indexes.paths(model_key)]

    def remove_index(self, model_key: str) -> None:
        """Remove a model's index."""
        for path in self.indexes.paths(model_key):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class FolderSize:
    """A folder of files, or one file, and its size on the disk."""

    location: str
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Retirement:
    """Everything that retiring a model removes: rows of the catalog, and files, even those without a row."""

    model_key: str
    committed_files: int
    events: int
    stored: tuple[FolderSize, ...]

    @property
    def size_bytes(self) -> int:
        """How much disk space retiring the model frees."""
        return sum(stored.size_bytes for stored in self.stored)


def plan_retirement(connection: Connection, stores: ModelStores, model_key: str) -> Retirement:
    """What retiring a model would remove.

    Raises ModelInUseError for the serving model, and ModelNotLoadedError if the model has no rows and no files.
    """
    if not KEY_PATTERN.fullmatch(model_key):
        raise ModelNotLoadedError(f"model {model_key!r} is not a valid model key.")
    model = find_model(connection, model_key)
    if model is not None and model.serving:
        raise _serves(model_key)
    stored = stores.summary(model_key)
    if model is None and not stored:
        raise ModelNotLoadedError(
            f"model {model_key!r} has nothing to retire: no rows in the catalog and no files."
        )
    model_id = -1 if model is None else model.id
    return Retirement(
        model_key,
        committed_files=len(committed_files(connection, FileKind.EMBEDDING, model_id=model_id)),
        events=connection.execute(
            select(func.count()).select_from(Event).where(Event.model_id == model_id)
        ).scalar_one(),
        stored=tuple(stored),
    )


def retire_model(
    context: JobContext, stores: ModelStores, model_key: str, *, configured: Collection[str]
) -> Retirement:
    """Remove a model's events, commit records and row, then its index, bits and embeddings.

    If the process is killed in between, files without a row are left: retire the model again to remove them. Bits
    without a model may be left too: no other model gets them, and the next retirement clears them. From then on, the
    model's partitions count as never computed. Raises ModelInUseError for a serving or configured model,
    LeaseHeldError while a run works on the model, and ModelNotLoadedError.
    """
    if model_key in configured:
        raise ModelInUseError(
            f"{model_key} is still configured: the next run would embed all images with it again. First remove "
            f"[models.{model_key}] from the configuration, and reload the code location."
        )
    with reading(context.engine) as connection:
        plan = plan_retirement(connection, stores, model_key)
    _end_dead_jobs(context, model_key)
    files = stores.files_of(model_key)
    run_in_transaction(context.engine, lambda connection: _forget(connection, model_key))
    stores.remove_index(model_key)
    _clear_bits(context.engine)
    stores.files.remove(
        file.path for file in files
    )  # not those that a new run of the same model wrote meanwhile
    return plan


def _on_the_disk(path: Path) -> FolderSize:
    files = [file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return FolderSize(str(path), len(files), sum(file.stat().st_size for file in files))


def _of_model(model_key: str) -> ColumnElement[bool]:
    """The jobs of a model, and of each of its partitions."""
    return or_(
        MlJob.subject == model_key,
        MlJob.subject.startswith(partition_subject(model_key, ""), autoescape=True),
    ) & MlJob.kind.in_((JobKind.EMBED, JobKind.INDEX, JobKind.CLUSTER))


def _running_jobs(connection: Connection, model_key: str) -> Sequence[tuple[JobKind, str]]:
    rows = connection.execute(
        select(MlJob.kind, MlJob.subject).where(_of_model(model_key), MlJob.state == JobState.RUNNING)
    )
    return [(kind, subject) for kind, subject in rows]


def _end_dead_jobs(context: JobContext, model_key: str) -> None:
    """Mark the dead jobs of the model as interrupted. Raises LeaseHeldError if one is still running."""
    with reading(context.engine) as connection:
        running = _running_jobs(connection, model_key)
    for kind, subject in running:
        lease = acquire_lease(
            context.engine,
            kind,
            subject,
            run_id=context.run_id,
            input_version=RETIRED,
            timeout=context.lease_timeout,
        )
        lease.finish(JobState.INTERRUPTED, "the model was retired")


def _forget(connection: Connection, model_key: str) -> None:
    advisory_lock(connection, MODELS_LOCK)
    model = find_model(connection, model_key)
    if model is None:
        return
    if running := _running_jobs(connection, model_key):
        raise ModelInUseError(
            f"{model_key}: a run has just started to work on {running[0][1]}. Stop it first."
        )
    for table in (EventImage, Event, ShardFile):
        connection.execute(delete(table).where(table.model_id == model.id))
    # A new version for each retirement, so that everything computed before it is stale.
    version = f"{RETIRED}-{database_time(connection):%Y%m%dT%H%M%S%f}"
    connection.execute(update(MlJob).where(_of_model(model_key)).values(input_version=version))
    removed = connection.execute(delete(MlModel).where(MlModel.id == model.id, ~MlModel.serving))
    if removed.rowcount != 1:
        raise _serves(model_key)


def _clear_bits(engine: Engine) -> None:
    """Clear the bits in one transaction per shard, so that other writers wait only briefly."""

    def clear(connection: Connection, shard_id: int) -> None:
        advisory_lock(connection, MODELS_LOCK)  # a model that is being recorded already uses its bit
        clear_bits_of_no_model(connection, shard_id)

    with reading(engine) as connection:
        shard_ids = connection.execute(select(Shard.id).order_by(Shard.id)).scalars().all()
    for shard_id in shard_ids:
        run_in_transaction(engine, partial(clear, shard_id=shard_id))


def _serves(model_key: str) -> ModelInUseError:
    return ModelInUseError(
        f"{model_key} is the serving model: search uses its files. First promote another model: launch the "
        "job promote_model with `model: <key>`."
    )
