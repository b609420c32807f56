"""PostgreSQL databases that differ from their metadata."""
# ruff: noqa: E501 - a statement stays on one line

from photolineage.contract.drift import DriftKind as K
from workloads.contract_cases.case import Case
from workloads.contract_cases.postgresql_column_drifts import POSTGRESQL_COLUMN_DRIFTS, altered, image

_CONSTRAINTS = (
    altered("pk_lost", "ALTER TABLE job DROP CONSTRAINT job_pkey", (K.PK, "job", "job_pkey")),
    altered(
        "pk_in_another_order",
        "ALTER TABLE image_tag DROP CONSTRAINT image_tag_pkey, ADD PRIMARY KEY (tag, image_id)",
        (K.PK, "image_tag", "image_tag_pkey"),
    ),
    altered(
        "pk_without_a_column",
        "ALTER TABLE image_tag DROP CONSTRAINT image_tag_pkey, ADD PRIMARY KEY (image_id)",
        (K.PK, "image_tag", "image_tag_pkey"),
    ),
    altered(
        "pk_on_another_column",
        "ALTER TABLE job DROP CONSTRAINT job_pkey, ADD PRIMARY KEY (kind)",
        (K.PK, "job", "job_pkey"),
    ),
    altered(
        "pk_deferrable",
        "ALTER TABLE job DROP CONSTRAINT job_pkey, ADD PRIMARY KEY (id) DEFERRABLE",
        (K.PK, "job", "job_pkey"),
    ),
    image("unique_lost", "DROP CONSTRAINT uq_image_path", (K.UNIQUE_MISSING, "image", "uq_image_path")),
    image(
        "unnamed_unique_lost",
        "DROP CONSTRAINT image_shard_id_content_hash_key",
        (K.UNIQUE_MISSING, "image", "image_shard_id_content_hash_key"),
    ),
    image("unique_added", "ADD CONSTRAINT uq_width UNIQUE (width)", (K.UNIQUE_EXTRA, "image", "uq_width")),
    image(
        "unique_over_more",
        "DROP CONSTRAINT uq_image_path, ADD CONSTRAINT uq_image_path UNIQUE (path, shard_id)",
        (K.UNIQUE_CHANGED, "image", "uq_image_path"),
    ),
    image(
        "unique_deferrable",
        "DROP CONSTRAINT uq_image_path, ADD CONSTRAINT uq_image_path UNIQUE (path) DEFERRABLE",
        (K.UNIQUE_CHANGED, "image", "uq_image_path"),
    ),
    image(
        "unique_nulls_not_distinct",
        "DROP CONSTRAINT image_shard_id_content_hash_key, ADD UNIQUE NULLS NOT DISTINCT (shard_id, content_hash)",
        (K.UNIQUE_CHANGED, "image", "image_shard_id_content_hash_key"),
    ),
    image(
        "unique_renamed",
        "RENAME CONSTRAINT uq_image_path TO uq_path",
        (K.UNIQUE_CHANGED, "image", "uq_image_path"),
        fixed=False,
    ),
    image("check_lost", "DROP CONSTRAINT ck_image_width", (K.CHECK_MISSING, "image", "ck_image_width")),
    image(
        "unnamed_check_lost",
        "DROP CONSTRAINT image_height_check",
        (K.CHECK_MISSING, "image", "image_height_check"),
    ),
    image(
        "check_added", "ADD CONSTRAINT ck_rating CHECK (rating <= 5)", (K.CHECK_EXTRA, "image", "ck_rating")
    ),
    image(
        "check_looser",
        "DROP CONSTRAINT ck_image_width, ADD CONSTRAINT ck_image_width CHECK (width >= 0)",
        (K.CHECK_CHANGED, "image", "ck_image_width"),
    ),
    image(
        "unnamed_check_changed",
        "DROP CONSTRAINT image_height_check, ADD CHECK (height BETWEEN 1 AND 9)",
        (K.CHECK_CHANGED, "image", "image_height_check"),
    ),
    image(
        "check_not_valid",
        "DROP CONSTRAINT ck_image_width, ADD CONSTRAINT ck_image_width CHECK (width > 0) NOT VALID",
        (K.CHECK_CHANGED, "image", "ck_image_width"),
    ),
    image(
        "check_not_enforced",
        "DROP CONSTRAINT ck_image_width, ADD CONSTRAINT ck_image_width CHECK (width > 0) NOT ENFORCED",
        (K.CHECK_CHANGED, "image", "ck_image_width"),
    ),
    image(
        "check_renamed",
        "RENAME CONSTRAINT ck_image_width TO ck_width",
        (K.CHECK_CHANGED, "image", "ck_image_width"),
    ),
    image("fk_lost", "DROP CONSTRAINT fk_image_shard", (K.FK_MISSING, "image", "fk_image_shard")),
    altered(
        "unnamed_fk_lost",
        "ALTER TABLE image_tag DROP CONSTRAINT image_tag_image_id_fkey",
        (K.FK_MISSING, "image_tag", "image_tag_image_id_fkey"),
    ),
    image(
        "fk_added",
        "ADD CONSTRAINT fk_width FOREIGN KEY (width) REFERENCES shard (id)",
        (K.FK_EXTRA, "image", "fk_width"),
    ),
    image(
        "fk_without_cascade",
        "DROP CONSTRAINT fk_image_shard, ADD CONSTRAINT fk_image_shard FOREIGN KEY (shard_id) REFERENCES shard (id)",
        (K.FK_CHANGED, "image", "fk_image_shard"),
    ),
    image(
        "fk_to_another_table",
        "DROP CONSTRAINT fk_image_shard, ADD CONSTRAINT fk_image_shard FOREIGN KEY (shard_id) REFERENCES job (id) ON DELETE CASCADE",
        (K.FK_CHANGED, "image", "fk_image_shard"),
    ),
    image(
        "fk_updates",
        "DROP CONSTRAINT fk_image_shard, ADD CONSTRAINT fk_image_shard FOREIGN KEY (shard_id) REFERENCES shard (id) ON UPDATE CASCADE ON DELETE CASCADE",
        (K.FK_CHANGED, "image", "fk_image_shard"),
    ),
    image(
        "fk_not_deferred",
        "ALTER CONSTRAINT image_parent_id_fkey NOT DEFERRABLE",
        (K.FK_CHANGED, "image", "image_parent_id_fkey"),
    ),
    image(
        "fk_immediate",
        "ALTER CONSTRAINT image_parent_id_fkey DEFERRABLE INITIALLY IMMEDIATE",
        (K.FK_CHANGED, "image", "image_parent_id_fkey"),
    ),
    image(
        "fk_not_valid",
        "DROP CONSTRAINT fk_image_shard, ADD CONSTRAINT fk_image_shard FOREIGN KEY (shard_id) REFERENCES shard (id) ON DELETE CASCADE NOT VALID",
        (K.FK_CHANGED, "image", "fk_image_shard"),
    ),
    image(
        "fk_renamed",
        "RENAME CONSTRAINT fk_image_shard TO fk_shard",
        (K.FK_CHANGED, "image", "fk_image_shard"),
    ),
)


def _reindexed(name: str, index: str, definition: str) -> Case:
    drop, create = f"DROP INDEX {index}", f"CREATE {definition}".replace("@", index)
    return altered(name, f"{drop}; {create}", (K.INDEX_CHANGED, "image", index))


_INDEXES = (
    altered("index_dropped", "DROP INDEX ix_image_title", (K.INDEX_MISSING, "image", "ix_image_title")),
    altered("unique_index_dropped", "DROP INDEX ux_image_hash", (K.INDEX_MISSING, "image", "ux_image_hash")),
    altered(
        "vector_index_dropped",
        "DROP INDEX ix_image_embedding",
        (K.INDEX_MISSING, "image", "ix_image_embedding"),
    ),
    altered("index_added", "CREATE INDEX ix_width ON image (width)", (K.INDEX_EXTRA, "image", "ix_width")),
    altered(
        "unique_index_added", "CREATE UNIQUE INDEX ux_kind ON job (kind)", (K.INDEX_EXTRA, "job", "ux_kind")
    ),
    altered(
        "index_renamed",
        "ALTER INDEX ix_image_title RENAME TO ix_title",
        (K.INDEX_CHANGED, "image", "ix_image_title"),
    ),
    altered(
        "index_invalid",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_image_title'::regclass",
        (K.INDEX_CHANGED, "image", "ix_image_title"),
    ),
    _reindexed("index_no_longer_unique", "ux_image_hash", "INDEX @ ON image (content_hash)"),
    _reindexed("index_nulls_distinct", "ux_image_hash", "UNIQUE INDEX @ ON image (content_hash)"),
    _reindexed("index_becomes_unique", "ix_image_title", "UNIQUE INDEX @ ON image (title)"),
    _reindexed("index_on_another_column", "ix_image_title", "INDEX @ ON image (score)"),
    _reindexed("index_ascends", "ix_image_recent", "INDEX @ ON image (shard_id, registered_at)"),
    _reindexed(
        "index_nulls_first", "ix_image_recent", "INDEX @ ON image (shard_id, registered_at DESC NULLS FIRST)"
    ),
    _reindexed(
        "index_in_another_order",
        "ix_image_recent",
        "INDEX @ ON image (registered_at DESC NULLS LAST, shard_id)",
    ),
    _reindexed("index_predicate_changed", "ix_image_new", "INDEX @ ON image (path) WHERE state = 'done'"),
    _reindexed("index_predicate_lost", "ix_image_new", "INDEX @ ON image (path)"),
    _reindexed("index_expression_changed", "ix_image_lower_path", "INDEX @ ON image (upper(path))"),
    _reindexed("index_operator_class_lost", "ix_image_prefix", "INDEX @ ON image (path)"),
    _reindexed("index_covers_nothing", "ix_image_covering", "INDEX @ ON image (shard_id)"),
    _reindexed("index_method_changed", "ix_image_title", "INDEX @ ON image USING hash (title)"),
    _reindexed(
        "gin_operator_class_changed", "ix_image_exif", "INDEX @ ON image USING gin (exif jsonb_path_ops)"
    ),
    _reindexed(
        "vector_distance_changed",
        "ix_image_embedding",
        "INDEX @ ON image USING hnsw (embedding vector_l2_ops) WITH (m = 8)",
    ),
    _reindexed(
        "vector_index_method_changed",
        "ix_image_embedding",
        "INDEX @ ON image USING ivfflat (embedding vector_cosine_ops)",
    ),
    _reindexed(
        "vector_index_parameter_changed",
        "ix_image_embedding",
        "INDEX @ ON image USING hnsw (embedding vector_cosine_ops) WITH (m = 16)",
    ),
    _reindexed("index_collated", "ix_image_title", 'INDEX @ ON image (title COLLATE "POSIX")'),
)

_ENUMS = (
    altered(
        "enum_renamed",
        "ALTER TYPE image_state RENAME TO state_of_image",
        (K.ENUM_NAME, "image", "image_state"),
    ),
    altered(
        "enum_names_for_values",
        "ALTER TYPE image_state RENAME VALUE 'new' TO 'NEW'; ALTER TYPE image_state RENAME VALUE 'done' TO 'DONE'",
        (K.ENUM_VALUES, "image", "image_state"),
    ),
    altered(
        "enum_value_renamed",
        "ALTER TYPE image_state RENAME VALUE 'done' TO 'DONE'",
        (K.ENUM_VALUES, "image", "image_state"),
    ),
    altered(
        "enum_value_added",
        "ALTER TYPE image_state ADD VALUE 'gone'",
        (K.ENUM_VALUES, "image", "image_state"),
    ),
    altered("enum_added", "CREATE TYPE mood AS ENUM ('good', 'bad')", (K.ENUM_EXTRA, "", "mood")),
    altered(
        "enum_dropped",
        "DROP TYPE image_state CASCADE",
        (K.ENUM_MISSING, "image", "image_state"),
        (K.MISSING_COLUMN, "image", "state"),
        (K.MISSING_COLUMN, "image", "earlier_states"),
    ),
)

POSTGRESQL_DRIFTS = (*POSTGRESQL_COLUMN_DRIFTS, *_CONSTRAINTS, *_INDEXES, *_ENUMS)
