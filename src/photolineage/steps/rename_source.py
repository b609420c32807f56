"""Renaming and moving a source: its images keep their ids, embeddings, indexes and events."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from sqlalchemy import Connection, Engine, bindparam, delete, func, select, update

from photolineage.catalog.engine import run_in_transaction
from photolineage.catalog.orm import Image, MlJob, Shard, ShardFile, Source
from photolineage.lineage import JOB_STEPS, JobKind, partition_subject, shard_key
from photolineage.plain_text import printable
from photolineage.steps.forget_source import SourceStores, bring_indexes_up_to_date, forget_source
from photolineage.steps.jobs import JobContext
from photolineage.steps.source_jobs import (
    SourceInUseError,
    end_dead_jobs,
    find_source,
    jobs_of,
    refuse_running_jobs,
    shards_of,
)
from photolineage.stores.files import LostFileError

SAMPLE = 200
"""How many photos are looked for in a new folder."""


def rename_source(
    context: JobContext,
    stores: SourceStores,
    old: str,
    new: str,
    root: Path,
    *,
    rename_elsewhere: Callable[[Connection], None] = lambda _connection: None,
) -> Mapping[str, str]:
    """Give a source of the catalog another key, and a root. Returns the new key of each shard by the old one.

    `rename_elsewhere` is called in the transaction that renames the source.

    If the catalog has a source `new` already, it is forgotten first. Its images are those of `old`, registered again:
    their next scan finds them as images of `old`. If the process is killed in between, rename the source again.
    Raises UnknownSourceError, SourceInUseError and LeaseHeldError.
    """
    with context.engine.connect() as connection:
        source = find_source(connection, old)
        replaced = connection.execute(select(Source.id).where(Source.key == new)).first() is not None
    require_same_photos(context.engine, old, root)
    end_dead_jobs(context, old)
    if replaced:
        forget_source(context, stores, new)
    with context.engine.connect() as connection:
        renamed = {
            key: shard_key(new, number)
            for key, number in connection.execute(
                select(Shard.key, Shard.number).where(Shard.source_id == source.id).order_by(Shard.number)
            )
        }
    # The files get their new names beside the old ones, so that a kill leaves either all of the old or all of the new.
    moved = _copy_files(context.engine, stores, source.id, renamed)

    def rename(connection: Connection) -> None:
        _rename(connection, old, new, root, renamed, moved)
        rename_elsewhere(connection)

    run_in_transaction(context.engine, rename)
    stores.embeddings.files.remove(moved)
    bring_indexes_up_to_date(context, stores)
    return renamed


def _copy_files(
    engine: Engine, stores: SourceStores, source_id: int, renamed: Mapping[str, str]
) -> Mapping[str, str]:
    """Store every committed file of the shards under its new path too. Returns the new path by the old one."""
    with engine.connect() as connection:
        paths = connection.execute(
            select(ShardFile.path)
            .join(Shard, Shard.id == ShardFile.shard_id)
            .where(Shard.source_id == source_id)
        ).scalars()
        moved = {path: _new_path(path, renamed) for path in paths}
    for path, to in moved.items():
        with suppress(LostFileError):  # stays lost, and is made again
            stores.embeddings.files.copy(path, to)
    return moved


def _new_path(path: str, renamed: Mapping[str, str]) -> str:
    file = PurePosixPath(path)
    return str(file.parent.with_name(renamed[file.parent.name]) / file.name)


def _rename(
    connection: Connection,
    old: str,
    new: str,
    root: Path,
    renamed: Mapping[str, str],
    moved: Mapping[str, str],
) -> None:
    source = find_source(connection, old)
    jobs = jobs_of(connection, old, renamed)
    refuse_running_jobs(jobs)
    known = connection.execute(
        select(ShardFile.path).join(Shard, Shard.id == ShardFile.shard_id).where(Shard.source_id == source.id)
    ).scalars()
    if list(renamed) != shards_of(connection, source.id) or set(known) != set(moved):
        raise SourceInUseError(
            f"a run has just worked on source {old!r}. Nothing was changed. Rename it again."
        )
    connection.execute(update(Source).where(Source.id == source.id).values(key=new, root=str(root)))
    former = [job.id for job in jobs_of(connection, new, list(renamed.values()))]
    if former:  # of a forgotten source of this name: their versions are not ours
        connection.execute(
            delete(MlJob).where(MlJob.id == bindparam("job")), [{"job": job} for job in former]
        )
    for table, column, changes in (
        (Shard, Shard.key, renamed),
        (ShardFile, ShardFile.path, moved),
    ):
        if changes:
            connection.execute(
                update(table).where(column == bindparam("before")).values({column: bindparam("after")}),
                [{"before": before, "after": after} for before, after in changes.items()],
            )
    subjects = [{"job": job.id, "after": _new_subject(job.kind, job.subject, new, renamed)} for job in jobs]
    if subjects:
        connection.execute(
            update(MlJob).where(MlJob.id == bindparam("job")).values(subject=bindparam("after")), subjects
        )


def _new_subject(kind: JobKind, subject: str, new: str, renamed: Mapping[str, str]) -> str:
    parts = JOB_STEPS[kind].subject(subject)
    if parts.shard is None:
        return new
    shard = renamed[parts.shard]
    return shard if parts.model is None else partition_subject(parts.model, shard)


def move_source(engine: Engine, key: str, root: Path) -> None:
    """Record the new folder of a source. Raises UnknownSourceError, and SourceInUseError for a wrong folder."""
    require_same_photos(engine, key, root)
    run_in_transaction(
        engine,
        lambda connection: connection.execute(update(Source).where(Source.key == key).values(root=str(root))),
    )


def require_same_photos(engine: Engine, key: str, root: Path) -> None:
    """Raise SourceInUseError if most photos of a source are not in this folder: a scan would find them missing."""
    with engine.connect() as connection:
        source = find_source(connection, key)
        if Path(source.root) == root:
            return
        sample = connection.execute(
            select(Image.path).where(Image.source_id == source.id).order_by(func.random()).limit(SAMPLE)
        ).scalars()
        paths = list(sample)
    there = [path for path in paths if os.path.lexists(root / path)]
    if len(there) < len(paths) / 2:
        lost = next(path for path in paths if path not in there)
        raise SourceInUseError(
            f"{printable(root)} has only {len(there)} of {len(paths)} photos of source {key!r} that were looked for; "
            f"{printable(lost)} is missing, for example. Nothing was changed. Name the folder that has them at the "
            f"same paths as {printable(source.root)} had. If you have also rearranged them, set sources.{key}.root in "
            "the configuration and scan: a scan finds moved photos by their content."
        )
