"""Upkeep of what the lineage has built: indexes are made compact, and files that no row names are removed."""

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
"""A checkpoint's row follows its file within seconds; a younger file may belong to a run that is at it."""
LARGEST_SHARE = 0.5


class SweepRefusedError(PhotolineageError):
    """Most files and rows do not meet: the catalog is probably not the one of this home. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class IndexMaintenanceReport:
    """What was done to one model's index."""

    compaction: CompactionReport
    ann: AnnIndexReport


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The stored files that no row names, old enough to belong to no run, and how many others there are."""

    garbage: tuple[StoredFile, ...]
    kept: int

    @property
    def garbage_bytes(self) -> int:
        """What the garbage takes on the disk."""
        return sum(file.size_bytes for file in self.garbage)


def maintain_index(
    context: JobContext, indexes: VectorIndexes, model_key: str
) -> IndexMaintenanceReport | None:
    """Make a model's index compact and retrain it where it has outgrown its training; None where there is none.

    What the index holds stays the same, and so does the version that it was built from. Raises LeaseHeldError.
    """
    with context.engine.connect() as connection:
        version = materialized_version(connection, JobKind.INDEX, model_key)
        model = find_model(connection, model_key)
    if version is None or model is None or not indexes.is_there(model_key):
        return None  # not built yet; or retired, or lost
    with running_job(context, JobKind.INDEX, model_key, input_version=version):
        index = indexes.open(model_key, model.embedding_dim)
        return IndexMaintenanceReport(index.compact(), index.build_ann_if_outgrown())


def sweep_files(engine: Engine, files: Files, *, remove: bool) -> SweepReport:
    """Find, and remove where asked to, the preview and embedding files that no row of the catalog names.

    And what exports of text halves that were killed left behind.

    Raises SweepRefusedError, and removes nothing, where that is more than half of them.
    """
    young = time.time() - UNCOMMITTED_FOR.total_seconds()
    there = [file for folder in (PREVIEWS, EMBEDDINGS) for file in files.list_files(folder)]
    there += [file for file in files.list_files(TEXT_ENCODERS) if file.is_partial]
    with engine.connect() as connection:
        committed = set(connection.execute(select(ShardFile.path)).scalars())
    garbage = tuple(file for file in there if file.path not in committed and file.modified_at < young)
    if len(garbage) > LARGEST_SHARE * len(there):
        raise SweepRefusedError(
            f"{len(garbage)} of {len(there)} files are in no row of the catalog "
            f"({engine.url.render_as_string(hide_password=True)}). Nothing was removed. If catalog.url names the "
            "catalog of another home, correct it; if these files are really garbage, remove them by hand: "
            f"{', '.join(files.location(file.path) for file in garbage[:3])}, …"
        )
    if remove:
        files.remove(file.path for file in garbage)
    return SweepReport(garbage, len(there) - len(garbage))
