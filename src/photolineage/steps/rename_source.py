"""Renaming and moving a source: its images keep their ids, embeddings, indexes and events."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from sqlalchemy import Connection, Engine, bindparam, delete, func, select, update

from photolineage.catalog.engine import run_in_transaction
from photolineage.catalog.orm import Image, MlJob, Shard, ShardFile, Source
from photolineage.catalog.vocabulary import ImageState
from photolineage.lineage import JOB_STEPS, JobKind, partition_subject, shard_key
from photolineage.plain_text import printable
from photolineage.steps.forget_source import SourceStores, forget_source
from photolineage.steps.jobs import JobContext
from photolineage.steps.source_jobs import (
    SourceInUseError,
    end_dead_jobs,
    find_source,
    is_known,
    jobs_of,
    refuse_running_jobs,
    shards_of,
)
from photolineage.stores.files import Files, LostFileError
from photolineage.stores.root_folder import StorageError

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

    `rename_elsewhere` is called in the transaction that renames the source. The indexes change only with
    `bring_indexes_up_to_date`.

    If the catalog has a source `new` already, it is forgotten first. Its images are those of `old`, registered again:
    their next scan finds them as images of `old`. If the process is killed before the catalog has changed, rename the
    source again; afterwards, `find_old_files` finds what is left. Raises UnknownSourceError, SourceInUseError,
    LeaseHeldError, and StorageError if a disk is not mounted.
    """
    with context.engine.connect() as connection:
        source = find_source(connection, old)
        replaced = is_known(connection, new)
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
        moved = {path: _new_path(path, renamed) for path in _committed_paths(connection, source.id)}
    stores.require_disk(moved)
    # The files get their new names beside the old ones, so that a kill leaves either all of the old or all of the new.
    copied = _copy_files(stores.files, moved)

    def rename(connection: Connection) -> None:
        _rename(connection, old, new, root, renamed, moved)
        rename_elsewhere(connection)

    _require_there(stores.files, copied)
    run_in_transaction(context.engine, rename)
    stores.files.remove(moved)
    return renamed


def find_old_files(connection: Connection, stores: SourceStores, old: str, new: str) -> list[str]:
    """The files that a rename left under their old names, because it was killed after the catalog had changed."""
    if is_known(connection, old) or not is_known(connection, new):
        return []
    renamed = {after: before for before, after in shards_before(connection, old, new).items()}
    committed = _committed_paths(connection, find_source(connection, new).id)
    former = {_new_path(path, renamed) for path in committed}
    return [path for path in stores.files_of(old) if path in former]


def shards_before(connection: Connection, old: str, new: str) -> Mapping[str, str]:
    """The key of each shard of source `new`, by the key that it had if the source was `old`."""
    numbers = select(Shard.number).join(Source).where(Source.key == new).order_by(Shard.number)
    return {
        shard_key(old, number): shard_key(new, number) for number in connection.execute(numbers).scalars()
    }


def _committed_paths(connection: Connection, source_id: int) -> list[str]:
    return list(
        connection.execute(
            select(ShardFile.path)
            .join(Shard, Shard.id == ShardFile.shard_id)
            .where(Shard.source_id == source_id)
        ).scalars()
    )


def _copy_files(files: Files, moved: Mapping[str, str]) -> list[str]:
    """Store every file under its new path too. Returns the new paths of those that were there."""
    copied = []
    for path, to in moved.items():
        with suppress(LostFileError):  # stays lost, and is made again
            files.copy(path, to)
            copied.append(to)
    return copied


def _require_there(files: Files, paths: Iterable[str]) -> None:
    for path in paths:
        try:
            files.local(path)
        except LostFileError as error:
            raise SourceInUseError(
                f"{files.location(path)} was removed while the source was being renamed. Nothing was changed. Rename "
                "it again."
            ) from error


def _new_path(path: str, renamed: Mapping[str, str]) -> str:
    file = PurePosixPath(path)
    if file.parent.name not in renamed:
        raise StorageError(
            f"{path!r}: the catalog names this file in shard_file.path, but it is in the folder of another shard. The "
            "catalog is damaged: restore it from a backup. Nothing was changed."
        )
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
    jobs = jobs_of(connection, old, list(renamed))
    former = jobs_of(connection, new, list(renamed.values()))
    refuse_running_jobs(connection, [*jobs, *former])
    if is_known(connection, new):
        raise SourceInUseError(
            f"a run has just added a source {new!r} to the catalog. Nothing was changed. Rename {old!r} again."
        )
    if list(renamed) != shards_of(connection, source.id) or (
        set(_committed_paths(connection, source.id)) != set(moved)
    ):
        raise SourceInUseError(
            f"a run has just worked on source {old!r}. Nothing was changed. Rename it again."
        )
    connection.execute(update(Source).where(Source.id == source.id).values(key=new, root=str(root)))
    if former:  # of a forgotten source of this name: their versions are not ours
        connection.execute(
            delete(MlJob).where(MlJob.id == bindparam("job")), [{"job": job.id} for job in former]
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
            select(Image.path)
            .where(Image.source_id == source.id, Image.state != ImageState.MISSING)
            .order_by(func.random())
            .limit(SAMPLE)
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
