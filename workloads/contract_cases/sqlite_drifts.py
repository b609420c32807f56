"""SQLite databases that differ from their metadata."""

from photolineage.contract.drift import DriftKind as K
from workloads.contract_cases.case import Case, Found
from workloads.contract_cases.sqlite_column_drifts import SQLITE_COLUMN_DRIFTS, altered, edited

_LINE = ", \n\t"


def _without(name: str, line: str, *found: Found) -> Case:
    return edited(name, _LINE + line, "", *found)


def _with(name: str, line: str, *found: Found) -> Case:
    """The gallery, with one more line at the end of `image`."""
    end = "CHECK (state IN ('new', 'done'))"
    return edited(name, end, end + _LINE + line, *found)


_CONSTRAINTS = (
    edited("pk_lost", ", \n\tPRIMARY KEY (name)", "", (K.PK, "setting", "name")),
    edited(
        "pk_without_a_column",
        "PRIMARY KEY (image_id, tag)",
        "PRIMARY KEY (image_id)",
        (K.PK, "image_tag", "image_id, tag"),
    ),
    edited(
        "pk_in_another_order",
        "PRIMARY KEY (image_id, tag)",
        "PRIMARY KEY (tag, image_id)",
        (K.PK, "image_tag", "image_id, tag"),
    ),
    edited(
        "pk_of_the_row_id_lost",
        ", \n\tPRIMARY KEY (id), \n\tCONSTRAINT uq",
        ", \n\tCONSTRAINT uq",
        (K.PK, "image", "id"),
    ),
    edited(
        "pk_replaces_on_conflict",
        "PRIMARY KEY (name)",
        "PRIMARY KEY (name) ON CONFLICT REPLACE",
        (K.PK, "setting", "name"),
    ),
    _without(
        "unique_lost", "CONSTRAINT uq_image_path UNIQUE (path)", (K.UNIQUE_MISSING, "image", "uq_image_path")
    ),
    _without(
        "unnamed_unique_lost",
        "UNIQUE (shard_id, content_hash)",
        (K.UNIQUE_MISSING, "image", "shard_id, content_hash"),
    ),
    _with("unique_added", "UNIQUE (width)", (K.UNIQUE_EXTRA, "image", "width")),
    edited(
        "unique_over_more",
        "UNIQUE (path)",
        "UNIQUE (path, shard_id)",
        (K.UNIQUE_CHANGED, "image", "uq_image_path"),
    ),
    edited(
        "unique_ignores_conflicts",
        "UNIQUE (path)",
        "UNIQUE (path) ON CONFLICT IGNORE",
        (K.UNIQUE_CHANGED, "image", "uq_image_path"),
    ),
    edited(
        "unique_collated",
        "UNIQUE (path)",
        "UNIQUE (path COLLATE NOCASE)",
        (K.UNIQUE_CHANGED, "image", "uq_image_path"),
    ),
    edited(
        "unique_renamed",
        "uq_image_path",
        "uq_path",
        (K.UNIQUE_CHANGED, "image", "uq_image_path"),
    ),
    _without(
        "check_lost",
        "CONSTRAINT ck_image_width CHECK (width > 0)",
        (K.CHECK_MISSING, "image", "ck_image_width"),
    ),
    _without(
        "unnamed_check_lost", "CHECK (height BETWEEN 1 AND 100000)", (K.CHECK_MISSING, "image", "height")
    ),
    _without(
        "enum_check_lost",
        "CONSTRAINT image_state CHECK (state IN ('new', 'done'))",
        (K.CHECK_MISSING, "image", "image_state"),
    ),
    _with("check_added", "CONSTRAINT ck_rating CHECK (rating <= 5)", (K.CHECK_EXTRA, "image", "ck_rating")),
    edited(
        "check_on_a_column_added",
        "rating FLOAT",
        "rating FLOAT CHECK (rating <= 5)",
        (K.CHECK_EXTRA, "image", "rating"),
    ),
    edited(
        "check_looser",
        "CHECK (width > 0)",
        "CHECK (width >= 0)",
        (K.CHECK_CHANGED, "image", "ck_image_width"),
    ),
    edited(
        "unnamed_check_changed",
        "BETWEEN 1 AND 100000",
        "BETWEEN 1 AND 1000",
        (K.CHECK_CHANGED, "image", "height"),
    ),
    edited(
        "check_renamed",
        "ck_image_width",
        "width_positive",
        (K.CHECK_CHANGED, "image", "ck_image_width"),
    ),
    _without(
        "fk_lost",
        "CONSTRAINT fk_image_shard FOREIGN KEY(shard_id) REFERENCES shard (id) ON DELETE CASCADE",
        (K.FK_MISSING, "image", "fk_image_shard"),
    ),
    edited(
        "unnamed_fk_lost",
        ", \n\tFOREIGN KEY(image_id) REFERENCES image (id)",
        "",
        (K.FK_MISSING, "image_tag", "image_id"),
    ),
    _with("fk_added", "FOREIGN KEY (width) REFERENCES shard (id)", (K.FK_EXTRA, "image", "width")),
    edited("fk_without_cascade", " ON DELETE CASCADE", "", (K.FK_CHANGED, "image", "fk_image_shard")),
    edited(
        "fk_sets_null", "ON DELETE CASCADE", "ON DELETE SET NULL", (K.FK_CHANGED, "image", "fk_image_shard")
    ),
    edited(
        "fk_updates",
        "ON DELETE CASCADE",
        "ON DELETE CASCADE ON UPDATE CASCADE",
        (K.FK_CHANGED, "image", "fk_image_shard"),
    ),
    edited(
        "fk_to_another_table",
        "REFERENCES shard (id)",
        "REFERENCES job (id)",
        (K.FK_CHANGED, "image", "fk_image_shard"),
    ),
    edited(
        "fk_to_another_column",
        "REFERENCES shard (id)",
        "REFERENCES shard (revision)",
        (K.FK_CHANGED, "image", "fk_image_shard"),
    ),
    edited("fk_not_deferred", " DEFERRABLE INITIALLY DEFERRED", "", (K.FK_CHANGED, "image", "parent_id")),
    edited("fk_immediate", "INITIALLY DEFERRED", "INITIALLY IMMEDIATE", (K.FK_CHANGED, "image", "parent_id")),
    edited(
        "fk_renamed",
        "fk_image_shard",
        "fk_shard",
        (K.FK_CHANGED, "image", "fk_image_shard"),
    ),
)

_INDEXES = (
    altered("index_dropped", "DROP INDEX ix_image_title", (K.INDEX_MISSING, "image", "ix_image_title")),
    altered("unique_index_dropped", "DROP INDEX ux_image_hash", (K.INDEX_MISSING, "image", "ux_image_hash")),
    altered("partial_index_dropped", "DROP INDEX ix_image_new", (K.INDEX_MISSING, "image", "ix_image_new")),
    altered("index_added", "CREATE INDEX ix_width ON image (width)", (K.INDEX_EXTRA, "image", "ix_width")),
    altered(
        "unique_index_added", "CREATE UNIQUE INDEX ux_kind ON job (kind)", (K.INDEX_EXTRA, "job", "ux_kind")
    ),
    edited(
        "index_no_longer_unique",
        "CREATE UNIQUE INDEX",
        "CREATE INDEX",
        (K.INDEX_CHANGED, "image", "ux_image_hash"),
    ),
    edited(
        "index_becomes_unique",
        "CREATE INDEX ix_image_title",
        "CREATE UNIQUE INDEX ix_image_title",
        (K.INDEX_CHANGED, "image", "ix_image_title"),
    ),
    edited(
        "index_on_another_column",
        "ix_image_title ON image (title)",
        "ix_image_title ON image (rating)",
        (K.INDEX_CHANGED, "image", "ix_image_title"),
    ),
    edited(
        "index_ascends", "registered_at DESC", "registered_at", (K.INDEX_CHANGED, "image", "ix_image_recent")
    ),
    edited(
        "index_in_another_order",
        "(shard_id, registered_at DESC)",
        "(registered_at DESC, shard_id)",
        (K.INDEX_CHANGED, "image", "ix_image_recent"),
    ),
    edited(
        "index_predicate_changed",
        "WHERE state = 'new'",
        "WHERE state = 'done'",
        (K.INDEX_CHANGED, "image", "ix_image_new"),
    ),
    edited("index_predicate_lost", " WHERE state = 'new'", "", (K.INDEX_CHANGED, "image", "ix_image_new")),
    edited(
        "index_predicate_added",
        "ON image (title)",
        "ON image (title) WHERE title IS NOT NULL",
        (K.INDEX_CHANGED, "image", "ix_image_title"),
    ),
    edited(
        "index_expression_changed",
        "(lower(path))",
        "(upper(path))",
        (K.INDEX_CHANGED, "image", "ix_image_lower_path"),
    ),
    edited(
        "index_collated",
        "ON image (title)",
        "ON image (title COLLATE BINARY)",
        (K.INDEX_CHANGED, "image", "ix_image_title"),
    ),
    edited(
        "index_renamed",
        "ix_image_title",
        "ix_title",
        (K.INDEX_CHANGED, "image", "ix_image_title"),
    ),
    edited(
        "index_for_unique_constraint",
        ", \n\tCONSTRAINT uq_image_path UNIQUE (path)",
        "",
        (K.UNIQUE_MISSING, "image", "uq_image_path"),
    ),
)

_ENUMS = (
    edited(
        "enum_names_for_values", "('new', 'done')", "('NEW', 'DONE')", (K.ENUM_VALUES, "image", "image_state")
    ),
    edited("enum_value_missing", "('new', 'done')", "('new')", (K.ENUM_VALUES, "image", "image_state")),
    edited(
        "enum_value_added",
        "('new', 'done')",
        "('new', 'done', 'gone')",
        (K.ENUM_VALUES, "image", "image_state"),
    ),
    edited(
        "enum_renamed",
        "CONSTRAINT image_state",
        "CONSTRAINT state_of_image",
        (K.ENUM_NAME, "image", "image_state"),
    ),
)

SQLITE_DRIFTS = (*SQLITE_COLUMN_DRIFTS, *_CONSTRAINTS, *_INDEXES, *_ENUMS)
