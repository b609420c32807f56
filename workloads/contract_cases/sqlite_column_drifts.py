"""SQLite databases with tables or columns that differ from the metadata."""
# ruff: noqa: E501 - a statement stays on one line

from photolineage.contract.drift import DriftKind as K
from workloads.contract_cases.case import Case, Found
from workloads.contract_cases.sqlite_metadata import gallery


def edited(name: str, old: str, new: str, *found: Found, fixed: bool = True) -> Case:
    """The gallery, with one replacement in its DDL."""
    return Case(name, gallery, edits=((old, new),), found=found, fixed=fixed)


def altered(name: str, statement: str, *found: Found, fixed: bool = True) -> Case:
    """The gallery, and one statement."""
    return Case(name, gallery, statements=(statement,), found=found, fixed=fixed)


_TABLES = (
    altered("table_dropped", "DROP TABLE job", (K.MISSING_TABLE, "job", "job")),
    altered("table_with_indexes_dropped", "DROP TABLE image", (K.MISSING_TABLE, "image", "image")),
    altered("referenced_table_dropped", "DROP TABLE shard", (K.MISSING_TABLE, "shard", "shard")),
    altered(
        "table_renamed",
        "ALTER TABLE job RENAME TO task",
        (K.MISSING_TABLE, "job", "job"),
        (K.EXTRA_TABLE, "task", "task"),
    ),
    altered("table_added", "CREATE TABLE legacy (id INTEGER)", (K.EXTRA_TABLE, "legacy", "legacy")),
    Case(
        "temporary_table_hides_a_missing_one",
        gallery,
        statements=(
            "DROP TABLE job",
            "CREATE TEMP TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT)",
        ),
        found=((K.MISSING_TABLE, "job", "job"),),
        fixed=False,
    ),
    Case(
        "view_for_a_table",
        gallery,
        statements=(
            "DROP TABLE job",
            "CREATE VIEW job AS SELECT 1 AS id, 'scan' AS kind, '' AS note, 0 AS attempts",
        ),
        found=((K.RELATION_KIND, "job", "job"),),
    ),
    Case(
        "virtual_table_for_a_table",
        gallery,
        statements=("DROP TABLE job", "CREATE VIRTUAL TABLE job USING fts5(id, kind, note, attempts)"),
        found=((K.RELATION_KIND, "job", "job"),),
        fixed=False,
    ),
    edited("strict_lost", " STRICT", "", (K.TABLE_OPTION, "setting", "setting")),
    edited("without_rowid_lost", " WITHOUT ROWID", "", (K.TABLE_OPTION, "image_tag", "image_tag")),
)

_COLUMNS = (
    altered("column_dropped", "ALTER TABLE image DROP COLUMN rating", (K.MISSING_COLUMN, "image", "rating")),
    altered("column_dropped_not_null", "ALTER TABLE job DROP COLUMN kind", (K.MISSING_COLUMN, "job", "kind")),
    altered(
        "column_dropped_with_constant",
        "ALTER TABLE job DROP COLUMN attempts",
        (K.MISSING_COLUMN, "job", "attempts"),
    ),
    altered(
        "column_dropped_with_default", "ALTER TABLE job DROP COLUMN note", (K.MISSING_COLUMN, "job", "note")
    ),
    altered(
        "computed_column_dropped", "ALTER TABLE image DROP COLUMN area", (K.MISSING_COLUMN, "image", "area")
    ),
    Case(
        "indexed_column_dropped",
        gallery,
        statements=("DROP INDEX ix_image_title", "ALTER TABLE image DROP COLUMN title"),
        found=((K.MISSING_COLUMN, "image", "title"),),
    ),
    altered("column_added", "ALTER TABLE job ADD COLUMN legacy TEXT", (K.EXTRA_COLUMN, "job", "legacy")),
    altered(
        "column_added_not_null",
        "ALTER TABLE job ADD COLUMN legacy TEXT NOT NULL DEFAULT ''",
        (K.EXTRA_COLUMN, "job", "legacy"),
    ),
    edited(
        "column_required",
        "kind TEXT NOT NULL",
        "kind TEXT NOT NULL, \n\tlegacy TEXT NOT NULL",
        (K.EXTRA_COLUMN, "job", "legacy"),
        fixed=False,
    ),
    Case(
        "column_added_with_index",
        gallery,
        statements=("ALTER TABLE job ADD COLUMN legacy TEXT", "CREATE INDEX ix_legacy ON job (legacy)"),
        found=((K.EXTRA_COLUMN, "job", "legacy"),),
    ),
    altered(
        "column_renamed",
        "ALTER TABLE job RENAME COLUMN kind TO sort",
        (K.MISSING_COLUMN, "job", "kind"),
        (K.EXTRA_COLUMN, "job", "sort"),
    ),
    altered(
        "indexed_column_renamed",
        "ALTER TABLE image RENAME COLUMN title TO caption",
        (K.MISSING_COLUMN, "image", "title"),
        (K.EXTRA_COLUMN, "image", "caption"),
    ),
)

_TYPES = (
    edited("string_for_text", "kind TEXT", "kind STRING", (K.TYPE, "job", "kind")),
    edited("integer_for_text", "kind TEXT", "kind INTEGER", (K.TYPE, "job", "kind")),
    edited("text_for_integer", "width INTEGER", "width TEXT", (K.TYPE, "image", "width")),
    edited(
        "text_for_integer_with_default", "revision INTEGER", "revision TEXT", (K.TYPE, "shard", "revision")
    ),
    edited("text_for_float", "rating FLOAT", "rating TEXT", (K.TYPE, "image", "rating")),
    edited("numeric_for_float", "rating FLOAT", "rating NUMERIC(5, 2)", (K.TYPE, "image", "rating")),
    edited("text_for_blob", "content_hash BLOB", "content_hash TEXT", (K.TYPE, "image", "content_hash")),
    edited("blob_for_text", "path VARCHAR(255)", "path BLOB", (K.TYPE, "image", "path")),
    edited("no_type_for_text", "kind TEXT NOT NULL", "kind NOT NULL", (K.TYPE, "job", "kind")),
    edited(
        "text_for_datetime",
        "registered_at DATETIME",
        "registered_at TEXT",
        (K.TYPE, "image", "registered_at"),
    ),
    edited("float_for_integer", "height INTEGER", "height REAL", (K.TYPE, "image", "height")),
    edited("numeric_for_integer", "height INTEGER", "height DECIMAL(10)", (K.TYPE, "image", "height")),
    edited("point_is_an_integer", "rating FLOAT", "rating FLOATING POINT", (K.TYPE, "image", "rating")),
    edited("any_for_text_in_strict", "value TEXT", "value ANY", (K.TYPE, "setting", "value")),
)

_VALUES = (
    edited("null_allowed", "path VARCHAR(255) NOT NULL", "path VARCHAR(255)", (K.NULLABLE, "image", "path")),
    edited("null_refused", "width INTEGER", "width INTEGER NOT NULL", (K.NULLABLE, "image", "width")),
    edited(
        "null_allowed_beside_a_default",
        "DEFAULT 'new' NOT NULL",
        "DEFAULT 'new'",
        (K.NULLABLE, "image", "state"),
    ),
    edited("default_lost", " DEFAULT 'none'", "", (K.DEFAULT, "job", "note")),
    edited("default_changed", "DEFAULT 'none'", "DEFAULT 'nothing'", (K.DEFAULT, "job", "note")),
    edited(
        "default_added", "title VARCHAR(100)", "title VARCHAR(100) DEFAULT ''", (K.DEFAULT, "image", "title")
    ),
    edited("default_in_other_case", "DEFAULT 'new'", "DEFAULT 'NEW'", (K.DEFAULT, "image", "state")),
    edited("default_number_changed", "DEFAULT '0'", "DEFAULT '1'", (K.DEFAULT, "shard", "revision")),
    edited(
        "default_of_a_float_changed", "DEFAULT '1.0'", "DEFAULT '1.5'", (K.DEFAULT, "image_tag", "weight")
    ),
    edited(
        "quoted_function",
        "DEFAULT CURRENT_TIMESTAMP",
        "DEFAULT 'CURRENT_TIMESTAMP'",
        (K.DEFAULT, "image", "registered_at"),
    ),
    edited(
        "other_function",
        "DEFAULT CURRENT_TIMESTAMP",
        "DEFAULT CURRENT_DATE",
        (K.DEFAULT, "image", "registered_at"),
    ),
    edited("computed_changed", "(width * height)", "(width + height)", (K.COMPUTED, "image", "area")),
    edited("computed_stored", "(width * height)", "(width * height) STORED", (K.COMPUTED, "image", "area")),
    edited("computed_lost", " GENERATED ALWAYS AS (width * height)", "", (K.COMPUTED, "image", "area")),
    edited(
        "computed_added", "rating FLOAT", "rating FLOAT AS (width / 2.0)", (K.COMPUTED, "image", "rating")
    ),
    edited("collation_lost", ' COLLATE "NOCASE"', "", (K.COLLATION, "image", "title")),
    edited("collation_changed", '"NOCASE"', "RTRIM", (K.COLLATION, "image", "title")),
    edited(
        "collation_added",
        "path VARCHAR(255)",
        "path VARCHAR(255) COLLATE NOCASE",
        (K.COLLATION, "image", "path"),
    ),
    edited("autoincrement_lost", " AUTOINCREMENT", "", (K.AUTOINCREMENT, "job", "id")),
    edited(
        "autoincrement_added",
        "id INTEGER NOT NULL, \n\tsource VARCHAR(50) NOT NULL, \n\trevision INTEGER DEFAULT '0' NOT NULL, \n\tPRIMARY KEY (id)",
        "id INTEGER PRIMARY KEY AUTOINCREMENT, \n\tsource VARCHAR(50) NOT NULL, \n\trevision INTEGER DEFAULT '0' NOT NULL",
        (K.AUTOINCREMENT, "shard", "id"),
    ),
    edited(
        "row_id_lost_to_bigint",
        "id INTEGER NOT NULL, \n\tsource",
        "id BIGINT NOT NULL, \n\tsource",
        (K.AUTOINCREMENT, "shard", "id"),
    ),
    edited(
        "row_id_lost_to_int",
        "id INTEGER NOT NULL, \n\tpath",
        "id INT NOT NULL, \n\tpath",
        (K.AUTOINCREMENT, "image", "id"),
    ),
    edited(
        "row_id_lost_to_text",
        "id INTEGER NOT NULL, \n\tsource",
        "id TEXT NOT NULL, \n\tsource",
        (K.TYPE, "shard", "id"),
    ),
)

SQLITE_COLUMN_DRIFTS = (*_TABLES, *_COLUMNS, *_TYPES, *_VALUES)
