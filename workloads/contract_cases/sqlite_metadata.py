"""SQLAlchemy metadata for the cases on SQLite."""

from enum import StrEnum

import sqlalchemy as sa


class ImageState(StrEnum):
    """States with names and values that differ in case."""

    NEW = "new"
    DONE = "done"


def gallery() -> sa.MetaData:
    """A little of everything that SQLite has."""
    metadata = sa.MetaData()
    sa.Table(
        "shard",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source", sa.String(50), nullable=False),
        sa.Column("revision", sa.Integer, server_default="0", nullable=False),
    )
    sa.Table(
        "image",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.String(255), nullable=False),
        sa.Column("shard_id", sa.Integer, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                ImageState,
                name="image_state",
                create_constraint=True,
                values_callable=lambda members: [member.value for member in members],
            ),
            nullable=False,
            server_default="new",
        ),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("rating", sa.Float),
        sa.Column("title", sa.String(100, collation="NOCASE")),
        sa.Column("area", sa.Integer, sa.Computed("width * height")),
        sa.Column("content_hash", sa.LargeBinary),
        sa.Column("registered_at", sa.DateTime, server_default=sa.func.current_timestamp()),
        sa.Column("parent_id", sa.Integer),
        sa.UniqueConstraint("path", name="uq_image_path"),
        sa.UniqueConstraint("shard_id", "content_hash"),
        sa.CheckConstraint("width > 0", name="ck_image_width"),
        sa.CheckConstraint("height BETWEEN 1 AND 100000"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_image_shard", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["parent_id"], ["image.id"], deferrable=True, initially="DEFERRED"),
        sa.Index("ix_image_title", "title"),
        sa.Index("ix_image_recent", "shard_id", sa.text("registered_at DESC")),
        sa.Index("ix_image_new", "path", sqlite_where=sa.text("state = 'new'")),
        sa.Index("ix_image_lower_path", sa.text("lower(path)")),
        sa.Index("ux_image_hash", "content_hash", unique=True),
    )
    sa.Table(
        "image_tag",
        metadata,
        sa.Column("image_id", sa.ForeignKey("image.id"), primary_key=True),
        sa.Column("tag", sa.String, primary_key=True),
        sa.Column("weight", sa.Float, server_default="1.0"),
        sqlite_with_rowid=False,
    )
    sa.Table(
        "job",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("note", sa.Text, server_default="none"),
        sa.Column("attempts", sa.Integer, nullable=False, default=0),
        sqlite_autoincrement=True,
    )
    sa.Table(
        "setting",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text),
        sqlite_strict=True,
    )
    return metadata
