"""Models with views and triggers of their own, with schemas in names, and with definitions that a database refuses."""
# ruff: noqa: E501 - a statement stays on one line

from collections.abc import Callable

import sqlalchemy as sa

from photolineage.contract.drift import DriftKind as K
from workloads.contract_cases import postgresql_metadata, sqlite_metadata
from workloads.contract_cases.case import Case, Found

_Metadata = Callable[[], sa.MetaData]


def _with_events(*after: str) -> _Metadata:
    """An image table, and DDL that runs after its creation."""

    def metadata() -> sa.MetaData:
        made = sa.MetaData()
        sa.Table(
            "image",
            made,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("path", sa.Text, nullable=False),
            sa.Column("hidden", sa.Boolean, nullable=False),
        )
        for statement in after:
            sa.event.listen(made, "after_create", sa.DDL(statement))  # type: ignore[no-untyped-call]
        return made

    return metadata


_SQLITE_EVENTS = _with_events(
    "CREATE VIEW IF NOT EXISTS main.seen AS SELECT id, path FROM image WHERE NOT hidden",
    "CREATE TRIGGER strip AFTER INSERT ON image BEGIN UPDATE image SET path = trim(path); END",
)
_POSTGRESQL_EVENTS = _with_events(
    "CREATE VIEW public.seen AS SELECT id, path FROM public.image WHERE NOT hidden",
    "CREATE MATERIALIZED VIEW paths AS SELECT path FROM image",
    "CREATE FUNCTION public.strip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.path := trim(NEW.path); RETURN NEW; END $$",
    "CREATE TRIGGER strip BEFORE INSERT ON public.image FOR EACH ROW EXECUTE FUNCTION public.strip()",
)


def _references(count: int, *, named: bool = False) -> _Metadata:
    """A foreign key that is stated at its column and again for the table."""

    def metadata() -> sa.MetaData:
        made = sa.MetaData()
        sa.Table("shard", made, sa.Column("id", sa.Integer, primary_key=True))
        keys = [
            sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_image_shard" if named else None)
            for _ in range(count - 1)
        ]
        sa.Table(
            "image",
            made,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("shard_id", sa.ForeignKey("shard.id")),
            *keys,
        )
        return made

    return metadata


def _moments() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(
        "moment",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("changed", sa.DateTime, server_default=sa.text("CURRENT_TIMESTAMP")),
        sa.Column("words", sa.Text, server_default="now()"),
    )
    return metadata


def _refused_index() -> sa.MetaData:
    """Two indexes of one name."""
    metadata = sa.MetaData()
    sa.Table(
        "image",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.Text),
        sa.Column("size", sa.Integer),
        sa.Index("ix_image_path", "path"),
        sa.Index("ix_image_path", "path", "size"),
        sa.Index("ix_image_size", "size"),
    )
    return metadata


def _refused_parts(*, gin: bool) -> _Metadata:
    """A CHECK and a column that no database accepts, beside others that it does."""

    def metadata() -> sa.MetaData:
        made = sa.MetaData()
        sa.Table("shard", made, sa.Column("id", sa.Integer, primary_key=True))
        sa.Table(
            "image",
            made,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("path", sa.Text, unique=True),
            sa.Column("size", sa.Integer, sa.CheckConstraint("size > 0", name="ck_size")),
            sa.Column("shard_id", sa.ForeignKey("shard.id")),
            sa.CheckConstraint("nowhere > 0", name="ck_nowhere"),
            sa.CheckConstraint("size < 1000", name="ck_limit"),
            *([sa.Index("ix_image_path", "path", postgresql_using="gin")] if gin else []),
        )
        return made

    return metadata


def _in_schema(schema: str | None) -> _Metadata:
    """Two tables that point to each other's schema: one names it, the other does not."""

    def metadata() -> sa.MetaData:
        made = sa.MetaData(schema="" if schema == "" else None)
        mood = sa.Enum("good", "bad", name="mood", schema=schema or None)
        sa.Table("shard", made, sa.Column("id", sa.Integer, primary_key=True), schema=schema)
        target = "shard.id" if schema is None else f"{schema}.shard.id"
        sa.Table(
            "image",
            made,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("shard_id", sa.ForeignKey(target)),
            sa.Column("mood", mood),
        )
        return made

    return metadata


def _view_class() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table("image", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("path", sa.Text))
    sa.Table(
        "seen",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.Text),
        info={"is_view": True},
    )
    return metadata


def _numbers(type_: type[sa.Integer]) -> _Metadata:
    def metadata() -> sa.MetaData:
        made = sa.MetaData()
        sa.Table("image", made, sa.Column("id", type_, primary_key=True), sa.Column("path", sa.Text))
        return made

    return metadata


def _case(name: str, metadata: _Metadata, *statements: str, edits: tuple[tuple[str, str], ...] = ()) -> Case:
    return Case(name, metadata, statements=statements, edits=edits)


def _drift(
    name: str,
    metadata: _Metadata,
    statements: str,
    *found: Found,
    edits: tuple[tuple[str, str], ...] = (),
    fixed: bool = False,
) -> Case:
    parts = tuple(part.strip() for part in statements.split(";;") if part.strip())
    return Case(name, metadata, statements=parts, edits=edits, found=found, fixed=fixed)


_SEEN = "CREATE VIEW seen AS SELECT id, path FROM image"
_REFUSED_CHECK = (", \n\tCONSTRAINT ck_nowhere CHECK (nowhere > 0)", "")
_REFUSED = (K.DEFINITION_REFUSED, "image", "ck_nowhere")
_REFUSED_GIN = (K.DEFINITION_REFUSED, "image", "ix_image_path")
_GIN = ("USING gin (path)", "USING gin (to_tsvector('english', path))")
_INDEX_TWICE = ("CREATE INDEX ix_image_path ON image (path, size)", "")

SQLITE_MODEL_CLEAN = (
    _case("views_and_triggers_of_the_model", _SQLITE_EVENTS),
    _case("trigger_spelled_otherwise", _SQLITE_EVENTS, "DROP TRIGGER strip", 'create trigger "strip" after insert on "image" begin update image set path=trim( path ) ; end'),
    _case("other_triggers_and_views_beside", _SQLITE_EVENTS, "CREATE VIEW other AS SELECT 1", "CREATE TRIGGER other AFTER DELETE ON image BEGIN SELECT 1; END"),
    _case("foreign_key_stated_twice", _references(2), edits=((", \n\tFOREIGN KEY(shard_id) REFERENCES shard (id), \n\tFOREIGN KEY(shard_id)", ", \n\tFOREIGN KEY(shard_id)"),)),
    _case("now_in_other_words", _moments, edits=(("made DATETIME DEFAULT CURRENT_TIMESTAMP", "made DATETIME DEFAULT (datetime('now'))"),)),
    _case("class_of_a_view", _view_class, "DROP TABLE seen", _SEEN),
    _case("another_version_table", sqlite_metadata.gallery, "CREATE TABLE alembic_version_app (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"),
    _case("main_is_named", lambda: _named_main("main")),
    _case("schema_is_empty", lambda: _named_main("")),
)  # fmt: skip

SQLITE_MODEL_DRIFTS = (
    _drift("view_dropped", _SQLITE_EVENTS, "DROP VIEW seen", (K.MISSING_TABLE, "seen", "seen")),
    _drift("view_shows_hidden_rows", _SQLITE_EVENTS, "DROP VIEW seen;; CREATE VIEW seen AS SELECT id, path FROM image", (K.VIEW_CHANGED, "seen", "seen")),
    _drift("table_for_a_view", _SQLITE_EVENTS, "DROP VIEW seen;; CREATE TABLE seen (id INTEGER, path TEXT)", (K.RELATION_KIND, "seen", "seen")),
    _drift("trigger_dropped", _SQLITE_EVENTS, "DROP TRIGGER strip", (K.TRIGGER_MISSING, "image", "strip")),
    _drift("trigger_changed", _SQLITE_EVENTS, "DROP TRIGGER strip;; CREATE TRIGGER strip AFTER INSERT ON image BEGIN UPDATE image SET path = 'x'; END", (K.TRIGGER_CHANGED, "image", "strip")),
    _drift("foreign_key_stated_twice_lost", _references(2), "", (K.FK_MISSING, "image", "shard_id"), (K.FK_MISSING, "image", "shard_id"), edits=((", \n\tFOREIGN KEY(shard_id) REFERENCES shard (id), \n\tFOREIGN KEY(shard_id) REFERENCES shard (id)", ""),), fixed=True),
    _drift("refused_index_and_a_lost_one", _refused_index, "DROP INDEX ix_image_size", (K.DEFINITION_REFUSED, "image", "ix_image_path"), (K.INDEX_MISSING, "image", "ix_image_size"), edits=(_INDEX_TWICE,)),
    _drift("refused_check", _refused_parts(gin=False), "", _REFUSED, edits=(_REFUSED_CHECK,)),
    _drift("refused_check_and_a_lost_one", _refused_parts(gin=False), "", _REFUSED, (K.CHECK_MISSING, "image", "ck_limit"), edits=(_REFUSED_CHECK, (", \n\tCONSTRAINT ck_limit CHECK (size < 1000)", ""))),
    _drift("class_of_a_view_that_lacks_a_column", _view_class, "DROP TABLE seen;; CREATE VIEW seen AS SELECT id FROM image", (K.MISSING_COLUMN, "seen", "path")),
    _drift("class_of_a_view_that_is_missing", _view_class, "DROP TABLE seen", (K.MISSING_TABLE, "seen", "seen")),
    _drift("date_for_a_moment", _moments, "", (K.DEFAULT, "moment", "made"), edits=(("made DATETIME DEFAULT CURRENT_TIMESTAMP", "made DATETIME DEFAULT CURRENT_DATE"),), fixed=True),
    _drift("temporary_table_shadows", sqlite_metadata.gallery, "CREATE TEMP TABLE image (id TEXT)", (K.SHADOWED, "image", "image")),
    _drift("table_added_beside_main", lambda: _named_main("main"), "CREATE TABLE legacy (id INTEGER)", (K.EXTRA_TABLE, "legacy", "legacy"), fixed=True),
)  # fmt: skip

POSTGRESQL_MODEL_CLEAN = (
    _case("views_and_triggers_of_the_model", _POSTGRESQL_EVENTS),
    _case("view_selects_in_another_order", _POSTGRESQL_EVENTS, "DROP VIEW seen", "CREATE VIEW seen AS SELECT path, id FROM image WHERE NOT hidden"),
    _case("other_triggers_and_views_beside", _POSTGRESQL_EVENTS, "CREATE VIEW other AS SELECT 1 AS x", "CREATE TRIGGER other BEFORE UPDATE ON image FOR EACH ROW EXECUTE FUNCTION strip()"),
    _case("foreign_key_stated_twice", _references(2), "ALTER TABLE image DROP CONSTRAINT image_shard_id_fkey1"),
    _case("foreign_key_stated_twice_and_made_twice", _references(2)),
    _case("foreign_key_named_once", _references(2, named=True), "ALTER TABLE image DROP CONSTRAINT image_shard_id_fkey"),
    _case("now_in_other_words", _moments, edits=(("DEFAULT now()", "DEFAULT transaction_timestamp()"), ("DEFAULT CURRENT_TIMESTAMP", "DEFAULT now()"))),
    _case("public_is_named", _in_schema("public")),
    _case("schema_is_empty", _in_schema("")),
    _case("schema_of_the_search_path_is_named", _in_schema("public"), "SET search_path TO public, pg_catalog"),
    _case("tables_moved_along_the_search_path", postgresql_metadata.gallery, "CREATE SCHEMA app", "ALTER TABLE image SET SCHEMA app", "ALTER TYPE image_state SET SCHEMA app", "SET search_path TO public, app"),
    _case("all_identifiers_in_quotes", postgresql_metadata.gallery, "SET quote_all_identifiers = on"),
    _case("class_of_a_view", _view_class, "DROP TABLE seen", _SEEN),
    _case("class_of_a_materialized_view", _view_class, "DROP TABLE seen", "CREATE MATERIALIZED VIEW seen AS SELECT id, path FROM image"),
    _case("another_version_table", postgresql_metadata.gallery, "CREATE TABLE alembic_version_app (version_num varchar(32) PRIMARY KEY)"),
)  # fmt: skip

POSTGRESQL_MODEL_DRIFTS = (
    _drift("model_view_dropped", _POSTGRESQL_EVENTS, "DROP VIEW seen", (K.MISSING_TABLE, "seen", "seen")),
    _drift("view_shows_hidden_rows", _POSTGRESQL_EVENTS, "CREATE OR REPLACE VIEW seen AS SELECT id, path FROM image", (K.VIEW_CHANGED, "seen", "seen")),
    _drift("materialized_view_changed", _POSTGRESQL_EVENTS, "DROP MATERIALIZED VIEW paths;; CREATE MATERIALIZED VIEW paths AS SELECT upper(path) AS path FROM image", (K.VIEW_CHANGED, "paths", "paths")),
    _drift("trigger_dropped", _POSTGRESQL_EVENTS, "DROP TRIGGER strip ON image", (K.TRIGGER_MISSING, "image", "strip")),
    _drift("trigger_runs_later", _POSTGRESQL_EVENTS, "DROP TRIGGER strip ON image;; CREATE TRIGGER strip AFTER INSERT ON image FOR EACH ROW EXECUTE FUNCTION strip()", (K.TRIGGER_CHANGED, "image", "strip")),
    _drift("trigger_disabled", _POSTGRESQL_EVENTS, "ALTER TABLE image DISABLE TRIGGER strip", (K.TRIGGER_CHANGED, "image", "strip")),
    _drift("function_of_a_trigger_changed", _POSTGRESQL_EVENTS, "CREATE OR REPLACE FUNCTION strip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", (K.TRIGGER_CHANGED, "image", "strip")),
    _drift("foreign_key_stated_twice_lost", _references(2), "ALTER TABLE image DROP CONSTRAINT image_shard_id_fkey, DROP CONSTRAINT image_shard_id_fkey1", (K.FK_MISSING, "image", "image_shard_id_fkey"), (K.FK_MISSING, "image", "image_shard_id_fkey1"), fixed=True),
    _drift("refused_index_and_a_lost_one", _refused_index, "DROP INDEX ix_image_size", (K.DEFINITION_REFUSED, "image", "ix_image_path"), (K.INDEX_MISSING, "image", "ix_image_size"), edits=(_INDEX_TWICE,)),
    _drift("refused_check", _refused_parts(gin=False), "", _REFUSED, edits=(_REFUSED_CHECK,)),
    _drift("refused_check_and_index_and_a_lost_check", _refused_parts(gin=True), "ALTER TABLE image DROP CONSTRAINT ck_limit", _REFUSED, _REFUSED_GIN, (K.CHECK_MISSING, "image", "ck_limit"), edits=(_REFUSED_CHECK, _GIN)),
    _drift("public_named_and_a_table_added", _in_schema("public"), "CREATE TABLE legacy (id int)", (K.EXTRA_TABLE, "legacy", "legacy"), fixed=True),
    _drift("public_named_and_an_enum_value_missing", _in_schema("public"), "ALTER TYPE mood RENAME VALUE 'bad' TO 'sad'", (K.ENUM_VALUES, "image", "mood"), fixed=True),
    _drift("public_named_and_a_table_dropped", _in_schema("public"), "DROP TABLE shard CASCADE", (K.MISSING_TABLE, "public.shard", "shard"), fixed=True),
    _drift("column_lost_along_the_search_path", postgresql_metadata.gallery, "CREATE SCHEMA app;; ALTER TABLE image SET SCHEMA app;; ALTER TABLE app.image DROP COLUMN title CASCADE;; ALTER TYPE image_state SET SCHEMA app;; SET search_path TO public, app", (K.MISSING_COLUMN, "image", "title")),
    _drift("quotes_and_a_check_lost", postgresql_metadata.gallery, "SET quote_all_identifiers = on;; ALTER TABLE image DROP CONSTRAINT ck_image_width", (K.CHECK_MISSING, "image", "ck_image_width"), fixed=True),
    _drift("moment_never_moves", _moments, "", (K.DEFAULT, "moment", "made"), edits=(("DEFAULT now()", "DEFAULT '2024-01-01'"),), fixed=True),
    _drift("serial_is_bigint", _numbers(sa.Integer), "", (K.TYPE, "image", "id"), edits=(("id SERIAL", "id BIGSERIAL"),), fixed=True),
    _drift("bigint_is_serial", _numbers(sa.BigInteger), "", (K.TYPE, "image", "id"), edits=(("id BIGSERIAL", "id SERIAL"),), fixed=True),
    _drift("sequence_too_short", _numbers(sa.BigInteger), "ALTER SEQUENCE image_id_seq AS integer", (K.SEQUENCE, "image", "image_id_seq"), fixed=True),
    _drift("serial_is_bigint_in_steps", _numbers(sa.Integer), "ALTER SEQUENCE image_id_seq INCREMENT 7", (K.TYPE, "image", "id"), (K.SEQUENCE, "image", "image_id_seq"), edits=(("id SERIAL", "id BIGSERIAL"),)),
    _drift("temporary_table_shadows", postgresql_metadata.gallery, "CREATE TEMP TABLE image (id text)", (K.SHADOWED, "image", "image")),
    _drift("search_path_shadows", postgresql_metadata.gallery, "CREATE SCHEMA attic;; CREATE TABLE attic.image (id text);; SET search_path TO attic, public", (K.SHADOWED, "image", "image")),
    _drift("class_of_a_view_that_lacks_a_column", _view_class, "DROP TABLE seen;; CREATE VIEW seen AS SELECT id FROM image", (K.MISSING_COLUMN, "seen", "path")),
    _drift("class_of_a_view_that_is_a_table", _view_class, "", (K.RELATION_KIND, "seen", "seen")),
)  # fmt: skip


def _named_main(schema: str) -> sa.MetaData:
    """The gallery, whose tables name their schema."""
    metadata = sa.MetaData(schema=schema)
    sa.Table("shard", metadata, sa.Column("id", sa.Integer, primary_key=True))
    target = f"{schema}.shard.id"
    sa.Table(
        "image",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("shard_id", sa.ForeignKey(target)),
    )
    return metadata
