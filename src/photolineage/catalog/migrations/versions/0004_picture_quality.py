"""how sharp and level a picture is"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("image", sa.Column("quality", sa.Float(), nullable=True))
