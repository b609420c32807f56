"""The assets' queries to the catalog: plain reads that take a connection and return rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, and_, func, select

from photolineage.catalog.orm import Image, MlJob, MlModel, Shard, ShardFile, Source
from photolineage.catalog.vocabulary import FailureReason, FileKind, ImageState, JobState, Precision
from photolineage.errors import PhotolineageError
from photolineage.lineage import JobKind


class UnknownPartitionError(PhotolineageError):
    """A partition key is missing from the catalog; the message names the asset that adds it."""


@dataclass(frozen=True, slots=True)
class ShardRow:
    """One shard, with its source and the root of its images."""

    id: int
    key: str
    revision: int
    source_key: str
    root: str


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A row of `MlModel`: what was measured at the model's first load, and whether it serves."""

    id: int
    key: str
    architecture: str
    pretrained: str | None
    embedding_dim: int
    image_size: int
    weights_digest: str
    precision: Precision
    embedded_bit: int
    first_loaded_at: datetime
    serving: bool
    serving_since: datetime | None


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """A commit record."""

    id: int
    shard_id: int
    path: str
    row_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class EmbeddableImage:
    """An image that needs an embedding; `path` is relative to its source's root."""

    id: int
    path: str
    content_hash: str
    embedded_models: int


def find_shard(connection: Connection, key: str) -> ShardRow:
    """The shard with this key. Raises UnknownPartitionError."""
    row = connection.execute(
        select(Shard.id, Shard.key, Shard.revision, Source.key, Source.root)
        .join(Source, Source.id == Shard.source_id)
        .where(Shard.key == key)
    ).one_or_none()
    if row is None:
        raise UnknownPartitionError(
            f"shard {key!r}: missing from the catalog. Materialize source_files first."
        )
    return ShardRow(*row)


def find_model(connection: Connection, key: str) -> ModelRow | None:
    """The model's row, or None before its first load."""
    row = connection.execute(select(MlModel.__table__).where(MlModel.key == key)).mappings().one_or_none()
    return None if row is None else ModelRow(**row)


def all_models(connection: Connection) -> list[ModelRow]:
    """The rows of all models that were ever loaded and not retired since, oldest first."""
    rows = connection.execute(select(MlModel.__table__).order_by(MlModel.id)).mappings()
    return [ModelRow(**row) for row in rows]


def serving_model_key(connection: Connection) -> str | None:
    """The key of the current serving model, or None if no model was promoted yet."""
    return connection.execute(select(MlModel.key).where(MlModel.serving)).scalar_one_or_none()


def shard_keys(connection: Connection, source_keys: Sequence[str] | None = None) -> list[str]:
    """The keys of all shards, or of the shards of some sources, in order."""
    statement = select(Shard.key).join(Source, Source.id == Shard.source_id).order_by(Shard.key)
    if source_keys is not None:
        statement = statement.where(Source.key.in_(source_keys))
    return list(connection.execute(statement).scalars())


def scanned_source_keys(connection: Connection) -> set[str]:
    """The keys of the sources that were scanned to the end at least once."""
    return set(connection.execute(select(Source.key).where(Source.scanned_at.is_not(None))).scalars())


IS_EMBEDDABLE = and_(Image.state == ImageState.REGISTERED, Image.duplicate_of_id.is_(None))
"""The condition for an image that needs an embedding: it is registered, and not a duplicate."""

SHOWN_ID = func.coalesce(Image.stack_of_id, Image.duplicate_of_id, Image.id)
"""The image that shows instead of an image: the one that its stack shows, or the first of its copies, or itself."""


def embeddable_images(connection: Connection, shard_id: int) -> list[EmbeddableImage]:
    """The images of a shard that need an embedding, in path order."""
    rows = connection.execute(
        select(Image.id, Image.path, Image.content_hash, Image.embedded_models)
        .where(Image.shard_id == shard_id, IS_EMBEDDABLE)
        .order_by(Image.path)
    )
    return [
        EmbeddableImage(image_id, path, content_hash or "", models)
        for image_id, path, content_hash, models in rows
    ]


def committed_files(
    connection: Connection, kind: FileKind, *, shard_id: int | None = None, model_id: int | None = None
) -> list[CommittedFile]:
    """The commit records of one kind that are not superseded, oldest first."""
    columns = (ShardFile.id, ShardFile.shard_id, ShardFile.path, ShardFile.row_count, ShardFile.size_bytes)
    statement = select(*columns).where(ShardFile.kind == kind, ShardFile.superseded_at.is_(None))
    if shard_id is not None:
        statement = statement.where(ShardFile.shard_id == shard_id)
    if model_id is not None:
        statement = statement.where(ShardFile.model_id == model_id)
    return [CommittedFile(*row) for row in connection.execute(statement.order_by(ShardFile.id))]


def newest_file_id(connection: Connection, kind: FileKind, model_id: int) -> int | None:
    """The id of a model's newest commit record, or None if it has none."""
    return connection.execute(
        select(func.max(ShardFile.id)).where(ShardFile.kind == kind, ShardFile.model_id == model_id)
    ).scalar_one()


def newest_file_ids(connection: Connection, kind: FileKind, model_key: str) -> Mapping[str, int]:
    """The id of a model's newest commit record, by shard key. Shards without one are left out."""
    rows = connection.execute(
        select(Shard.key, func.max(ShardFile.id))
        .join(ShardFile, ShardFile.shard_id == Shard.id)
        .join(MlModel, MlModel.id == ShardFile.model_id)
        .where(ShardFile.kind == kind, ShardFile.superseded_at.is_(None), MlModel.key == model_key)
        .group_by(Shard.key)
    )
    return {key: file_id for key, file_id in rows}  # noqa: C416


def materialized_versions(connection: Connection, kind: JobKind) -> Mapping[str, str]:
    """The input version of the newest succeeded job, by subject."""
    newest = (
        select(func.max(MlJob.id).label("id"))
        .where(MlJob.kind == kind, MlJob.state == JobState.SUCCEEDED)
        .group_by(MlJob.subject)
        .subquery()
    )
    rows = connection.execute(
        select(MlJob.subject, MlJob.input_version).join(newest, newest.c.id == MlJob.id)
    )
    return {subject: version for subject, version in rows}  # noqa: C416


def has_succeeded(connection: Connection, kind: JobKind) -> bool:
    """Whether any job of this kind has succeeded."""
    job = select(MlJob.id).where(MlJob.kind == kind, MlJob.state == JobState.SUCCEEDED).limit(1)
    return connection.execute(job).first() is not None


def materialized_version(connection: Connection, kind: JobKind, subject: str) -> str | None:
    """The input version of the newest succeeded job of a subject, or None before the first."""
    return connection.execute(
        select(MlJob.input_version)
        .where(MlJob.kind == kind, MlJob.subject == subject, MlJob.state == JobState.SUCCEEDED)
        .order_by(MlJob.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def shard_sizes(connection: Connection) -> dict[str, int]:
    """The number of images in each shard, in any state, by shard key."""
    rows = connection.execute(select(Shard.key, Shard.image_count))
    return {key: count for key, count in rows}  # noqa: C416


def shard_revisions(connection: Connection) -> Mapping[str, int]:
    """The revision of each shard, by shard key."""
    rows = connection.execute(select(Shard.key, Shard.revision).order_by(Shard.key))
    return {key: revision for key, revision in rows}  # noqa: C416


def failures(
    connection: Connection, *, shard_id: int, limit: int
) -> Sequence[Row[str, FailureReason | None, str | None]]:
    """Path, reason and detail of a shard's unreadable images, in path order."""
    return connection.execute(
        select(Image.path, Image.failure_reason, Image.failure_detail)
        .where(Image.shard_id == shard_id, Image.state == ImageState.FAILED)
        .order_by(Image.path)
        .limit(limit)
    ).all()
