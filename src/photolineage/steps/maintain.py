"""Maintenance: compacting indexes, and removing files without a row in the catalog."""

import time
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, select

from photolineage.catalog.orm import ShardFile
from photolineage.catalog.queries import find_model, materialized_version
from photolineage.errors import PhotolineageError
from photolineage.lineage import JobKind
from photolineage.models.text_encoder import TEXT_ENCODERS
from photolineage.steps.jobs import JobContext, running_job
from photolineage.stores.embeddings import EMBEDDINGS
from photolineage.stores.files import Files, StoredFile
from photolineage.stores.previews import PREVIEWS
from photolineage.stores.vector_index import AnnIndexReport, CompactionReport
from photolineage.stores.vector_index.home import VectorIndexes

UNCOMMITTED_FOR = timedelta(days=1)
"""A checkpoint's row follows its file within seconds. A younger file may belong to a run that is still working."""
LARGEST_SHARE = 0.5


class SweepRefusedError(PhotolineageError):
    """Most files have no row: the catalog probably belongs to another home directory. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class IndexMaintenanceReport:
    """What was done to one model's index."""

    compaction: CompactionReport
    ann: AnnIndexReport


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The stored files without a row that are too old to belong to a running job, and the number of other files."""

    garbage: tuple[StoredFile, ...]
    kept: int

    @property
    def garbage_bytes(self) -> int:
        """The size of the garbage on the disk."""
        return sum(file.size_bytes for file in self.garbage)


def maintain_index(
    context: JobContext, indexes: VectorIndexes, model_key: str
) -> IndexMaintenanceReport | None:
    """Compact a model's index, and retrain it if it has outgrown its training. Returns None without an index.

    The rows of the index and the version that it was built from do not change. Raises LeaseHeldError.
    """
    with context.engine.connect() as connection:
        version = materialized_version(connection, JobKind.INDEX, model_key)
        model = find_model(connection, model_key)
    if version is None or model is None or not indexes.is_there(model_key):
        return None  # not built yet, retired or lost
    with running_job(context, JobKind.INDEX, model_key, input_version=version):
        index = indexes.open(model_key, model.embedding_dim)
        return IndexMaintenanceReport(index.compact(), index.build_ann_if_outgrown())


def sweep_files(engine: Engine, files: Files, *, remove: bool) -> SweepReport:
    """Find the preview and embedding files without a row in the catalog, and the leftovers of killed exports.

    With `remove`, removes them. Raises SweepRefusedError, and removes nothing, if they are more than half of all files.
    """
    young = time.time() - UNCOMMITTED_FOR.total_seconds()
    there = [file for folder in (PREVIEWS, EMBEDDINGS) for file in files.list_files(folder)]
    there += [file for file in files.list_files(TEXT_ENCODERS) if file.is_partial]
    with engine.connect() as connection:
        committed = set(connection.execute(select(ShardFile.path)).scalars())
    garbage = tuple(file for file in there if file.path not in committed and file.modified_at < young)
    if len(garbage) > LARGEST_SHARE * len(there):
        raise SweepRefusedError(
            f"{len(garbage)} of {len(there)} files have no row in the catalog "
            f"({engine.url.render_as_string(hide_password=True)}). Nothing was removed. If catalog.url names the "
            "catalog of another home directory, correct it. If these files are really garbage, remove them by hand: "
            f"{', '.join(files.location(file.path) for file in garbage[:3])}, …"
        )
    if remove:
        files.remove(file.path for file in garbage)
    return SweepReport(garbage, len(there) - len(garbage))
