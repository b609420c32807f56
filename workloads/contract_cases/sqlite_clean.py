"""SQLite databases that agree with their metadata, but are written differently or have other objects too."""
# ruff: noqa: E501 - a statement stays on one line

from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from workloads.contract_cases.case import Case
from workloads.contract_cases.sqlite_metadata import gallery


def _edited(name: str, *edits: tuple[str, str]) -> Case:
    return Case(name, gallery, edits=edits)


def _beside(name: str, *statements: str) -> Case:
    return Case(name, gallery, statements=statements)


def _every_type() -> sa.MetaData:
    metadata = sa.MetaData()
    types: tuple[TypeEngine[Any], ...] = (
        sa.BigInteger(), sa.Boolean(create_constraint=True, name="ck_flag"), sa.Date(), sa.DateTime(timezone=True),
        sa.Enum("a", "b"), sa.Float(), sa.Interval(), sa.JSON(), sa.LargeBinary(), sa.Numeric(10, 2), sa.SmallInteger(),
        sa.String(), sa.Text(), sa.Time(), sa.Unicode(10), sa.Uuid(),
    )  # fmt: skip
    columns = [sa.Column(f"c{place}", type_) for place, type_ in enumerate(types)]
    sa.Table("sample", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
    return metadata


def naming_convention() -> sa.MetaData:
    """Constraints named by a convention."""
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    sa.Table("shelf", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table(
        "book",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("shelf_id", sa.ForeignKey("shelf.id"), index=True),
        sa.Column("title", sa.Text, unique=True),
        sa.Column("lent", sa.Boolean(create_constraint=True, name="lent")),
        sa.Column("mood", sa.Enum("good", "bad", name="mood", create_constraint=True)),
        sa.CheckConstraint("title <> ''", name="titled"),
    )
    return metadata


def odd_names() -> sa.MetaData:
    """Names and texts that need quotes and escapes."""
    metadata = sa.MetaData()
    sa.Table(
        "order",
        metadata,
        sa.Column("Group By", sa.Integer, primary_key=True),
        sa.Column('say "when"', sa.Text, server_default="it's"),
        sa.Column("50% off", sa.Text, server_default="50%"),
        sa.Column("größe", sa.Text),
        sa.Column("check", sa.Integer),
        sa.CheckConstraint("\"check\" > 0 AND größe LIKE '%\\:x'", name="ck: 100%"),
        sa.Index("an index, (odd)", "Group By", "check"),
    )
    return metadata


def circle() -> sa.MetaData:
    """Tables that point to each other and to themselves."""
    metadata = sa.MetaData()
    sa.Table(
        "album",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cover_id", sa.ForeignKey("photo.id", use_alter=True, name="fk_cover")),
    )
    sa.Table(
        "photo",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("album_id", sa.ForeignKey("album.id")),
        sa.Column("earlier_id", sa.ForeignKey("photo.id")),
    )
    return metadata


def _other_spelling() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table("place", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table(
        "visit",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("place_id", sa.ForeignKey("place.id")),
        sa.Column("name", sa.String(20, collation="NOCASE"), nullable=False, unique=True),
        sa.Column("score", sa.Integer, server_default="-1"),
        sa.Column("share", sa.Float, server_default="0.50"),
        sa.Column("seen", sa.DateTime, server_default=sa.func.current_timestamp()),
        sa.Column("note", sa.Text),
        sa.CheckConstraint("score <> 0 AND name IN ('a', 'b')", name="ck_visit"),
        sa.Index("ix_visit", "name", "score", sqlite_where=sa.text("score > 0")),
    )
    return metadata


_VISIT = """
create table [Visit] ( -- by hand
    "ID" integer primary key,
    `Place_Id` int references PLACE /* its key */ on delete no action not deferrable,
    NAME text not null collate nocase unique,
    score int default (-1), share real default .5,
    seen timestamp default (current_timestamp), note clob default null,
    constraint CK_VISIT check ((("score" != 0 and [name] in ('a','b'))))
)
"""
_VISIT_INDEX = "CREATE INDEX IX_Visit on visit(NAME collate nocase ASC, Score asc) where (score>0)"


def _rewritten(name: str, *statements: str) -> Case:
    drop = ("DROP TABLE visit", "DROP TABLE place")
    return Case(
        name, _other_spelling, statements=(*drop, "CREATE TABLE Place (id INTEGER PRIMARY KEY)", *statements)
    )


SQLITE_CLEAN = (
    Case("gallery", gallery),
    Case("every_type", _every_type),
    Case("naming_convention", naming_convention),
    Case("odd_names", odd_names),
    Case("foreign_keys_in_a_circle", circle),
    Case("no_tables", sa.MetaData),
    _rewritten("other_spelling", _VISIT, _VISIT_INDEX),
    _edited("varchar_is_text", ("path VARCHAR(255)", "path TEXT"), ("source VARCHAR(50)", "source NVARCHAR(99)")),
    _edited("bigint_is_integer", ("width INTEGER", "width BIGINT"), ("height INTEGER", "height TINYINT")),
    _edited("double_is_float", ("rating FLOAT", "rating DOUBLE PRECISION")),
    _edited("numeric_is_datetime", ("registered_at DATETIME", "registered_at TIMESTAMP")),
    _edited("number_for_quoted_number", ("DEFAULT '0'", "DEFAULT 0"), ("DEFAULT '1.0'", "DEFAULT 1")),
    _edited("default_in_double_quotes", ("DEFAULT 'none'", 'DEFAULT "none"')),
    _edited("default_null", ("title VARCHAR(100)", "title VARCHAR(100) DEFAULT NULL")),
    _edited("default_in_parentheses", ("DEFAULT CURRENT_TIMESTAMP", "DEFAULT (CURRENT_TIMESTAMP)")),
    _edited("key_inline", ("id INTEGER NOT NULL, \n\tsource", "id INTEGER PRIMARY KEY, \n\tsource"), ("revision INTEGER DEFAULT '0' NOT NULL, \n\tPRIMARY KEY (id)", "revision INTEGER DEFAULT '0' NOT NULL")),
    _edited("key_without_rowid_refuses_null", ("tag VARCHAR NOT NULL, \n\tweight", "tag VARCHAR, \n\tweight")),
    _edited("unique_inline", ("path VARCHAR(255) NOT NULL", "path VARCHAR(255) NOT NULL CONSTRAINT uq_image_path UNIQUE"), (", \n\tCONSTRAINT uq_image_path UNIQUE (path)", "")),
    _edited("check_inline", ("height INTEGER", "height INTEGER CHECK (height between 1 and 100000)"), (", \n\tCHECK (height BETWEEN 1 AND 100000)", "")),
    _edited("constraint_without_a_name", ("CONSTRAINT uq_image_path UNIQUE", "UNIQUE")),
    _edited("unnamed_constraint_named", ("\tUNIQUE (shard_id, content_hash)", "\tCONSTRAINT u UNIQUE (shard_id, content_hash)")),
    _edited("names_in_other_case", ("CREATE TABLE shard", "CREATE TABLE Shard"), ("kind TEXT", "KIND TEXT"), ("INDEX ix_image_title", "INDEX IX_Image_Title")),
    _edited("columns_in_another_order", ("width INTEGER, \n\theight INTEGER", "height INTEGER, \n\twidth INTEGER")),
    _edited("enum_values_in_other_space", ("(state IN ('new', 'done'))", "( state in ('new','done') )")),
    _edited("computed_virtual_said", ("AS (width * height)", "AS (width*height) VIRTUAL")),
    _beside("alembic_version", "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"),
    _beside("temporary_table_beside", "CREATE TEMP TABLE scratch (id TEXT)"),
    _beside("full_text_search", "CREATE VIRTUAL TABLE image_text USING fts5(path)"),
    _beside("r_tree", "CREATE VIRTUAL TABLE places USING rtree(id, west, east)"),
    _beside("statistics", "INSERT INTO shard (source) VALUES ('a')", "CREATE INDEX i ON shard (source)", "ANALYZE", "DROP INDEX i"),
    _beside("view", "CREATE VIEW recent AS SELECT * FROM image"),
    _beside("broken_view", "CREATE TABLE gone (id)", "CREATE VIEW broken AS SELECT id FROM gone", "DROP TABLE gone"),
    _beside("trigger", "CREATE TRIGGER t AFTER INSERT ON image BEGIN UPDATE job SET note = 'x'; END"),
    _beside("attached_database", "ATTACH ':memory:' AS other", "CREATE TABLE other.image (id TEXT)"),
    _beside("renamed_back", "ALTER TABLE job RENAME TO task", "ALTER TABLE task RENAME TO job"),
    _beside("column_added_later", "ALTER TABLE image DROP COLUMN rating", "ALTER TABLE image ADD COLUMN rating FLOAT"),
    _beside("rows", "INSERT INTO job (kind, attempts) VALUES ('scan', 0)", "DELETE FROM job"),
)  # fmt: skip
