"""models: embeddings in int8"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PRECISION = sa.Enum(
    "float32", "bfloat16", "int8", name="embedding_precision", create_constraint=True, length=32
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
        # SQLite cannot change a constraint: the table is built anew.
        op.execute(KEEP_LAST_ID)
        with op.batch_alter_table("ml_model", table_kwargs={"sqlite_autoincrement": True}) as table:
            table.alter_column("precision", type_=PRECISION, existing_nullable=False)
        for statement in RESTORE_LAST_ID:
            op.execute(statement)
    else:
        op.execute("ALTER TYPE embedding_precision ADD VALUE 'int8'")
