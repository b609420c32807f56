"""Removing files without a row in the catalog: of one shard before it is written, and of the whole library."""

import time
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Engine, delete, select

from photolineage.catalog.engine import database_time, reading, shown_url
from photolineage.catalog.leases import Lease
from photolineage.catalog.orm import MlJob, ShardFile
from photolineage.catalog.vocabulary import JobState
from photolineage.errors import PhotolineageError
from photolineage.models.text_encoder import TEXT_ENCODERS
from photolineage.steps.compact import GRACE, FileSet
from photolineage.steps.source_jobs import forgotten_sources, source_of_file
from photolineage.stores.embeddings import EMBEDDINGS
from photolineage.stores.files import Files, StoredFile, sweep_uncommitted
from photolineage.stores.previews import PREVIEWS

UNCOMMITTED_FOR = timedelta(days=1)
"""A checkpoint's row follows its file within seconds. A younger file may belong to a run that is still working."""
LARGEST_SHARE = 0.5


class SweepRefusedError(PhotolineageError):
    """Most files have no row: the catalog probably belongs to another home directory. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The stored files without a row that are too old to belong to a running job, and the number of other files."""

    garbage: tuple[StoredFile, ...]
    kept: int

    @property
    def garbage_bytes(self) -> int:
        """The size of the garbage on the disk."""
        return sum(file.size_bytes for file in self.garbage)


def sweep_shard(lease: Lease, files: FileSet, stored: Files, folder: str) -> None:
    """Remove files that were superseded longer than `GRACE` ago, and every file in the folder without a record."""

    def forget(connection: Connection) -> set[str]:
        long_ago = database_time(connection) - GRACE
        connection.execute(delete(ShardFile).where(files.is_theirs(), ShardFile.superseded_at < long_ago))
        return set(connection.execute(select(ShardFile.path).where(files.is_theirs())).scalars())

    sweep_uncommitted(stored, folder, lambda: lease.commit(forget, done=0))


def sweep_files(engine: Engine, files: Files, *, remove: bool) -> SweepReport:
    """Find the preview and embedding files without a row in the catalog, and the leftovers of killed exports.

    With `remove`, removes them. Raises SweepRefusedError, and removes nothing, if more than half of the previews and
    embeddings have no row. Files of forgotten sources do not count: a killed command has left them.
    """
    young = time.time() - UNCOMMITTED_FOR.total_seconds()
    there = [file for folder in (PREVIEWS, EMBEDDINGS) for file in files.list_files(folder)]
    exports = [
        file for file in files.list_files(TEXT_ENCODERS) if file.is_partial and file.modified_at < young
    ]
    with reading(engine) as connection:
        committed = set(connection.execute(select(ShardFile.path)).scalars())
        alive = MlJob.heartbeat_at > database_time(connection) - UNCOMMITTED_FOR
        subjects = connection.execute(
            select(MlJob.subject).where(MlJob.state == JobState.RUNNING, alive)
        ).scalars()
        # The times of files come from other clocks than ours. A running job's folder is left to the job.
        in_use = {subject.replace("|", "/") for subject in subjects}
        forgotten = forgotten_sources(connection)
    garbage = [
        file
        for file in there
        if file.path not in committed and file.modified_at < young and _folder(file) not in in_use
    ]
    unexpected = [file for file in garbage if source_of_file(file) not in forgotten]
    counted = len(there) - len(garbage) + len(unexpected)
    if len(unexpected) > LARGEST_SHARE * counted:
        raise SweepRefusedError(
            f"{len(unexpected)} of {counted} files have no row in the catalog "
            f"({shown_url(engine.url)}). Nothing was removed. If catalog.url names the "
            "catalog of another home directory, correct it. If these files are really garbage, remove them by hand: "
            f"{', '.join(files.location(file.path) for file in unexpected[:3])}, …"
        )
    kept = len(there) - len(garbage)
    garbage += exports
    if remove:
        files.remove(file.path for file in garbage)
    return SweepReport(tuple(garbage), kept)


def _folder(file: StoredFile) -> str:
    """A file's folder below the top folder: a shard, or a model and a shard."""
    return file.path.partition("/")[2].rpartition("/")[0]
