"""The current committed embedding of each image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Select, select

from photolineage.catalog.orm import Image, Source
from photolineage.catalog.queries import IS_EMBEDDABLE, CommittedFile, committed_files
from photolineage.catalog.vocabulary import FileKind
from photolineage.stores.analytics import arrow_table, query
from photolineage.stores.embeddings import EmbeddingStore, embedding_file, embedding_schema
from photolineage.stores.vector_index import live_schema

FACTS_SCHEMA = pa.schema(
    [
        ("image_id", pa.int64()),
        ("content_hash", pa.string()),
        ("source", pa.string()),
        ("taken_at", pa.timestamp("us", "UTC")),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("stack_of", pa.int64()),
    ]
)

_OF_PRESENT_CONTENT = """
SELECT f.image_id, f.source, f.taken_at, f.latitude, f.longitude, f.stack_of,
       max(c.embedding_file) AS embedding_file
FROM facts f JOIN contents c USING (image_id, content_hash)
GROUP BY ALL ORDER BY f.image_id
"""

_OUTDATED = """
SELECT count(*) AS images FROM live FULL JOIN indexed USING (image_id)
WHERE live.embedding_file IS DISTINCT FROM indexed.embedding_file
"""


@dataclass(frozen=True, slots=True)
class LiveEmbeddings:
    """The current embeddings of one model.

    `rows`: one row per image, ordered by image id, with its facts and the `embedding_file` of the file that holds its
    embedding. `missing`: the number of images that need an embedding but have none. `dim`: the length of the vectors.
    """

    rows: pa.Table
    missing: int
    dim: int
    files: Sequence[CommittedFile]
    store: EmbeddingStore

    def read_vectors(self, embedding_files: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """The rows of these files: image id, shard file id, vector. Some rows may be outdated."""
        wanted = set(embedding_files)
        for file in self.files:
            if embedding_file(file.path) in wanted:
                table = self.store.read(file.path, self.dim).drop_columns(["content_hash"])
                identity = pa.array([embedding_file(file.path)] * len(table), pa.int64())
                yield from table.add_column(1, "embedding_file", identity).to_batches()

    def count_outdated(self, indexed: pa.Table) -> int:
        """The number of images that are missing from `rows` or from `indexed`, or whose embeddings differ."""
        count: int = query(_OUTDATED, live=self.rows, indexed=indexed)["images"][0].as_py()
        return count

    def vectors(self) -> pa.Table:
        """Image id and vector of every current row."""
        images = self.rows["image_id"].to_numpy()
        files = self.rows["embedding_file"].to_numpy()
        batches = []
        for batch in self.read_vectors(np.unique(files).tolist()):
            place = np.minimum(np.searchsorted(images, batch["image_id"]), len(images) - 1)
            holds = (images[place] == batch["image_id"]) & (files[place] == batch["embedding_file"])
            batches.append(batch.filter(pa.array(holds)).select(["image_id", "vector"]))
        return pa.Table.from_batches(batches, schema=embedding_schema(self.dim).remove(1))


def find_live_embeddings(
    connection: Connection, store: EmbeddingStore, model_id: int, dim: int
) -> LiveEmbeddings:
    """The current embeddings of a model.

    Raises StorageError if a committed file is missing, or if its number of rows is not that of its commit record.
    """
    facts = arrow_table(connection, _facts(), FACTS_SCHEMA)
    files = committed_files(connection, FileKind.EMBEDDING, model_id=model_id)
    rows = query(_OF_PRESENT_CONTENT, facts=facts, contents=_contents(store, files)).cast(live_schema())
    return LiveEmbeddings(rows, len(facts) - len(rows), dim, files, store)


def _facts() -> Select[int, str | None, str, object, float | None, float | None, int | None]:
    return (
        select(
            Image.id,
            Image.content_hash,
            Source.key,
            Image.taken_at,
            Image.latitude,
            Image.longitude,
            Image.stack_of_id,
        )
        .join(Source, Source.id == Image.source_id)
        .where(IS_EMBEDDABLE)
    )


def _contents(store: EmbeddingStore, files: Sequence[CommittedFile]) -> pa.Table:
    schema = pa.schema(
        [("image_id", pa.int64()), ("content_hash", pa.string()), ("embedding_file", pa.int64())]
    )
    tables = [
        store.read_identities(file.path, file.row_count)
        .append_column("embedding_file", pa.array([embedding_file(file.path)] * file.row_count, pa.int64()))
        .cast(schema)
        for file in files
    ]
    return pa.concat_tables(tables) if tables else schema.empty_table()
