"""Upkeep of what the lineage has built: indexes are made compact, and files that no row names are removed."""

import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, select

from photolineage.catalog.orm import ShardFile
from photolineage.catalog.queries import find_model, materialized_version
from photolineage.errors import PhotolineageError
from photolineage.lineage import JobKind
from photolineage.models.text_encoder import unfinished_exports
from photolineage.steps.jobs import JobContext, running_job
from photolineage.stores.vector_index import AnnIndexReport, CompactionReport
from photolineage.stores.vector_index.home import VectorIndexes

SWEPT_FOLDERS = ("previews", "embeddings")
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
    """Files and unfinished exports under the home directory that no row names, old enough to be nobody's."""

    garbage: tuple[Path, ...]
    garbage_bytes: int
    kept: int


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


def sweep_home(engine: Engine, home: Path, *, remove: bool) -> SweepReport:
    """Find, and remove where asked to, the preview and embedding files that no row of the catalog names.

    And what exports of text halves that were killed left behind.

    Raises SweepRefusedError, and removes nothing, where that is more than half of them.
    """
    young = time.time() - UNCOMMITTED_FOR.total_seconds()
    files = dict(_sizes_and_times(home))
    with engine.connect() as connection:
        committed = set(connection.execute(select(ShardFile.path)).scalars())
    garbage = tuple(
        path
        for path, (_, modified_at) in files.items()
        if str(path.relative_to(home)) not in committed and modified_at < young
    )
    size = sum(files[path][0] for path in garbage)
    if len(garbage) > LARGEST_SHARE * len(files):
        raise SweepRefusedError(
            f"{len(garbage)} of {len(files)} files under {home} are in no row of the catalog "
            f"({engine.url.render_as_string(hide_password=True)}). Nothing was removed. If catalog.url names the "
            "catalog of another home, correct it; if these files are really garbage, remove them by hand: "
            f"{', '.join(str(path.relative_to(home)) for path in garbage[:3])}, …"
        )
    if remove:
        for path in garbage:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    return SweepReport(garbage, size, len(files) - len(garbage))


def _sizes_and_times(home: Path) -> Iterator[tuple[Path, tuple[int, float]]]:
    """Size in bytes and modification time of each file; one that a run removes meanwhile is left out."""
    for folder in SWEPT_FOLDERS:
        for path in (home / folder).rglob("*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    yield path, (status.st_size, status.st_mtime)
    for path in unfinished_exports(home):
        with suppress(FileNotFoundError):
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            yield path, (size, path.stat().st_mtime)
