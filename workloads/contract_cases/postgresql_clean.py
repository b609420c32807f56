"""PostgreSQL databases that agree with their metadata, but are written differently or have other objects too."""
# ruff: noqa: E501 - a statement stays on one line

from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import TypeEngine

from workloads.contract_cases.case import Case
from workloads.contract_cases.field_drifts import archive
from workloads.contract_cases.postgresql_metadata import gallery
from workloads.contract_cases.sqlite_clean import circle, naming_convention, odd_names


def _beside(name: str, *statements: str) -> Case:
    return Case(name, gallery, statements=statements)


def _edited(name: str, *edits: tuple[str, str]) -> Case:
    return Case(name, gallery, edits=edits)


def _every_type() -> sa.MetaData:
    metadata = sa.MetaData()
    types: tuple[TypeEngine[Any], ...] = (
        sa.BigInteger(), sa.Boolean(), sa.Date(), sa.DateTime(timezone=True), sa.Float(), sa.Float(24), sa.Interval(),
        sa.JSON(), sa.LargeBinary(), sa.Numeric(10, 2), sa.Numeric(), sa.SmallInteger(), sa.String(), sa.CHAR(3),
        sa.Time(timezone=True), sa.Uuid(), pg.INET(), pg.CIDR(), pg.MACADDR(), pg.MONEY(), pg.BIT(3),
        pg.BIT(varying=True), pg.OID(), pg.REGCLASS(), pg.TSVECTOR(), pg.INT4RANGE(), pg.TSTZRANGE(),
        pg.INT8MULTIRANGE(), pg.INTERVAL(fields="DAY TO SECOND", precision=3), pg.ARRAY(sa.String(5), dimensions=2),
        pg.JSONB(), pg.ARRAY(pg.UUID()), VECTOR(), HALFVEC(3), sa.Enum("a", "b", native_enum=False, name="letters"),
        sa.Enum("x", "y", native_enum=False, create_constraint=True, name="axis"),
        sa.JSON().with_variant(pg.JSONB(), "postgresql"),
    )  # fmt: skip
    columns = [sa.Column(f"c{place}", type_) for place, type_ in enumerate(types)]
    sa.Table("sample", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
    return metadata


def _two_schemas() -> sa.MetaData:
    metadata = sa.MetaData()
    create = sa.DDL("CREATE SCHEMA IF NOT EXISTS app")  # type: ignore[no-untyped-call]
    sa.event.listen(metadata, "before_create", create)
    mood = sa.Enum("good", "bad", name="mood", schema="app")
    sa.Table("image", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("mood", mood))
    sa.Table(
        "image",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("mood", mood, server_default="good"),
        sa.Column("outer_id", sa.ForeignKey("image.id")),
        sa.Column("moods", pg.ARRAY(mood)),
        sa.UniqueConstraint("mood", "outer_id"),
        schema="app",
    )
    sa.Table("link", metadata, sa.Column("image_id", sa.ForeignKey("app.image.id"), primary_key=True))
    return metadata


def _foreign_enum() -> sa.MetaData:
    metadata = sa.MetaData()
    mood = pg.ENUM("good", "bad", name="mood", create_type=False)
    sa.Table("diary", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("mood", mood))
    return metadata


def _domains() -> sa.MetaData:
    metadata = sa.MetaData()
    email = pg.DOMAIN("email", sa.Text(), check="VALUE LIKE '%@%'", not_null=True)
    sa.Table("person", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("mail", email))
    return metadata


def _numbering() -> sa.MetaData:
    metadata = sa.MetaData()
    number = sa.Sequence("bill_number", metadata=metadata, start=100, cache=5, cycle=True)
    sa.Table(
        "bill",
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True, start=5, increment=5), primary_key=True),
        sa.Column("number", sa.Integer, server_default=number.next_value()),
        sa.Column("draft", sa.Integer, sa.Sequence("draft_number", metadata=metadata)),
    )
    sa.Table("small", metadata, sa.Column("id", sa.SmallInteger, primary_key=True))
    return metadata


def _partitioned() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(
        "event",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Date, primary_key=True, index=True),
        sa.Column("image_id", sa.ForeignKey("image.id")),
        postgresql_partition_by="RANGE (day)",
    )
    sa.Table("image", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table(
        "remark",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("event_id", sa.Integer),
        sa.Column("event_day", sa.Date),
        sa.ForeignKeyConstraint(["event_id", "event_day"], ["event.id", "event.day"]),
    )
    return metadata


def _special_constraints() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(
        "booking",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("during", pg.INT4RANGE, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column(
            "words", pg.TSVECTOR, sa.Computed("to_tsvector('english', coalesce(code, ''))", persisted=True)
        ),
        pg.ExcludeConstraint(("during", "&&"), name="no_overlap", where=sa.text("code IS NOT NULL")),
        sa.UniqueConstraint(
            "code", name="uq_code", deferrable=True, initially="DEFERRED", postgresql_nulls_not_distinct=True
        ),
        sa.Index("ix_words", "words", postgresql_using="gin"),
        sa.Index(
            "ix_code",
            sa.text('lower(code) COLLATE "C" DESC'),
            unique=True,
            postgresql_where=sa.text("code <> ''"),
        ),
        sa.Index("ix_brin", "id", postgresql_using="brin", postgresql_with={"pages_per_range": 16}),
        prefixes=["UNLOGGED"],
    )
    return metadata


def _long_names() -> sa.MetaData:
    metadata = sa.MetaData(naming_convention={"uq": "uq_%(table_name)s_%(column_0_N_name)s"})
    sa.Table(
        "measurement_of_a_photograph_taken_in_the_field",
        metadata,
        sa.Column("identifier_of_the_measurement", sa.Integer, primary_key=True),
        sa.Column(
            "value_of_the_measurement_in_units",
            sa.Integer,
            sa.CheckConstraint("value_of_the_measurement_in_units > 0"),
        ),
        sa.Column("unit_of_the_measurement_as_written", sa.Text),
        sa.UniqueConstraint("value_of_the_measurement_in_units", "unit_of_the_measurement_as_written"),
    )
    return metadata


_BY_HAND = """
CREATE TABLE public.shard (
    revision int8 DEFAULT ('0')::bigint CONSTRAINT must NOT NULL,
    source character varying(50) NOT NULL,
    id serial4, CONSTRAINT shard_key PRIMARY KEY (id)
)
"""

POSTGRESQL_CLEAN = (
    Case("gallery", gallery),
    Case("field_metadata", archive),
    Case("every_type", _every_type),
    Case("naming_convention", naming_convention),
    Case("odd_names", odd_names),
    Case("long_names", _long_names),
    Case("foreign_keys_in_a_circle", circle),
    Case("two_schemas", _two_schemas),
    Case("domains", _domains),
    Case("numbering", _numbering),
    Case("special_constraints", _special_constraints),
    Case("no_tables", sa.MetaData),
    Case("enum_of_another", _foreign_enum, edits=(("CREATE TABLE diary", "CREATE TYPE mood AS ENUM ('good', 'bad');\nCREATE TABLE diary"),)),
    Case("partitions", _partitioned, statements=("CREATE TABLE event_2024 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')", "CREATE TABLE event_rest PARTITION OF event DEFAULT")),
    _edited("other_names_of_types", ("path TEXT", "path text"), ("score FLOAT", "score float8"), ("rating NUMERIC(6, 2)", "rating decimal(6,2)")),
    _edited("check_in_other_words", ("CHECK (height BETWEEN 1 AND 100000)", "CHECK (height >= 1 AND height <= 100000)"), ("CHECK (width > 0)", "CHECK (((width)>0))")),
    _edited("default_null", ("score FLOAT", "score FLOAT DEFAULT NULL")),
    _edited("default_in_other_words", ("DEFAULT 'none'", "DEFAULT ('none'::text)"), ("DEFAULT '{}'::jsonb", "DEFAULT cast('{}' as jsonb)")),
    _edited("columns_in_another_order", ("width INTEGER, \n\theight INTEGER", "height INTEGER, \n\twidth INTEGER")),
    _edited("unnamed_constraint_named", ("\tUNIQUE (shard_id, content_hash)", "\tCONSTRAINT u UNIQUE (shard_id, content_hash)"), ("\tCHECK (height", "\tCONSTRAINT c CHECK (height")),
    _beside("table_by_hand", "ALTER TABLE image DROP CONSTRAINT fk_image_shard", "DROP TABLE shard", _BY_HAND, "ALTER TABLE image ADD CONSTRAINT fk_image_shard FOREIGN KEY (shard_id) REFERENCES shard ON DELETE CASCADE ON UPDATE NO ACTION"),
    _beside("alembic_version", "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"),
    _beside("temporary_table_beside", "CREATE TEMP TABLE scratch (id serial)"),
    _beside("temporary_type_shadows", "CREATE TYPE pg_temp.image_state AS ENUM ('x')"),
    _beside("search_path_elsewhere", "CREATE SCHEMA attic", "SET search_path TO attic"),
    _beside("search_path_empty", "SET search_path TO ''"),
    _beside("table_of_another_schema", "CREATE SCHEMA attic", "CREATE TABLE attic.image (id text)", "CREATE TYPE attic.image_state AS ENUM ('z')", "CREATE TABLE attic.legacy (id serial)"),
    _beside("types_in_the_search_path", "CREATE SCHEMA attic", "CREATE TYPE attic.image_state AS ENUM ('z')", "SET search_path TO attic, public"),
    _beside("views_and_functions", "CREATE VIEW recent AS TABLE image", "CREATE MATERIALIZED VIEW old AS TABLE job", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    _beside("trigger", "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", "CREATE TRIGGER t BEFORE INSERT ON image FOR EACH ROW EXECUTE FUNCTION f()"),
    _beside("inherited_partition", "CREATE TABLE job_2024 (CHECK (attempts > 1)) INHERITS (job)"),
    _beside("statistics", "CREATE STATISTICS s ON width, height FROM image", "ALTER TABLE image ALTER path SET STATISTICS 500", "ANALYZE"),
    _beside("serial_sequence_renamed", "ALTER SEQUENCE shard_id_seq RENAME TO shard_numbers"),
    _beside("numbers_given_out", "SELECT nextval('shard_id_seq')", "SELECT nextval('job_number')"),
    _beside("primary_key_index_renamed", "ALTER INDEX shard_pkey RENAME TO shard_key"),
    _beside("types_beside", "CREATE TYPE pair AS (a int, b int)", "CREATE DOMAIN positive AS int CHECK (VALUE > 0)"),
    _beside("grants", "GRANT SELECT ON image TO PUBLIC"),
    _beside("columns_dropped_before", "ALTER TABLE job ADD COLUMN x int", "ALTER TABLE job DROP COLUMN x"),
)  # fmt: skip
