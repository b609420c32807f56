"""models: what was measured on each machine, in place of one agreement; embeddings in float16"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

PRECISION = sa.Enum(
    "float32", "float16", "bfloat16", "int8", name="embedding_precision", create_constraint=True, length=32
)

KEEP_LAST_ID = """
INSERT INTO sqlite_sequence (name, seq) SELECT '_ml_model', seq FROM sqlite_sequence WHERE name = 'ml_model'
"""
RESTORE_LAST_ID = (
    "DELETE FROM sqlite_sequence WHERE name = 'ml_model'",
    "UPDATE sqlite_sequence SET name = 'ml_model' WHERE name = '_ml_model'",
)
"""SQLite forgets a table's last id with the table: a model that was retired would share its id with the next one."""


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        # SQLite cannot change a constraint: the table is built anew, and the one of `precision` is named again.
        op.execute(KEEP_LAST_ID)
        with op.batch_alter_table("ml_model", table_kwargs={"sqlite_autoincrement": True}) as table:
            table.alter_column("precision", type_=PRECISION, existing_nullable=False)
            table.drop_column("agreement_cosine")
            table.drop_column("agreement_neighbors")
        for statement in RESTORE_LAST_ID:
            op.execute(statement)
    else:
        op.execute("ALTER TYPE embedding_precision ADD VALUE 'float16' BEFORE 'bfloat16'")
        op.drop_column("ml_model", "agreement_cosine")
        op.drop_column("ml_model", "agreement_neighbors")
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "ml_model_timing",
        sa.Column("id", big, nullable=False),
        sa.Column("model_id", big, nullable=False),
        sa.Column("machine", sa.String(length=64), nullable=False),
        sa.Column("machine_name", sa.Text(), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("timings", sa.Text(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["ml_model.id"],
            name=op.f("fk_ml_model_timing_model_id_ml_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ml_model_timing")),
        sa.UniqueConstraint("model_id", "machine", name=op.f("uq_ml_model_timing_model_id_machine")),
        sqlite_autoincrement=True,
    )
