"""The ORM: the reference description of the catalog's tables. Everything else is compared with it."""

import re
from datetime import datetime
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
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

from photolineage.catalog.column_types import (
    BigId,
    CheckedString,
    CheckedText,
    InnerPath,
    PosixPath,
    UtcDateTime,
    enum_type,
)
from photolineage.catalog.vocabulary import (
    FailureReason,
    FileKind,
    ImageState,
    JobState,
    Precision,
    StackRule,
    TakenAtPrecision,
    TakenAtSource,
    UtcOffsetSource,
    WrittenField,
)
from photolineage.lineage import KEY_PATTERN, SHARD_KEY_PATTERN, JobKind

DIGEST_PATTERN = re.compile(r"[0-9a-f]{1,64}")
STORED_PATH_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)+")

KEY_REASON = "a key has only a-z, 0-9, '.', '_' and '-', and begins with a letter or digit"
DIGEST_REASON = "a digest has only hexadecimal digits"
STORED_PATH_REASON = "not a relative path of names with only letters, digits, '.', '_' and '-'"


class Base(DeclarativeBase):
    """The declarative base. Constraint names follow one convention on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Store(Base):
    """The store that holds the catalog's files: one row, or none before the first run (`photolineage.stores.identity`).

    `mark`: the newest mark of the store. `place`: where the store was when it got this mark.
    """

    __tablename__ = "store"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)
    ONLY: ClassVar[int] = 1

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    mark: Mapped[str] = mapped_column(CheckedString("store.mark", DIGEST_PATTERN, DIGEST_REASON, 32))
    place: Mapped[str] = mapped_column(Text)
    attached_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Source(Base):
    """A directory tree of photographs.

    `passed_over`: what the last scan found besides images, as a JSON object: the number of files of each kind.
    """

    __tablename__ = "source"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(CheckedString("source.key", KEY_PATTERN, KEY_REASON, 64), unique=True)
    root: Mapped[str] = mapped_column(PosixPath)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    scanned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    passed_over: Mapped[str | None] = mapped_column(Text)


class Shard(Base):
    """A list of images of one source, with a fixed capacity. `revision` grows with every change of its files."""

    __tablename__ = "shard"
    __table_args__ = (UniqueConstraint("source_id", "number"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"))
    number: Mapped[int]
    key: Mapped[str] = mapped_column(
        CheckedString(
            "shard.key",
            SHARD_KEY_PATTERN,
            "a shard's key is the key of its source, '-' and a number of five digits",
            80,
        ),
        unique=True,
    )
    capacity: Mapped[int]
    image_count: Mapped[int]
    revision: Mapped[int] = mapped_column(BigInteger)


class Image(Base):
    """One file of a source. Its id and its shard never change.

    `path` is relative to the source's root. `content_hash` and the columns after it describe the content last read;
    they are kept when the file goes missing. If a file has changed, its hash is null until it is read again.
    `taken_at` is an instant. `duplicate_of_id`: the image with the same content that is embedded instead of this one.
    `embedded_models`: the `MlModel.embedded_bit` of each model that has a committed embedding of the content last
    registered (`photolineage.catalog.coverage`). `quality`: how sharp and level the picture is, 0 to 1; null if the
    image was read before quality was measured. `taken_at_precision` and `utc_offset_source` are null if the image was
    read before they were recorded; `utc_offset_source` is null, too, if the offset is unknown. `truncated`: the file
    is damaged, and only a part of the picture could be decoded. `lost_share`: the share of its picture that is lost,
    0 to 1; null if the picture is whole. `sidecars`: the files beside it that say something about it, as they were when
    the scan found them: `name/size/time`, joined by `//`; null if there are none. `verified_at`: when the file was last
    read again and had this content; null if never since it was registered. `rotten_at`: when it was found with other
    bytes at the same size and time; null if it was not. `stack_of_id`: the image that its stack shows instead of this
    one, and `stack_rule`: why it is in the stack (`photolineage.stacks`); null if it shows itself. `perceptual_hash`:
    how the picture looks (`photolineage.media.perceptual_hash`); null if the image was read before it was computed.
    """

    __tablename__ = "image"
    __table_args__ = (
        UniqueConstraint("source_id", "path"),
        Index(None, "shard_id", "state", "embedded_models", "duplicate_of_id"),
        Index(None, "content_hash"),
        Index(None, "duplicate_of_id"),
        Index(
            "ix_image_rotten_at",
            "rotten_at",
            sqlite_where=text("rotten_at IS NOT NULL"),
            postgresql_where=text("rotten_at IS NOT NULL"),
        ),
        Index(None, "stack_of_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"))
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"))
    path: Mapped[str] = mapped_column(InnerPath)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[ImageState] = mapped_column(enum_type(ImageState, "image_state"))
    discovered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    registered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure_reason: Mapped[FailureReason | None] = mapped_column(enum_type(FailureReason, "failure_reason"))
    failure_detail: Mapped[str | None] = mapped_column(Text)
    content_hash: Mapped[str | None] = mapped_column(
        CheckedString("image.content_hash", DIGEST_PATTERN, DIGEST_REASON, 64)
    )
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
    taken_at_precision: Mapped[TakenAtPrecision | None] = mapped_column(
        enum_type(TakenAtPrecision, "taken_at_precision")
    )
    utc_offset_source: Mapped[UtcOffsetSource | None] = mapped_column(
        enum_type(UtcOffsetSource, "utc_offset_source")
    )
    lost_share: Mapped[float | None]
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rotten_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sidecars: Mapped[str | None] = mapped_column(PosixPath)
    stack_of_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"))
    stack_rule: Mapped[StackRule | None] = mapped_column(enum_type(StackRule, "stack_rule"))
    perceptual_hash: Mapped[int | None] = mapped_column(BigInteger)


class ImageNote(Base):
    """One value that somebody wrote about an image: in its file, or in a sidecar (`photolineage.media.written`).

    `origin`: the name of the sidecar; null if it is the image's own file. `key`: the field in it. `name` is the value
    of a keyword, person, place or rating, and `text` that of a title or description; both without regard to case.
    """

    __tablename__ = "image_note"
    __table_args__ = (Index(None, "image_id"), Index(None, "field", "name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"))
    field: Mapped[WrittenField] = mapped_column(enum_type(WrittenField, "written_field"))
    value: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(String(200))
    text: Mapped[str | None] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str | None] = mapped_column(PosixPath)


class MlModel(Base):
    """An embedding model, as measured at its first load. At most one row serves.

    `serving_since`: when the model last began to serve; kept when another model takes over, null if it never served.
    `precision`: the number format in which its image embeddings are computed. `embedded_bit`: the model's bit in
    `Image.embedded_models`, a power of two.
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
    key: Mapped[str] = mapped_column(CheckedString("ml_model.key", KEY_PATTERN, KEY_REASON, 64), unique=True)
    architecture: Mapped[str] = mapped_column(Text)
    pretrained: Mapped[str | None] = mapped_column(Text)
    embedding_dim: Mapped[int]
    image_size: Mapped[int]
    weights_digest: Mapped[str] = mapped_column(
        CheckedString("ml_model.weights_digest", DIGEST_PATTERN, DIGEST_REASON, 64)
    )
    precision: Mapped[Precision] = mapped_column(
        enum_type(Precision, "embedding_precision"), server_default=Precision.FLOAT32
    )
    embedded_bit: Mapped[int] = mapped_column(BigInteger, unique=True)
    first_loaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    serving: Mapped[bool] = mapped_column(server_default=false())
    serving_since: Mapped[datetime | None] = mapped_column(UtcDateTime)


class MlModelTiming(Base):
    """What was measured of a model on one machine, at its first load there (`photolineage.models.timings`).

    `machine`: the digest of the machine's identity. `threads`: the batches that it computes at once. `timings`: each
    way of computing the model (`photolineage.models.ways.Timing`), as a JSON list.
    """

    __tablename__ = "ml_model_timing"
    __table_args__ = (UniqueConstraint("model_id", "machine"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("ml_model.id", ondelete="CASCADE"))
    machine: Mapped[str] = mapped_column(
        CheckedString("ml_model_timing.machine", DIGEST_PATTERN, DIGEST_REASON, 64)
    )
    machine_name: Mapped[str] = mapped_column(Text)
    threads: Mapped[int]
    timings: Mapped[str] = mapped_column(Text)
    measured_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MlJob(Base):
    """One attempt at one partition: its lease, its progress in images, and its result.

    The partial unique index is the lease: one running job for each kind and subject. `process_started_at` is in
    seconds after the host's boot. `input_version` is the version of the job's inputs. A subject is up to date if its
    newest succeeded job has the current version.
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
    total: Mapped[int] = mapped_column(BigInteger, default=0)
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    resumed: Mapped[int] = mapped_column(BigInteger, default=0)
    failed: Mapped[int] = mapped_column(BigInteger, default=0)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)


class ShardFile(Base):
    """The commit record of a preview or embedding file. A file without a commit record is garbage.

    `path` is relative to the home directory. `superseded_at` is when another file took over the current rows of this
    one. New runs do not open a superseded file; it is removed when no earlier run can be reading it any more.
    """

    __tablename__ = "shard_file"
    __table_args__ = (Index(None, "shard_id", "kind", "model_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[FileKind] = mapped_column(enum_type(FileKind, "file_kind"))
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("ml_model.id"))
    job_id: Mapped[int] = mapped_column(ForeignKey("ml_job.id"))
    path: Mapped[str] = mapped_column(
        CheckedText("shard_file.path", STORED_PATH_PATTERN, STORED_PATH_REASON), unique=True
    )
    row_count: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    committed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    superseded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Event(Base):
    """An event: images that belong together in time, place and content, according to one model's clustering."""

    __tablename__ = "event"
    __table_args__ = (
        Index(None, "model_id", "starts_at"),
        Index(None, "cover_image_id"),
        {"sqlite_autoincrement": True},
    )

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
    """The membership of an image in an event. The primary key allows one event per image and model."""

    __tablename__ = "event_image"
    __table_args__ = (Index(None, "event_id"), Index(None, "image_id"))

    model_id: Mapped[int] = mapped_column(ForeignKey("ml_model.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"))


class PinnedSearch(Base):
    """A search that must find a photo among its first `within` hits.

    The photo is known by its content: it may move, and any copy counts. `search`: the texts, the contents of pictures
    and the filters of the search, as JSON (`photolineage.pins.stored`). `path`: where the photo was when the search was
    pinned, to name it when its content is gone.
    """

    __tablename__ = "pinned_search"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    search: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(PosixPath)
    within: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
