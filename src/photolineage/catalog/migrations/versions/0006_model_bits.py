"""models: which bit of an image says that a model has embedded it"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PRECISION = sa.Enum(
    "float32", "bfloat16", "int8", name="embedding_precision", create_constraint=True, length=32
)

BITS_SO_FAR = "UPDATE ml_model SET embedded_bit = CAST(1 AS BIGINT) << CAST(id AS INTEGER)"
"""Until now a model's id was the number of its bit."""

KEEP_LAST_ID = """
INSERT INTO sqlite_sequence (name, seq) SELECT '_ml_model', seq FROM sqlite_sequence WHERE name = 'ml_model'
"""
RESTORE_LAST_ID = (
    "DELETE FROM sqlite_sequence WHERE name = 'ml_model'",
    "UPDATE sqlite_sequence SET name = 'ml_model' WHERE name = '_ml_model'",
)
"""SQLite forgets a table's last id with the table, and would give the id of a retired model again."""


def upgrade() -> None:
    op.add_column("ml_model", sa.Column("embedded_bit", sa.BigInteger(), nullable=True))
    op.execute(BITS_SO_FAR)
    if op.get_context().dialect.name == "sqlite":
        # SQLite cannot change a constraint: the table is built anew, and the one of `precision` is named again.
        op.execute(KEEP_LAST_ID)
        with op.batch_alter_table("ml_model", table_kwargs={"sqlite_autoincrement": True}) as table:
            table.alter_column("precision", type_=PRECISION, existing_nullable=False)
            table.alter_column("embedded_bit", existing_type=sa.BigInteger(), nullable=False)
            table.create_unique_constraint(op.f("uq_ml_model_embedded_bit"), ["embedded_bit"])
        for statement in RESTORE_LAST_ID:
            op.execute(statement)
    else:
        op.alter_column("ml_model", "embedded_bit", existing_type=sa.BigInteger(), nullable=False)
        op.create_unique_constraint(op.f("uq_ml_model_embedded_bit"), "ml_model", ["embedded_bit"])
