"""One LanceDB table per model, with one row per image, even after a kill between any two steps."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
from filelock import FileLock
from numpy.typing import NDArray

from photolineage.stores.root_folder import RootFolder
from photolineage.stores.vector_index import maintenance, ranking, recall
from photolineage.stores.vector_index.difference import table_difference
from photolineage.stores.vector_index.errors import (
    ImageNotIndexedError,
    IndexDamagedError,
    IndexNotBuiltError,
    IndexSchemaError,
    MissingVectorsError,
    reading,
    writing,
)
from photolineage.stores.vector_index.filters import Box, SearchFilters
from photolineage.stores.vector_index.maintenance import AnnIndexReport, CompactionReport
from photolineage.stores.vector_index.ranking import Hit, Rank, SearchEffort, usual_effort
from photolineage.stores.vector_index.recall import RecallReport
from photolineage.stores.vector_index.rows import WantedRows, index_schema, live_schema, table_name
from photolineage.stores.vector_index.writing import flush_files, remove_rows, update_facts, write_rows

if TYPE_CHECKING:
    from lancedb.db import DBConnection
    from lancedb.table import AsyncTable, Table

FOLDER = "index"
"""The folder of all tables below the home directory."""

_AT_EACH_READ = timedelta(0)
"""Check for a newer version at each read. The table stays open, so its index stays in memory."""

_logger = logging.getLogger(__name__)

VectorReader = Callable[[Sequence[int]], Iterator[pa.RecordBatch]]
"""From shard file ids to the rows of those files: `image_id`, `embedding_file`, `vector` (float16)."""


@dataclass(frozen=True, slots=True)
class IndexChange:
    """What a synchronization did, in rows. `rows` and `fragments` are those of the table afterwards."""

    added: int
    replaced: int
    updated: int
    removed: int
    files_read: int
    rows: int
    fragments: int


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """Facts about a table. `ann_kind` is None if search is exact; `bytes` includes old versions."""

    schema: pa.Schema
    rows: int
    bytes: int
    fragments: int
    ann_kind: str | None
    ann_rows: int


class VectorIndex:
    """The searchable embeddings of one model, in a LanceDB table named after it under `directory`.

    Every step is one atomic commit that may be repeated. The steps are derived from the content of the table, never
    from a record of earlier work, so the next synchronization completes one that was killed at any point.
    One process at a time writes (a file lock, which the system releases when its holder dies). Readers never
    wait, and see each commit immediately. Versions younger than `keep_versions_for` are kept.

    Methods that read or write an existing table raise `IndexDamagedError` if its files are missing or damaged. If the
    system refuses, methods that read raise `IndexNotReadableError`, and methods that write `IndexNotWritableError`.
    """

    def __init__(
        self, directory: Path, model_key: str, dim: int, *, keep_versions_for: timedelta = timedelta(hours=1)
    ) -> None:
        self.directory = directory
        self.model_key = model_key
        self.dim = dim
        self._name = table_name(model_key)
        self._root = RootFolder(directory)
        self._folder = self._root.inner(f"{self._name}.lance")
        self._keep_versions_for = keep_versions_for
        self._table: Table | None = None
        self._searched: AsyncTable | None = None
        self._fitting: Table | None = None  # whose columns were compared

    def exists(self) -> bool:
        """Whether the model has a table. The table may be empty."""
        return self._find() is not None

    def synchronize(
        self,
        live: pa.Table,
        read_vectors: VectorReader,
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> IndexChange:
        """Make the table's rows equal to `live`, which has the schema `live_schema()` and one row per image.

        `read_vectors` is called once, with the files that hold new or replaced embeddings. Rows of these files that
        `live` does not name are left out. After each commit, `on_progress` receives the number of rows written and the
        total to write. A damaged table is deleted and rebuilt.

        Raises `IndexSchemaError` before writing anything, and `MissingVectorsError` if a file lacks a row.
        """
        with self._exclusive():
            table, stored = self._open_whole()
            difference = table_difference(live, stored)
            wanted = WantedRows(live, np.union1d(difference.added, difference.replaced), self.dim)
            remove_rows(table, difference.removed)
            update_facts(table, live, difference.updated)
            if len(wanted):
                write_rows(table, wanted, read_vectors(wanted.files), on_progress)
                self._require_all(wanted)
            return IndexChange(
                added=len(difference.added),
                replaced=len(difference.replaced),
                updated=len(difference.updated),
                removed=len(difference.removed),
                files_read=len(wanted.files),
                rows=table.count_rows(),
                fragments=maintenance.fragment_count(table),
            )

    def delete(self) -> None:
        """Delete the table. The next synchronization builds it again."""
        with self._exclusive():
            self._delete()

    def build_ann_if_outgrown(self) -> AnnIndexReport:
        """Build the approximate index if the table is large enough and has outgrown the last one."""
        with self._exclusive():
            return maintenance.build_ann_if_outgrown(self._open())

    def compact(self) -> CompactionReport:
        """Merge small fragments, update the indices, and delete versions older than `keep_versions_for`."""
        with self._exclusive():
            table = self._open()
            before = maintenance.fragment_count(table), self._bytes()
            maintenance.optimize(table, self._keep_versions_for)
            return CompactionReport(*before, maintenance.fragment_count(table), self._bytes())

    def flush(self) -> None:
        """Write the table's files to the disk. LanceDB does not, so a loss of power could damage what it wrote last."""
        with self._exclusive():
            flush_files(self._folder)

    def row_count(self) -> int:
        """The number of rows; 0 without a table."""
        with self._reading():
            table = self._find()
            return 0 if table is None else table.count_rows()

    def live_rows(self) -> pa.Table:
        """Every row without its vector, in the schema `live_schema()`, in no particular order."""
        columns = live_schema().names
        with self._reading():
            return self._open().search().select(columns).to_arrow().select(columns).cast(live_schema())

    def search(
        self,
        vector: NDArray[np.float32],
        k: int,
        *,
        filters: SearchFilters | None = None,
        offset: int = 0,
        effort: SearchEffort | Literal["exact"] | None = None,
    ) -> list[Hit]:
        """The `k` images nearest to `vector` (`dim` numbers) after the first `offset`, best first.

        The score is the cosine. The default effort is `usual_effort`; `exact` compares every row.
        """
        with self._reading():
            return ranking.nearest(
                self._open_for_search(),
                self._checked(vector),
                k,
                filters or SearchFilters(),
                offset,
                effort=effort or usual_effort(self.dim),
            )

    def exact_rank(
        self, vector: NDArray[np.float32], image_id: int, *, filters: SearchFilters | None = None
    ) -> Rank | None:
        """The rank of an image among all hits of an exact search; None if the filters leave it out.

        Compares every row, so it takes seconds in an index of millions.
        """
        with self._reading():
            return ranking.exact_rank(
                self._open_for_search(),
                self._checked(vector),
                image_id,
                filters or SearchFilters(),
                self._open().count_rows(),
            )

    def vectors_of(self, image_ids: Sequence[int]) -> NDArray[np.float32]:
        """The embeddings of the images, float32 (n, `dim`), in the order of `image_ids`.

        Raises `ImageNotIndexedError` if the table lacks one of them.
        """
        from lancedb.expr import col

        if not image_ids:
            return np.empty((0, self.dim), dtype=np.float32)
        with self._reading():
            rows = (
                self._open()
                .search()
                .where(col("image_id").isin(image_ids))
                .select(["image_id", "vector"])
                .to_arrow()
            )
        position = {image_id: row for row, image_id in enumerate(rows["image_id"].to_pylist())}
        unknown = [image_id for image_id in image_ids if image_id not in position]
        if unknown:
            raise ImageNotIndexedError(self.model_key, unknown)
        return recall.matrix(rows["vector"])[[position[image_id] for image_id in image_ids]]

    def recall_at_k(
        self, *, k: int = 10, sample: int = 200, seed: int = 0, effort: SearchEffort | None = None
    ) -> RecallReport:
        """The share of true nearest neighbours that the search finds for a seeded sample of images, and its latency."""
        with self._reading():
            return recall.recall_at_k(
                self._open(),
                self._open_for_search(),
                k=k,
                sample=sample,
                seed=seed,
                effort=effort or usual_effort(self.dim),
            )

    def describe(self) -> IndexDescription:
        """Facts about the table. Raises `IndexNotBuiltError`."""
        with self._reading():
            table = self._open(of_any_shape=True)
            ann = maintenance.ann_index(table)
            return IndexDescription(
                schema=table.schema,
                rows=table.count_rows(),
                bytes=self._bytes(),
                fragments=maintenance.fragment_count(table),
                ann_kind=ann.index_type if ann else None,
                ann_rows=ann.num_indexed_rows or 0 if ann else 0,
            )

    @cached_property
    def _connection(self) -> "DBConnection":
        # By default LanceDB reserves two cores for I/O, so on two cores it builds the index with one thread.
        os.environ.setdefault("LANCE_IO_CORE_RESERVATION", "0")
        import lancedb

        return lancedb.connect(self.directory, read_consistency_interval=_AT_EACH_READ)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with writing(self.model_key, self._folder):
            self.directory.mkdir(parents=True, exist_ok=True)
            with FileLock(self._root.inner(f"{self._name}.lock")):
                self._root.require_no_links(self._folder.name)  # LanceDB follows them, also when it cleans up
                yield

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self.model_key, self._folder)

    def _find(self) -> "Table | None":
        """The open table; None if the model has no table, or if its creation was killed."""
        if self._table is None and self.directory.is_dir():
            try:
                with self._reading():
                    self._table = self._connection.open_table(self._name)
            except ValueError as error:
                if "was not found" not in str(error):
                    raise
        return self._table

    def _open(self, *, of_any_shape: bool = False) -> "Table":
        table = self._find()
        if table is None:
            raise IndexNotBuiltError(self.model_key, self.directory)
        if not of_any_shape and table is not self._fitting:
            expected, found = index_schema(self.dim), table.schema
            if any(found.field(one.name) != one for one in expected if one.name in found.names) or not set(
                expected.names
            ) <= set(found.names):
                raise IndexSchemaError(self.model_key, expected, found)
            self._fitting = table
        return table

    def _open_for_search(self) -> "AsyncTable":
        """The table, opened through the asynchronous interface: a search waits only once. Opening takes 1 ms."""
        self._open()
        if self._searched is None:
            import lancedb
            from lancedb.background_loop import LOOP

            async def open_table() -> "AsyncTable":
                connection = await lancedb.connect_async(
                    self.directory, read_consistency_interval=_AT_EACH_READ
                )
                return await connection.open_table(self._name)

            self._searched = LOOP.run(open_table())  # type: ignore[no-untyped-call]
        return self._searched

    def _open_or_create(self) -> "Table":
        """The table, created empty if it is missing. Raises `IndexSchemaError` if it has other columns."""
        expected = index_schema(self.dim)
        table = self._find()
        if table is None:
            self._table = table = self._connection.create_table(self._name, schema=expected)
        if not table.schema.equals(expected):
            raise IndexSchemaError(self.model_key, expected, table.schema)
        return table

    def _open_whole(self) -> "tuple[Table, pa.Table]":
        """The table and its rows without their vectors. A missing or damaged table is replaced by an empty one."""
        try:
            return self._open_or_create(), self._read_everywhere()
        except IndexDamagedError as error:
            _logger.warning(
                "%s: deleting and rebuilding the damaged table: %s", self._folder, error.__cause__
            )
        self._delete()
        return self._open_or_create(), self.live_rows()

    def _delete(self) -> None:
        if self._folder.exists():
            shutil.rmtree(self._folder)
        self._table = self._searched = None
        self.__dict__.pop("_connection", None)  # it caches facts about the files

    def _read_everywhere(self) -> pa.Table:
        """The rows without their vectors. Also reads from every file that a search or a write opens, to find damage."""
        rows = self.live_rows()
        with self._reading():
            self._open().list_versions()
        if rows.num_rows:
            anything = np.ones(self.dim, np.float32)
            everywhere = SearchFilters(
                sources=(rows["source"][0].as_py(),),
                taken_from=datetime.min.replace(tzinfo=UTC),
                place=Box(-90, -180, 90, 180),
            )
            self.vectors_of([rows["image_id"][0].as_py()])
            for filters in (SearchFilters(), everywhere):
                self.search(anything, 1, filters=filters)
        return rows

    def _require_all(self, wanted: WantedRows) -> None:
        image_ids, files = wanted.missing
        if image_ids:
            raise MissingVectorsError(self.model_key, image_ids, files)

    def _checked(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        if vector.shape != (self.dim,):
            raise ValueError(
                f"vector of shape {vector.shape}: model {self.model_key!r} expects {self.dim} dimensions"
            )
        if not np.isfinite(vector).all() or not vector.any():
            raise ValueError("vector: must be finite and not zero, because a zero vector has no direction")
        return vector.astype(np.float32, copy=False)

    def _bytes(self) -> int:
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())


class VectorIndexes:
    """One table per model under `home/index`. Methods raise StorageError if a link replaces a folder or a file."""

    def __init__(self, home: Path) -> None:
        self._root = RootFolder(home)

    def open(self, model_key: str, dim: int) -> VectorIndex:
        """The index of a model with embeddings of length `dim`. The index need not exist yet."""
        return VectorIndex(self._root.inner(FOLDER), model_key, dim)

    def is_there(self, model_key: str) -> bool:
        """Whether the disk has a table of this model with at least one version. The table is not opened."""
        return any(self._root.inner(f"{_table(model_key)}/_versions").glob("*.manifest"))

    def paths(self, model_key: str) -> list[Path]:
        """The paths of a model's index on the disk: its table and its lock."""
        paths = (
            self._root.inner(path) for path in (_table(model_key), f"{FOLDER}/{table_name(model_key)}.lock")
        )
        return [path for path in paths if path.exists()]


def _table(model_key: str) -> str:
    return f"{FOLDER}/{table_name(model_key)}.lance"
