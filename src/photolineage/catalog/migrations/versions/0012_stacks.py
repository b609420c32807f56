"""stacks: the image that shows instead of another of its shot, and how pictures look"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

RULES = ("edited", "same_shot", "burst")


def upgrade() -> None:
    quoted = ", ".join(f"'{rule}'" for rule in RULES)
    refers = "CONSTRAINT fk_image_stack_of_id_image REFERENCES image (id)"
    if op.get_context().dialect.name == "sqlite":
        # SQLite adds a constraint with its column or not at all.
        op.execute(f"ALTER TABLE image ADD COLUMN stack_of_id INTEGER {refers}")
        op.execute(
            "ALTER TABLE image ADD COLUMN stack_rule VARCHAR(32) "
            f"CONSTRAINT ck_image_stack_rule CHECK (stack_rule IN ({quoted}))"
        )
    else:
        op.execute(f"ALTER TABLE image ADD COLUMN stack_of_id BIGINT {refers}")
        op.execute(f"CREATE TYPE stack_rule AS ENUM ({quoted})")
        column = sa.Enum(*RULES, name="stack_rule", create_constraint=True, length=32)
        op.add_column("image", sa.Column("stack_rule", column, nullable=True))
    op.add_column("image", sa.Column("perceptual_hash", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_image_stack_of_id"), "image", ["stack_of_id"], unique=False)
