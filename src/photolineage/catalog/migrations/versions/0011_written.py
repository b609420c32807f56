"""images: what people wrote about them, their sidecars, and times from there"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FIELDS = (
    "title",
    "description",
    "keyword",
    "person",
    "place",
    "rating",
    "position",
    "time",
    "problem",
)

SOURCES_SO_FAR = "('exif', 'gps', 'file_name', 'file_time')"
SOURCES = "('sidecar', 'exif', 'gps', 'embedded', 'file_name', 'file_time')"

KEEP_LAST_ID = (
    "INSERT INTO sqlite_sequence (name, seq) SELECT '_image', seq FROM sqlite_sequence WHERE name = 'image'"
)
RESTORE_LAST_ID = (
    "DELETE FROM sqlite_sequence WHERE name = 'image'",
    "UPDATE sqlite_sequence SET name = 'image' WHERE name = '_image'",
)
"""SQLite forgets a table's last id with the table, and would give the id of a deleted image again."""


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        allow_more_sources()
    else:
        op.execute("ALTER TYPE taken_at_source ADD VALUE 'sidecar' BEFORE 'exif'")
        op.execute("ALTER TYPE taken_at_source ADD VALUE 'embedded' AFTER 'gps'")
    op.add_column("image", sa.Column("sidecars", sa.LargeBinary(), nullable=True))
    op.create_table(
        "image_note",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("image_id", BIG_ID, nullable=False),
        sa.Column(
            "field",
            sa.Enum(*FIELDS, name="written_field", create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("name", sa.String(200), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_image_note_image_id_image"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_note")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_image_note_image_id"), "image_note", ["image_id"], unique=False)
    op.create_index(op.f("ix_image_note_field_name"), "image_note", ["field", "name"], unique=False)


def allow_more_sources() -> None:
    """SQLite cannot change a constraint: the table is built anew, from its own definition."""
    connection = op.get_bind()
    definitions = connection.execute(
        sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = 'image' AND sql IS NOT NULL")
    ).all()
    table = next(sql for kind, sql in definitions if kind == "table")
    others = [sql for kind, sql in definitions if kind != "table"]
    begins, sources = table.index("("), table.count(SOURCES_SO_FAR)
    if sources != 1:
        raise RuntimeError(f"the table image has {sources} constraints {SOURCES_SO_FAR}; 1 was expected")
    # Written by itself, a colon would be a parameter.
    execute = connection.exec_driver_sql
    execute(f'CREATE TABLE "_image" {table[begins:].replace(SOURCES_SO_FAR, SOURCES)}')
    execute('INSERT INTO "_image" SELECT * FROM image')
    execute(KEEP_LAST_ID)
    execute("DROP TABLE image")
    execute('ALTER TABLE "_image" RENAME TO image')
    for statement in (*RESTORE_LAST_ID, *others):
        execute(statement)
