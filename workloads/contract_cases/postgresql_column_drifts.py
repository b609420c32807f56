"""PostgreSQL databases with tables or columns that differ from the metadata."""
# ruff: noqa: E501 - a statement stays on one line

from photolineage.contract.drift import DriftKind as K
from workloads.contract_cases.case import Case, Found
from workloads.contract_cases.postgresql_metadata import gallery


def altered(name: str, statements: str, *found: Found, fixed: bool = True) -> Case:
    """The gallery, and statements separated by semicolons."""
    parts = tuple(part.strip() for part in statements.split(";"))
    return Case(name, gallery, statements=parts, found=found, fixed=fixed)


def image(name: str, action: str, *found: Found, fixed: bool = True) -> Case:
    """The gallery, with one more ALTER TABLE image."""
    return altered(name, f"ALTER TABLE image {action}", *found, fixed=fixed)


_TABLES = (
    altered("table_dropped", "DROP TABLE job", (K.MISSING_TABLE, "job", "job")),
    altered("table_with_indexes_dropped", "DROP TABLE image CASCADE", (K.MISSING_TABLE, "image", "image")),
    altered("referenced_table_dropped", "DROP TABLE shard CASCADE", (K.MISSING_TABLE, "shard", "shard")),
    altered(
        "table_renamed",
        "ALTER TABLE shard RENAME TO portion",
        (K.MISSING_TABLE, "shard", "shard"),
        (K.EXTRA_TABLE, "portion", "portion"),
        fixed=False,
    ),
    altered(
        "table_added", "CREATE TABLE legacy (id serial PRIMARY KEY)", (K.EXTRA_TABLE, "legacy", "legacy")
    ),
    altered(
        "table_in_another_schema",
        "CREATE SCHEMA attic; ALTER TABLE job SET SCHEMA attic",
        (K.MISSING_TABLE, "job", "job"),
    ),
    altered(
        "temporary_table_hides_a_missing_one",
        "CREATE TEMP TABLE saved AS TABLE job; DROP TABLE job; ALTER TABLE saved RENAME TO job",
        (K.MISSING_TABLE, "job", "job"),
        fixed=False,
    ),
    altered(
        "view_for_a_table",
        "ALTER TABLE job RENAME TO hidden; CREATE VIEW job AS TABLE hidden",
        (K.RELATION_KIND, "job", "job"),
        (K.EXTRA_TABLE, "hidden", "hidden"),
        fixed=False,
    ),
    altered(
        "view_of_constants_for_a_table",
        "DROP TABLE job; CREATE VIEW job AS SELECT 1 AS id",
        (K.RELATION_KIND, "job", "job"),
    ),
    altered(
        "materialized_view_for_a_table",
        "DROP TABLE job; CREATE MATERIALIZED VIEW job AS SELECT 1 AS id",
        (K.RELATION_KIND, "job", "job"),
    ),
    altered("table_unlogged", "ALTER TABLE job SET UNLOGGED", (K.TABLE_OPTION, "job", "job")),
    altered(
        "fillfactor_lost",
        "ALTER TABLE image_tag RESET (fillfactor)",
        (K.TABLE_OPTION, "image_tag", "image_tag"),
    ),
    altered(
        "fillfactor_changed",
        "ALTER TABLE image_tag SET (fillfactor = 90)",
        (K.TABLE_OPTION, "image_tag", "image_tag"),
    ),
    altered("fillfactor_added", "ALTER TABLE job SET (fillfactor = 90)", (K.TABLE_OPTION, "job", "job")),
    altered(
        "row_level_security", "ALTER TABLE job ENABLE ROW LEVEL SECURITY", (K.TABLE_OPTION, "job", "job")
    ),
    altered("table_comment_lost", "COMMENT ON TABLE image IS NULL", (K.COMMENT, "image", "image")),
    altered("table_comment_added", "COMMENT ON TABLE job IS 'old'", (K.COMMENT, "job", "job")),
)

_COLUMNS = (
    image("column_dropped", "DROP COLUMN score", (K.MISSING_COLUMN, "image", "score")),
    image(
        "constrained_column_dropped",
        "DROP COLUMN width CASCADE",
        (K.MISSING_COLUMN, "image", "width"),
        (K.MISSING_COLUMN, "image", "area"),
    ),
    image("indexed_column_dropped", "DROP COLUMN title", (K.MISSING_COLUMN, "image", "title")),
    image("vector_column_dropped", "DROP COLUMN embedding", (K.MISSING_COLUMN, "image", "embedding")),
    image("foreign_key_column_dropped", "DROP COLUMN parent_id", (K.MISSING_COLUMN, "image", "parent_id")),
    image("enum_column_dropped", "DROP COLUMN state", (K.MISSING_COLUMN, "image", "state")),
    image("computed_column_dropped", "DROP COLUMN area", (K.MISSING_COLUMN, "image", "area")),
    altered("required_column_dropped", "ALTER TABLE job DROP COLUMN kind", (K.MISSING_COLUMN, "job", "kind")),
    altered(
        "column_with_constant_dropped",
        "ALTER TABLE job DROP COLUMN attempts",
        (K.MISSING_COLUMN, "job", "attempts"),
    ),
    altered(
        "key_column_dropped", "ALTER TABLE image_tag DROP COLUMN tag", (K.MISSING_COLUMN, "image_tag", "tag")
    ),
    altered(
        "referenced_column_dropped",
        "ALTER TABLE shard DROP COLUMN id CASCADE",
        (K.MISSING_COLUMN, "shard", "id"),
    ),
    image("column_added", "ADD COLUMN legacy text", (K.EXTRA_COLUMN, "image", "legacy")),
    image("required_column_added", "ADD COLUMN legacy text NOT NULL", (K.EXTRA_COLUMN, "image", "legacy")),
    image("unique_column_added", "ADD COLUMN legacy text UNIQUE", (K.EXTRA_COLUMN, "image", "legacy")),
    image(
        "column_renamed",
        "RENAME COLUMN score TO points",
        (K.MISSING_COLUMN, "image", "score"),
        (K.EXTRA_COLUMN, "image", "points"),
    ),
    image(
        "constrained_column_renamed",
        "RENAME COLUMN path TO file",
        (K.MISSING_COLUMN, "image", "path"),
        (K.EXTRA_COLUMN, "image", "file"),
        fixed=False,
    ),
)

_TYPES = (
    image("bigint_for_integer", "ALTER parent_id TYPE integer", (K.TYPE, "image", "parent_id")),
    image("integer_for_float", "ALTER score TYPE integer", (K.TYPE, "image", "score")),
    image("real_for_double", "ALTER score TYPE real", (K.TYPE, "image", "score")),
    image("varchar_for_text", "ALTER path TYPE varchar", (K.TYPE, "image", "path")),
    image("short_varchar_for_text", "ALTER path TYPE varchar(20)", (K.TYPE, "image", "path")),
    image(
        "text_for_array",
        "ALTER tags DROP DEFAULT, ALTER tags TYPE text USING tags[1], ALTER tags SET DEFAULT '{}'",
        (K.TYPE, "image", "tags"),
    ),
    image("array_of_varchar", "ALTER tags TYPE varchar[]", (K.TYPE, "image", "tags")),
    image(
        "json_for_jsonb",
        "ALTER exif DROP DEFAULT; DROP INDEX ix_image_exif; ALTER TABLE image ALTER exif TYPE json; ALTER TABLE image ALTER exif SET DEFAULT '{}'",
        (K.TYPE, "image", "exif"),
        (K.INDEX_MISSING, "image", "ix_image_exif"),
    ),
    image("time_zone_lost", "ALTER registered_at TYPE timestamp", (K.TYPE, "image", "registered_at")),
    image(
        "text_for_bytes",
        "ALTER content_hash TYPE text USING encode(content_hash, 'hex')",
        (K.TYPE, "image", "content_hash"),
    ),
    image("text_for_enum", "ALTER earlier_states TYPE text[]", (K.TYPE, "image", "earlier_states")),
    image(
        "array_for_vector",
        "ALTER score TYPE float; DROP INDEX ix_image_embedding; ALTER TABLE image ALTER embedding TYPE real[]",
        (K.TYPE, "image", "embedding"),
        (K.INDEX_MISSING, "image", "ix_image_embedding"),
        fixed=False,
    ),
    image(
        "halfvec_for_vector",
        "DROP COLUMN embedding; ALTER TABLE image ADD COLUMN embedding halfvec(8)",
        (K.TYPE, "image", "embedding"),
        (K.INDEX_MISSING, "image", "ix_image_embedding"),
    ),
    altered("serial_column_widened", "ALTER TABLE shard ALTER id TYPE bigint", (K.TYPE, "shard", "id")),
    altered(
        "domain_for_text",
        "CREATE DOMAIN kind AS text CHECK (VALUE <> ''); ALTER TABLE job ALTER kind TYPE kind",
        (K.TYPE, "job", "kind"),
    ),
    altered("text_for_uuid", "ALTER TABLE job ALTER token TYPE text", (K.TYPE, "job", "token")),
    image("varchar_narrowed", 'ALTER title TYPE varchar(20) COLLATE "C"', (K.TYPE_ARGS, "image", "title")),
    image("varchar_unbounded", 'ALTER title TYPE varchar COLLATE "C"', (K.TYPE_ARGS, "image", "title")),
    image("numeric_scale", "ALTER rating TYPE numeric(6, 4)", (K.TYPE_ARGS, "image", "rating")),
    image("numeric_unbounded", "ALTER rating TYPE numeric", (K.TYPE_ARGS, "image", "rating")),
    image("timestamp_precision", "ALTER taken_at TYPE timestamp(0)", (K.TYPE_ARGS, "image", "taken_at")),
    image("vector_shorter", "ALTER embedding TYPE vector(4)", (K.DIMS, "image", "embedding")),
    image("vector_longer", "ALTER embedding TYPE vector(16)", (K.DIMS, "image", "embedding")),
    image(
        "vector_of_any_length",
        "DROP COLUMN embedding; ALTER TABLE image ADD COLUMN embedding vector",
        (K.DIMS, "image", "embedding"),
        (K.INDEX_MISSING, "image", "ix_image_embedding"),
    ),
)

_VALUES = (
    image("null_allowed", "ALTER path DROP NOT NULL", (K.NULLABLE, "image", "path")),
    image("null_refused", "ALTER width SET NOT NULL", (K.NULLABLE, "image", "width")),
    image(
        "not_null_unproven",
        "ALTER path DROP NOT NULL; ALTER TABLE image ADD CONSTRAINT nn NOT NULL path NOT VALID",
        (K.NULLABLE, "image", "path"),
    ),
    altered("default_lost", "ALTER TABLE job ALTER note DROP DEFAULT", (K.DEFAULT, "job", "note")),
    altered(
        "default_changed", "ALTER TABLE job ALTER note SET DEFAULT 'nothing'", (K.DEFAULT, "job", "note")
    ),
    altered("default_added", "ALTER TABLE job ALTER kind SET DEFAULT 'scan'", (K.DEFAULT, "job", "kind")),
    altered(
        "default_number_changed",
        "ALTER TABLE shard ALTER revision SET DEFAULT 1",
        (K.DEFAULT, "shard", "revision"),
    ),
    image("default_enum_changed", "ALTER state SET DEFAULT 'done'", (K.DEFAULT, "image", "state")),
    image(
        "default_is_no_function",
        "ALTER registered_at SET DEFAULT '2024-01-01 00:00+00'",
        (K.DEFAULT, "image", "registered_at"),
    ),
    image(
        "default_other_function",
        "ALTER registered_at SET DEFAULT clock_timestamp()",
        (K.DEFAULT, "image", "registered_at"),
    ),
    image("default_json_changed", "ALTER exif SET DEFAULT '[]'", (K.DEFAULT, "image", "exif")),
    image("computed_changed", "ALTER area SET EXPRESSION AS (width + height)", (K.COMPUTED, "image", "area")),
    image("computed_lost", "ALTER area DROP EXPRESSION", (K.COMPUTED, "image", "area")),
    image(
        "computed_virtual",
        "DROP COLUMN area; ALTER TABLE image ADD COLUMN area integer GENERATED ALWAYS AS (width * height) VIRTUAL",
        (K.COMPUTED, "image", "area"),
    ),
    image(
        "computed_added",
        "DROP COLUMN score; ALTER TABLE image ADD COLUMN score float GENERATED ALWAYS AS (width / 2.0) STORED",
        (K.COMPUTED, "image", "score"),
    ),
    image("identity_lost", "ALTER id DROP IDENTITY", (K.IDENTITY, "image", "id")),
    image("identity_always", "ALTER id SET GENERATED ALWAYS", (K.IDENTITY, "image", "id")),
    image("identity_steps", "ALTER id SET INCREMENT BY 10", (K.IDENTITY, "image", "id")),
    image("identity_cycles", "ALTER id SET CYCLE", (K.IDENTITY, "image", "id")),
    altered(
        "identity_for_serial",
        "ALTER TABLE shard ALTER id DROP DEFAULT; DROP SEQUENCE shard_id_seq; ALTER TABLE shard ALTER id ADD GENERATED BY DEFAULT AS IDENTITY",
        (K.IDENTITY, "shard", "id"),
    ),
    image(
        "serial_for_identity",
        "ALTER id DROP IDENTITY; CREATE SEQUENCE image_id_seq OWNED BY image.id; ALTER TABLE image ALTER id SET DEFAULT nextval('image_id_seq')",
        (K.IDENTITY, "image", "id"),
    ),
    altered(
        "autoincrement_lost", "ALTER TABLE shard ALTER id DROP DEFAULT", (K.AUTOINCREMENT, "shard", "id")
    ),
    altered(
        "autoincrement_and_sequence_lost",
        "ALTER TABLE shard ALTER id DROP DEFAULT; DROP SEQUENCE shard_id_seq",
        (K.AUTOINCREMENT, "shard", "id"),
    ),
    altered(
        "autoincrement_added",
        "CREATE SEQUENCE tag_seq OWNED BY image_tag.image_id; ALTER TABLE image_tag ALTER image_id SET DEFAULT nextval('tag_seq')",
        (K.AUTOINCREMENT, "image_tag", "image_id"),
    ),
    altered(
        "autoincrement_is_constant",
        "ALTER TABLE shard ALTER id SET DEFAULT 1",
        (K.AUTOINCREMENT, "shard", "id"),
    ),
    altered(
        "sequence_of_nobody",
        "ALTER SEQUENCE shard_id_seq OWNED BY NONE",
        (K.SEQUENCE, "shard", "shard_id_seq"),
    ),
    altered(
        "sequence_steps", "ALTER SEQUENCE shard_id_seq INCREMENT BY 5", (K.SEQUENCE, "shard", "shard_id_seq")
    ),
    altered("sequence_dropped", "DROP SEQUENCE job_number", (K.SEQUENCE, "", "job_number")),
    altered("sequence_changed", "ALTER SEQUENCE job_number INCREMENT BY 1", (K.SEQUENCE, "", "job_number")),
    altered("sequence_added", "CREATE SEQUENCE spare", (K.SEQUENCE, "", "spare")),
    image("collation_lost", "ALTER title TYPE varchar(100)", (K.COLLATION, "image", "title")),
    image(
        "collation_changed", 'ALTER title TYPE varchar(100) COLLATE "POSIX"', (K.COLLATION, "image", "title")
    ),
    image("collation_added", 'ALTER path TYPE text COLLATE "C"', (K.COLLATION, "image", "path")),
    altered("comment_lost", "COMMENT ON COLUMN image.title IS NULL", (K.COMMENT, "image", "title")),
    altered("comment_changed", "COMMENT ON COLUMN image.title IS 'its title'", (K.COMMENT, "image", "title")),
    altered("comment_added", "COMMENT ON COLUMN job.kind IS 'it''s \"quoted\"'", (K.COMMENT, "job", "kind")),
    altered(
        "constraint_comment_added",
        "COMMENT ON CONSTRAINT ck_image_width ON image IS 'why'",
        (K.COMMENT, "image", "ck_image_width"),
    ),
)

POSTGRESQL_COLUMN_DRIFTS = (*_TABLES, *_COLUMNS, *_TYPES, *_VALUES)
