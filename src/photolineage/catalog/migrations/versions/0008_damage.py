"""images: which share of a damaged picture is lost; sources: what the last scan passed over"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("image", sa.Column("lost_share", sa.Float(), nullable=True))
    op.add_column("source", sa.Column("passed_over", sa.Text(), nullable=True))
