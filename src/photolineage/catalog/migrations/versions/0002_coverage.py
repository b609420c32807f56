"""which models have embedded an image, and which committed files are superseded"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MARK_EMBEDDED_PARTITIONS = """
UPDATE image SET embedded_models = complete.models
FROM (
    SELECT shard.id AS shard_id,
           CAST(sum(CAST(1 AS BIGINT) << CAST(ml_model.id AS INTEGER)) AS BIGINT) AS models
    FROM shard
    CROSS JOIN ml_model
    JOIN (
        SELECT subject, max(id) AS job_id FROM ml_job
        WHERE kind = 'embed' AND state = 'succeeded' GROUP BY subject
    ) AS newest ON newest.subject = ml_model.key || '|' || shard.key
    JOIN ml_job ON ml_job.id = newest.job_id
    WHERE ml_job.input_version = CAST(shard.revision AS VARCHAR)
    GROUP BY shard.id
) AS complete
WHERE image.shard_id = complete.shard_id
  AND image.state = 'registered'
  AND image.duplicate_of_id IS NULL
"""
"""Partitions that are up to date have embedded all their images; the others are counted at their next run."""


def upgrade() -> None:
    op.add_column(
        "image",
        sa.Column("embedded_models", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.execute(MARK_EMBEDDED_PARTITIONS)
    op.drop_index(op.f("ix_image_shard_id_state"), table_name="image")
    op.create_index(
        op.f("ix_image_shard_id_state_embedded_models_duplicate_of_id"),
        "image",
        ["shard_id", "state", "embedded_models", "duplicate_of_id"],
        unique=False,
    )
    op.add_column("shard_file", sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True))
