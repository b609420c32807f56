"""images: when the original was last verified, and when it was found rotten; jobs that verify"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KIND = sa.Enum(
    "scan",
    "register",
    "embed",
    "index",
    "cluster",
    "verify",
    name="job_kind",
    create_constraint=True,
    length=32,
)
STATE = sa.Enum(
    "running", "succeeded", "failed", "interrupted", name="job_state", create_constraint=True, length=32
)

KEEP_LAST_ID = """
INSERT INTO sqlite_sequence (name, seq) SELECT '_ml_job', seq FROM sqlite_sequence WHERE name = 'ml_job'
"""
RESTORE_LAST_ID = (
    "DELETE FROM sqlite_sequence WHERE name = 'ml_job'",
    "UPDATE sqlite_sequence SET name = 'ml_job' WHERE name = '_ml_job'",
)
"""SQLite forgets a table's last id with the table, and would give the id of a deleted job again."""


def upgrade() -> None:
    op.add_column("image", sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("image", sa.Column("rotten_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_image_rotten_at",
        "image",
        ["rotten_at"],
        unique=False,
        sqlite_where=sa.text("rotten_at IS NOT NULL"),
        postgresql_where=sa.text("rotten_at IS NOT NULL"),
    )
    if op.get_context().dialect.name == "sqlite":
        # SQLite cannot change a constraint: the table is built anew, and the one of `state` is named again.
        op.execute(KEEP_LAST_ID)
        with op.batch_alter_table("ml_job", table_kwargs={"sqlite_autoincrement": True}) as table:
            table.alter_column("kind", type_=KIND, existing_nullable=False)
            table.alter_column("state", type_=STATE, existing_nullable=False)
        for statement in RESTORE_LAST_ID:
            op.execute(statement)
    else:
        op.execute("ALTER TYPE job_kind ADD VALUE 'verify'")
