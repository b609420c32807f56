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


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        # SQLite cannot change a constraint: the table is built anew.
        with op.batch_alter_table("ml_model", table_kwargs={"sqlite_autoincrement": True}) as table:
            table.alter_column("precision", type_=PRECISION, existing_nullable=False)
    else:
        op.execute("ALTER TYPE embedding_precision ADD VALUE 'int8'")
