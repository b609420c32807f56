"""images: how exactly the time is known, and where its offset from UTC comes from"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ENUMS = {
    "taken_at_precision": ("second", "minute", "day", "month", "year"),
    "utc_offset_source": ("stated", "place", "same_time"),
}
"""The columns, each with the name of its type. Both are null for the images that were read so far."""


def upgrade() -> None:
    for name, values in ENUMS.items():
        quoted = ", ".join(f"'{value}'" for value in values)
        if op.get_context().dialect.name == "sqlite":
            # SQLite adds a constraint with its column or not at all.
            op.execute(
                f"ALTER TABLE image ADD COLUMN {name} VARCHAR(32) "
                f"CONSTRAINT ck_image_{name} CHECK ({name} IN ({quoted}))"
            )
        else:
            op.execute(f"CREATE TYPE {name} AS ENUM ({quoted})")
            column = sa.Enum(*values, name=name, create_constraint=True, length=32)
            op.add_column("image", sa.Column(name, column, nullable=True))
