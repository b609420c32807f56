"""an index of the images that are covers of events, so that deleting images is fast"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_event_cover_image_id"), "event", ["cover_image_id"])
