"""The searchable embeddings of each model: one LanceDB table per model, updated incrementally."""

from photolineage.stores.vector_index.errors import (
    REBUILD,
    ImageNotIndexedError,
    IndexDamagedError,
    IndexNotBuiltError,
    IndexNotReadableError,
    IndexNotWritableError,
    IndexSchemaError,
    MissingVectorsError,
    VectorIndexError,
)
from photolineage.stores.vector_index.filters import Box, Circle, SearchFilters
from photolineage.stores.vector_index.maintenance import AnnAction, AnnIndexReport, CompactionReport
from photolineage.stores.vector_index.ranking import Hit, Rank, SearchEffort, usual_effort
from photolineage.stores.vector_index.recall import RecallReport
from photolineage.stores.vector_index.rows import index_schema, live_schema, table_name
from photolineage.stores.vector_index.table import (
    IndexChange,
    IndexDescription,
    VectorIndex,
    VectorIndexes,
    VectorReader,
)

__all__ = [
    "REBUILD",
    "AnnAction",
    "AnnIndexReport",
    "Box",
    "Circle",
    "CompactionReport",
    "Hit",
    "ImageNotIndexedError",
    "IndexChange",
    "IndexDamagedError",
    "IndexDescription",
    "IndexNotBuiltError",
    "IndexNotReadableError",
    "IndexNotWritableError",
    "IndexSchemaError",
    "MissingVectorsError",
    "Rank",
    "RecallReport",
    "SearchEffort",
    "SearchFilters",
    "VectorIndex",
    "VectorIndexError",
    "VectorIndexes",
    "VectorReader",
    "index_schema",
    "live_schema",
    "table_name",
    "usual_effort",
]
