"""The ORM: the one description of the catalog's tables that everything else is held against."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    MetaData,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from photolineage.catalog.column_types import BigId, PosixPath, UtcDateTime, enum_type
from photolineage.catalog.vocabulary import FailureReason, Precision, TakenAtSource
from photolineage.lineage import JobKind


class ImageState(StrEnum):
    """`discovered`: new or changed on the disk, to be read; `missing`: its file is no longer there."""

    DISCOVERED = "discovered"
    REGISTERED = "registered"
    FAILED = "failed"
    MISSING = "missing"


class JobState(StrEnum):
    """`interrupted`: ended before its work was done, by a signal or by the death of its process."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class FileKind(StrEnum):
    """What a committed file of a shard holds."""

    PREVIEW = "preview"
    EMBEDDING = "embedding"


class Base(DeclarativeBase):
    """The declarative base; constraint names follow one convention on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Source(Base):
    """A directory tree of photographs."""

    __tablename__ = "source"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    root: Mapped[str] = mapped_column(PosixPath)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    scanned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Shard(Base):
    """A fixed-capacity list of images of one source; `revision` grows with every change of its files."""

    __tablename__ = "shard"
    __table_args__ = (UniqueConstraint("source_id", "number"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"))
    number: Mapped[int]
    key: Mapped[str] = mapped_column(String(80), unique=True)
    capacity: Mapped[int]
    image_count: Mapped[int]
    revision: Mapped[int] = mapped_column(BigInteger)


class Image(Base):
    """One file of a source, for life: its id and its shard never change.

    `path` is relative to the source's root. `content_hash` and what follows it are of the content last
    read, and stay when the file goes missing; the hash of a file that has changed is null until it is read
    again. `taken_at` is an instant. `duplicate_of_id` names the image
    with the same content that is embedded in its place. `embedded_models` has the `MlModel.embedded_bit` of each
    model of which a committed file holds an embedding of the content last registered (`photolineage.catalog.coverage`).
    `quality` is how sharp and level the picture is, 0 to 1; null for one read before that was measured.
    """

    __tablename__ = "image"
    __table_args__ = (
        UniqueConstraint("source_id", "path"),
        Index(None, "shard_id", "state", "embedded_models", "duplicate_of_id"),
        Index(None, "content_hash"),
        Index(None, "duplicate_of_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"))
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"))
    path: Mapped[str] = mapped_column(PosixPath)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[ImageState] = mapped_column(enum_type(ImageState, "image_state"))
    discovered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    registered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure_reason: Mapped[FailureReason | None] = mapped_column(enum_type(FailureReason, "failure_reason"))
    failure_detail: Mapped[str | None] = mapped_column(Text)
    content_hash: Mapped[str | None] = mapped_column(String(64))
    format: Mapped[str | None] = mapped_column(String(16))
    width: Mapped[int | None]
    height: Mapped[int | None]
    orientation: Mapped[int | None] = mapped_column(SmallInteger)
    truncated: Mapped[bool] = mapped_column(server_default=false())
    taken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    taken_at_source: Mapped[TakenAtSource | None] = mapped_column(enum_type(TakenAtSource, "taken_at_source"))
    utc_offset_minutes: Mapped[int | None] = mapped_column(SmallInteger)
    time_zone: Mapped[str | None] = mapped_column(String(64))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    altitude_m: Mapped[float | None]
    camera: Mapped[str | None] = mapped_column(Text)
    duplicate_of_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"))
    embedded_models: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    quality: Mapped[float | None]


class MlModel(Base):
    """What was measured at a model's first load; at most one row serves.

    `serving_since` is when it last began to serve, and is kept when another one takes over: null for one that never
    served. `precision` is what its image embeddings are computed in. The agreement with float32 of the precision that
    was tried at the first load, as `photolineage.models.precision.Agreement` defines it, is null where none was.
    `embedded_bit` is the model's own bit in `Image.embedded_models`: a power of two.
    """

    __tablename__ = "ml_model"
    __table_args__ = (
        Index(
            "uq_ml_model_serving",
            "serving",
            unique=True,
            sqlite_where=text("serving"),
            postgresql_where=text("serving"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    architecture: Mapped[str] = mapped_column(Text)
    pretrained: Mapped[str | None] = mapped_column(Text)
    embedding_dim: Mapped[int]
    image_size: Mapped[int]
    weights_digest: Mapped[str] = mapped_column(String(64))
    precision: Mapped[Precision] = mapped_column(
        enum_type(Precision, "embedding_precision"), server_default=Precision.FLOAT32
    )
    agreement_cosine: Mapped[float | None]
    agreement_neighbors: Mapped[float | None]
    embedded_bit: Mapped[int] = mapped_column(BigInteger, unique=True)
    first_loaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    serving: Mapped[bool] = mapped_column(server_default=false())
    serving_since: Mapped[datetime | None] = mapped_column(UtcDateTime)


class MlJob(Base):
    """One attempt at one partition: its lease, its progress in images and how it ended.

    The partial unique index is the lease: one running job for each kind and subject. `process_started_at` is in
    seconds after the host's boot. `input_version` is the version of the inputs that the job saw; a subject whose
    newest succeeded job has the present version is up to date.
    """

    __tablename__ = "ml_job"
    __table_args__ = (
        Index(
            "uq_ml_job_lease",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
        Index(None, "kind", "state", "subject", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[JobKind] = mapped_column(enum_type(JobKind, "job_kind"))
    subject: Mapped[str] = mapped_column(String(160))
    run_id: Mapped[str] = mapped_column(String(64))
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(BigInteger)
    process_started_at: Mapped[float]
    state: Mapped[JobState] = mapped_column(enum_type(JobState, "job_state"))
    input_version: Mapped[str] = mapped_column(String(64))
    total: Mapped[int] = mapped_column(BigInteger)
    done: Mapped[int] = mapped_column(BigInteger)
    resumed: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)


class ShardFile(Base):
    """The commit record of a preview or embedding file; a file without one is garbage.

    `path` is relative to the home directory. `superseded_at` is when another file took over what still held of
    it: nobody opens it any more, and it is removed once nobody can be reading it.
    """

    __tablename__ = "shard_file"
    __table_args__ = (Index(None, "shard_id", "kind", "model_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[FileKind] = mapped_column(enum_type(FileKind, "file_kind"))
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("ml_model.id"))
    job_id: Mapped[int] = mapped_column(ForeignKey("ml_job.id"))
    path: Mapped[str] = mapped_column(Text, unique=True)
    row_count: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    committed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    superseded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Event(Base):
    """An album: images of one model's clustering that belong together in time, place and looks."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "model_id", "starts_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("ml_model.id"))
    title: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    utc_offset_minutes: Mapped[int | None] = mapped_column(SmallInteger)
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    radius_m: Mapped[float | None]
    image_count: Mapped[int]
    cover_image_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"))
    cohesion: Mapped[float | None]
    confidence: Mapped[float]
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EventImage(Base):
    """The membership of an image in an event; the primary key allows one event an image and model."""

    __tablename__ = "event_image"
    __table_args__ = (Index(None, "event_id"), Index(None, "image_id"))

    model_id: Mapped[int] = mapped_column(ForeignKey("ml_model.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))
