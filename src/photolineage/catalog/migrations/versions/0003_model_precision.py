"""models: the precision of their embeddings, and how far it agrees with float32"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PRECISION = sa.Enum("float32", "bfloat16", name="embedding_precision", create_constraint=True, length=32)


def upgrade() -> None:
    """What is embedded so far was computed in float32."""
    if op.get_context().dialect.name == "sqlite":
        # SQLite adds a constraint with its column or not at all.
        op.execute(
            "ALTER TABLE ml_model ADD COLUMN precision VARCHAR(32) DEFAULT 'float32' NOT NULL "
            "CONSTRAINT ck_ml_model_embedding_precision CHECK (precision IN ('float32', 'bfloat16'))"
        )
    else:
        op.execute("CREATE TYPE embedding_precision AS ENUM ('float32', 'bfloat16')")
        op.add_column("ml_model", sa.Column("precision", PRECISION, server_default="float32", nullable=False))
    op.add_column("ml_model", sa.Column("agreement_cosine", sa.Double(), nullable=True))
    op.add_column("ml_model", sa.Column("agreement_neighbors", sa.Double(), nullable=True))
