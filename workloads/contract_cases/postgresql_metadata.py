"""SQLAlchemy metadata for the cases on PostgreSQL."""

from enum import StrEnum

import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.dialects import postgresql as pg


class ImageState(StrEnum):
    """States with names and values that differ in case."""

    NEW = "new"
    DONE = "done"


def gallery() -> sa.MetaData:
    """A little of everything that PostgreSQL has."""
    metadata = sa.MetaData()
    sa.Sequence("job_number", metadata=metadata, start=10, increment=2)
    state = sa.Enum(
        ImageState, name="image_state", values_callable=lambda members: [member.value for member in members]
    )
    sa.Table(
        "shard",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source", sa.String(50), nullable=False),
        sa.Column("revision", sa.BigInteger, server_default="0", nullable=False),
    )
    sa.Table(
        "image",
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("shard_id", sa.Integer, nullable=False),
        sa.Column("state", state, nullable=False, server_default="new"),
        sa.Column("earlier_states", pg.ARRAY(state)),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("rating", sa.Numeric(6, 2)),
        sa.Column("score", sa.Float),
        sa.Column("title", sa.String(100, collation="C"), comment="what the camera's owner calls it"),
        sa.Column("area", sa.Integer, sa.Computed("width * height", persisted=True)),
        sa.Column("content_hash", sa.LargeBinary),
        sa.Column("registered_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("taken_at", pg.TIMESTAMP(precision=3)),
        sa.Column("tags", pg.ARRAY(sa.Text), server_default="{}"),
        sa.Column("exif", pg.JSONB, server_default=sa.text("'{}'::jsonb")),
        sa.Column("embedding", VECTOR(8)),
        sa.Column("parent_id", sa.BigInteger),
        sa.UniqueConstraint("path", name="uq_image_path"),
        sa.UniqueConstraint("shard_id", "content_hash"),
        sa.CheckConstraint("width > 0", name="ck_image_width"),
        sa.CheckConstraint("height BETWEEN 1 AND 100000"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_image_shard", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["parent_id"], ["image.id"], deferrable=True, initially="DEFERRED"),
        sa.Index("ix_image_title", "title"),
        sa.Index("ix_image_recent", "shard_id", sa.text("registered_at DESC NULLS LAST")),
        sa.Index("ix_image_new", "path", postgresql_where=sa.text("state = 'new'")),
        sa.Index("ix_image_lower_path", sa.text("lower(path)")),
        sa.Index("ix_image_prefix", "path", postgresql_ops={"path": "text_pattern_ops"}),
        sa.Index("ix_image_covering", "shard_id", postgresql_include=["path"]),
        sa.Index("ix_image_exif", "exif", postgresql_using="gin"),
        sa.Index(
            "ix_image_embedding",
            "embedding",
            postgresql_using="hnsw",
            postgresql_with={"m": 8},
            postgresql_ops={"embedding": "vector_cosine_ops"},
        ),
        sa.Index("ux_image_hash", "content_hash", unique=True, postgresql_nulls_not_distinct=True),
        comment="every image of the library",
    )
    sa.Table(
        "image_tag",
        metadata,
        sa.Column("image_id", sa.ForeignKey("image.id"), primary_key=True),
        sa.Column("tag", sa.Text, primary_key=True),
        sa.Column("weight", sa.Float, server_default="1.0"),
        postgresql_with={"fillfactor": 70},
    )
    sa.Table(
        "job",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("note", sa.Text, server_default="none"),
        sa.Column("attempts", sa.Integer, nullable=False, default=0),
        sa.Column("token", sa.Uuid, server_default=sa.text("gen_random_uuid()")),
    )
    return metadata
