"""the catalog: sources, shards, images, models, jobs, committed files and events"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ml_job",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "scan",
                "register",
                "embed",
                "index",
                "cluster",
                name="job_kind",
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("process_started_at", sa.Double(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "running",
                "succeeded",
                "failed",
                "interrupted",
                name="job_state",
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("input_version", sa.String(length=64), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("resumed", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ml_job")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_ml_job_kind_state_subject_id"), "ml_job", ["kind", "state", "subject", "id"], unique=False
    )
    op.create_index(
        "uq_ml_job_lease",
        "ml_job",
        ["kind", "subject"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "ml_model",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=False),
        sa.Column("pretrained", sa.Text(), nullable=True),
        sa.Column("embedding_dim", sa.Integer(), nullable=False),
        sa.Column("image_size", sa.Integer(), nullable=False),
        sa.Column("weights_digest", sa.String(length=64), nullable=False),
        sa.Column("first_loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("serving", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("serving_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ml_model")),
        sa.UniqueConstraint("key", name=op.f("uq_ml_model_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_ml_model_serving",
        "ml_model",
        ["serving"],
        unique=True,
        sqlite_where=sa.text("serving"),
        postgresql_where=sa.text("serving"),
    )
    op.create_table(
        "source",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source")),
        sa.UniqueConstraint("key", name=op.f("uq_source_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "shard",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("source_id", BIG_ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("image_count", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_shard_source_id_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shard")),
        sa.UniqueConstraint("key", name=op.f("uq_shard_key")),
        sa.UniqueConstraint("source_id", "number", name=op.f("uq_shard_source_id_number")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "image",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("source_id", BIG_ID, nullable=False),
        sa.Column("shard_id", BIG_ID, nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "discovered",
                "registered",
                "failed",
                "missing",
                name="image_state",
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("discovered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "failure_reason",
            sa.Enum(
                "empty",
                "unsupported",
                "corrupt",
                "too_large",
                "vanished",
                "permission_denied",
                "unreadable",
                name="failure_reason",
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("failure_detail", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("format", sa.String(length=16), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("orientation", sa.SmallInteger(), nullable=True),
        sa.Column("truncated", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "taken_at_source",
            sa.Enum(
                "exif",
                "gps",
                "file_name",
                "file_time",
                name="taken_at_source",
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("utc_offset_minutes", sa.SmallInteger(), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("altitude_m", sa.Double(), nullable=True),
        sa.Column("camera", sa.Text(), nullable=True),
        sa.Column("duplicate_of_id", BIG_ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["duplicate_of_id"], ["image.id"], name=op.f("fk_image_duplicate_of_id_image")
        ),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name=op.f("fk_image_shard_id_shard")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_image_source_id_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
        sa.UniqueConstraint("source_id", "path", name=op.f("uq_image_source_id_path")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_image_content_hash"), "image", ["content_hash"], unique=False)
    op.create_index(op.f("ix_image_duplicate_of_id"), "image", ["duplicate_of_id"], unique=False)
    op.create_index(op.f("ix_image_shard_id_state"), "image", ["shard_id", "state"], unique=False)
    op.create_table(
        "shard_file",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column(
            "kind",
            sa.Enum("preview", "embedding", name="file_kind", create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("shard_id", BIG_ID, nullable=False),
        sa.Column("model_id", BIG_ID, nullable=True),
        sa.Column("job_id", BIG_ID, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["ml_job.id"], name=op.f("fk_shard_file_job_id_ml_job")),
        sa.ForeignKeyConstraint(["model_id"], ["ml_model.id"], name=op.f("fk_shard_file_model_id_ml_model")),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name=op.f("fk_shard_file_shard_id_shard")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shard_file")),
        sa.UniqueConstraint("path", name=op.f("uq_shard_file_path")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_shard_file_shard_id_kind_model_id"),
        "shard_file",
        ["shard_id", "kind", "model_id"],
        unique=False,
    )
    op.create_table(
        "event",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("model_id", BIG_ID, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("utc_offset_minutes", sa.SmallInteger(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("radius_m", sa.Double(), nullable=True),
        sa.Column("image_count", sa.Integer(), nullable=False),
        sa.Column("cover_image_id", BIG_ID, nullable=True),
        sa.Column("cohesion", sa.Double(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cover_image_id"], ["image.id"], name=op.f("fk_event_cover_image_id_image")),
        sa.ForeignKeyConstraint(["model_id"], ["ml_model.id"], name=op.f("fk_event_model_id_ml_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_event_model_id_starts_at"), "event", ["model_id", "starts_at"], unique=False)
    op.create_table(
        "event_image",
        sa.Column("model_id", BIG_ID, nullable=False),
        sa.Column("image_id", BIG_ID, nullable=False),
        sa.Column("event_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.id"], name=op.f("fk_event_image_event_id_event"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_event_image_image_id_image")),
        sa.ForeignKeyConstraint(["model_id"], ["ml_model.id"], name=op.f("fk_event_image_model_id_ml_model")),
        sa.PrimaryKeyConstraint("model_id", "image_id", name=op.f("pk_event_image")),
    )
    op.create_index(op.f("ix_event_image_event_id"), "event_image", ["event_id"], unique=False)
    op.create_index(op.f("ix_event_image_image_id"), "event_image", ["image_id"], unique=False)
