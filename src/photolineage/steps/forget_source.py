"""Forgetting a source: everything that was computed of its photos is deleted, and never a photo.

A photo that another source has too keeps its embeddings: they are copied to the copy, which is then embedded instead.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, delete, exists, func, insert, select, update
from sqlalchemy.orm import aliased

from photolineage.catalog.coverage import mark_embedded
from photolineage.catalog.duplicates import refresh_duplicates
from photolineage.catalog.engine import (
    DATABASE_TIME,
    REFUSALS,
    database_time,
    explained_errors,
    reading,
)
from photolineage.catalog.leases import Lease, LeaseHeldError
from photolineage.catalog.migrate import schema_transaction
from photolineage.catalog.orm import (
    Event,
    EventImage,
    Image,
    ImageNote,
    MlJob,
    MlModel,
    Shard,
    ShardFile,
    Source,
)
from photolineage.catalog.queries import SHOWN_ID, EmbeddableImage, ModelRow, all_models, committed_files
from photolineage.catalog.vocabulary import FileKind, ImageState, JobState
from photolineage.lineage import JobKind, partition_subject
from photolineage.steps.freshness import FORGOTTEN
from photolineage.steps.index import build_index
from photolineage.steps.jobs import JobContext, running_job
from photolineage.steps.source_jobs import (
    end_dead_jobs,
    find_source,
    is_known,
    jobs_of,
    refuse_running_jobs,
    shards_of,
    source_of_file,
)
from photolineage.stores.embeddings import EMBEDDINGS, EmbeddingFileHeader, EmbeddingStore
from photolineage.stores.files import Files, LostFileError
from photolineage.stores.previews import PREVIEWS
from photolineage.stores.root_folder import StorageError
from photolineage.stores.vector_index import VectorIndexes

IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class ForgottenSource:
    """What the catalog loses with a source.

    `images`: all of them, also missing ones. `copies`: those whose content another source has too; they keep their
    embeddings there. `embeddings`: vectors that are deleted for good, over all models. `events` lose images;
    `whole_events` of them lose all. `files` and `size_bytes`: previews and embeddings on the disk.
    """

    key: str
    shards: tuple[str, ...]
    images: int
    copies: int
    embeddings: int
    events: int
    whole_events: int
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SourceStores:
    """The stores with what was computed of photos."""

    embeddings: EmbeddingStore
    indexes: VectorIndexes

    @property
    def files(self) -> Files:
        """The files of previews and embeddings."""
        return self.embeddings.files

    def files_of(self, source_key: str) -> list[str]:
        """The paths of all files in the folders of a source's shards, with a row in the catalog or without."""
        stored = (file for top in (PREVIEWS, EMBEDDINGS) for file in self.files.list_files(top))
        return [file.path for file in stored if source_of_file(file) == source_key]

    def require_disk(self, paths: Iterable[str]) -> None:
        """Raise StorageError if the disk of one of these committed files seems not to be mounted."""
        for path in {path.partition("/")[0]: path for path in paths}.values():
            self.files.require_folder(path)


def plan_forgetting(connection: Connection, key: str) -> ForgottenSource:
    """What forgetting a source would delete. Raises UnknownSourceError."""
    source = find_source(connection, key)
    mine, other = aliased(Image), aliased(Image)
    has_copy = exists().where(
        other.content_hash == mine.content_hash,
        other.source_id != source.id,
        other.state == ImageState.REGISTERED,
    )
    images, copies = connection.execute(
        select(func.count(), func.count().filter(has_copy))
        .select_from(mine)
        .where(mine.source_id == source.id)
    ).one()
    embeddings = sum(
        connection.execute(
            select(func.count())
            .select_from(mine)
            .where(mine.source_id == source.id, mine.embedded_models.bitwise_and(bit) != 0, ~has_copy)
        ).scalar_one()
        for bit in connection.execute(select(MlModel.embedded_bit)).scalars().all()
    )
    members = (
        select(EventImage.event_id, func.count().label("images"))
        .join(Image, Image.id == EventImage.image_id)
        .where(Image.source_id == source.id)
        .group_by(EventImage.event_id)
        .subquery()
    )
    all_members = select(func.count()).where(EventImage.event_id == members.c.event_id).scalar_subquery()
    events, whole = connection.execute(
        select(func.count(), func.count().filter(all_members <= members.c.images)).select_from(members)
    ).one()
    files, size = connection.execute(
        select(func.count(), func.coalesce(func.sum(ShardFile.size_bytes), 0))
        .join(Shard, Shard.id == ShardFile.shard_id)
        .where(Shard.source_id == source.id)
    ).one()
    shards = tuple(shards_of(connection, source.id))
    return ForgottenSource(key, shards, images, copies, embeddings, events, whole, files, int(size))


def forget_source(context: JobContext, stores: SourceStores, key: str) -> ForgottenSource:
    """Delete a source from the catalog with its images, jobs, previews and embeddings, and from events.

    Its photos stay in the indexes until `bring_indexes_up_to_date`. If the process is killed after the catalog has
    changed, `remove_files_of` or the job `sweep_files` removes the files that are left. Raises UnknownSourceError,
    LeaseHeldError while a run works on the source, SourceInUseError, and StorageError if a disk is not mounted.
    """
    with context.engine.connect() as connection:
        plan = plan_forgetting(connection, key)
        models = all_models(connection)
        of_source = ShardFile.shard_id.in_(select(Shard.id).join(Source).where(Source.key == key))
        paths = connection.execute(select(ShardFile.path).where(of_source)).scalars().all()
    stores.require_disk(paths)
    end_dead_jobs(context, key)
    for model in models:
        _keep_embeddings_of_copies(context, stores.embeddings, model, key)
    with explained_errors(context.engine, REFUSALS), schema_transaction(context.engine) as connection:
        _forget(connection, key)
    remove_files_of(context, stores, key)
    return plan


def remove_files_of(context: JobContext, stores: SourceStores, key: str) -> None:
    """Remove the files of a source that the catalog no longer has."""
    left = stores.files_of(key)  # listed first: a source that is added now keeps its new files
    with reading(context.engine) as connection:
        if is_known(connection, key):
            return
    stores.files.remove(left)


def bring_indexes_up_to_date(context: JobContext, stores: SourceStores) -> list[str]:
    """Bring every index up to date with the catalog. Returns the models that are left to the next run.

    A run works on their index now, or a file cannot be read.
    """
    with context.engine.connect() as connection:
        models = all_models(connection)
    left = []
    for model in models:
        if stores.indexes.is_there(model.key):
            try:
                build_index(context, stores.embeddings, stores.indexes, model.key)
            except (LeaseHeldError, StorageError):
                left.append(model.key)
    return left


def _forget(connection: Connection, key: str) -> None:
    """Delete the rows of a source."""
    source = find_source(connection, key)
    shards = shards_of(connection, source.id)
    jobs = jobs_of(connection, key, shards)
    refuse_running_jobs(connection, jobs)
    images = select(Image.id).where(Image.source_id == source.id)
    _leave_events(connection, source.id)
    _let_copies_stand(connection, source.id)
    of_shards = ShardFile.shard_id.in_(select(Shard.id).where(Shard.source_id == source.id))
    connection.execute(delete(ShardFile).where(of_shards))
    connection.execute(update(Image).where(Image.duplicate_of_id.in_(images)).values(duplicate_of_id=None))
    connection.execute(delete(ImageNote).where(ImageNote.image_id.in_(images)))
    connection.execute(
        update(Image).where(Image.stack_of_id.in_(images)).values(stack_of_id=None, stack_rule=None)
    )
    connection.execute(delete(Image).where(Image.source_id == source.id))
    connection.execute(delete(Shard).where(Shard.source_id == source.id))
    connection.execute(delete(Source).where(Source.id == source.id))
    retire_jobs(connection, [job.id for job in jobs])


def retire_jobs(connection: Connection, job_ids: Sequence[int]) -> None:
    """Let jobs no longer count: what they built was deleted.

    Those that succeeded stay, with another version, so that a later source of the same name gets new versions. Their
    newest heartbeat is now: the next index computes the stacks again.
    """
    now = database_time(connection)
    version = f"{FORGOTTEN}-{now:%Y%m%dT%H%M%S%f}"
    for start in range(0, len(job_ids), IDS_PER_QUERY):
        these = MlJob.id.in_(job_ids[start : start + IDS_PER_QUERY])
        succeeded = MlJob.state == JobState.SUCCEEDED
        connection.execute(
            update(MlJob).where(these, succeeded).values(input_version=version, heartbeat_at=now)
        )
        connection.execute(delete(MlJob).where(these, ~succeeded))


def _leave_events(connection: Connection, source_id: int) -> None:
    """Take the images of a source out of the events. Events without images are deleted."""
    images = select(Image.id).where(Image.source_id == source_id)
    touched = (
        connection.execute(select(EventImage.event_id).where(EventImage.image_id.in_(images)).distinct())
        .scalars()
        .all()
    )
    connection.execute(delete(EventImage).where(EventImage.image_id.in_(images)))
    connection.execute(update(Event).where(Event.cover_image_id.in_(images)).values(cover_image_id=None))
    left = (
        select(func.count(SHOWN_ID.distinct()))
        .select_from(EventImage)
        .join(Image, Image.id == EventImage.image_id)
        .where(EventImage.event_id == Event.id)
        .scalar_subquery()
    )
    for start in range(0, len(touched), IDS_PER_QUERY):
        these = Event.id.in_(touched[start : start + IDS_PER_QUERY])
        connection.execute(update(Event).where(these).values(image_count=left))
        connection.execute(delete(Event).where(these, Event.image_count == 0))


def _let_copies_stand(connection: Connection, source_id: int) -> None:
    """Let each copy of an image of the source be a copy of another image, or be embedded itself."""
    mine, copy = aliased(Image), aliased(Image)
    contents = (
        connection.execute(
            select(copy.content_hash)
            .join(mine, mine.id == copy.duplicate_of_id)
            .where(mine.source_id == source_id, copy.source_id != source_id, copy.content_hash.is_not(None))
            .distinct()
        )
        .scalars()
        .all()
    )
    connection.execute(update(Image).where(Image.source_id == source_id).values(state=ImageState.MISSING))
    refresh_duplicates(connection, [content for content in contents if content is not None])


@dataclass(frozen=True, slots=True)
class _Copies:
    """Copies in one shard, and the images that were embedded instead of them."""

    shard_id: int
    shard_key: str
    copy_of: dict[int, EmbeddableImage]


def _keep_embeddings_of_copies(
    context: JobContext, embeddings: EmbeddingStore, model: ModelRow, source_key: str
) -> None:
    """Copy the vectors of a source's images to the first copy of each in another source, checkpoint by checkpoint."""
    with context.engine.connect() as connection:
        source = find_source(connection, source_key)
        copies = list(_copies(connection, source.id, model))
        shard_ids = connection.execute(select(Shard.id).where(Shard.source_id == source.id)).scalars().all()
        files = (
            [
                file
                for shard_id in shard_ids
                for file in committed_files(
                    connection, FileKind.EMBEDDING, shard_id=shard_id, model_id=model.id
                )
            ]
            if copies
            else []
        )
    if not copies:
        return
    wanted = pa.array([image_id for group in copies for image_id in group.copy_of], pa.int64())
    tables = []
    for file in files:
        with suppress(LostFileError):  # its images are embedded again, as after any loss
            read = embeddings.read(file.path)
            tables.append(read.filter(pc.is_in(read["image_id"], wanted)))
    if not tables:
        return
    table = pa.concat_tables(tables)
    for group in copies:
        rows = table.filter(pc.is_in(table["image_id"], pa.array(list(group.copy_of), pa.int64())))
        vector_of = {
            image_id: row
            for row, (image_id, content) in enumerate(
                zip(rows["image_id"].to_pylist(), rows["content_hash"].to_pylist(), strict=True)
            )
            if group.copy_of[image_id].content_hash == content
        }
        if vector_of:
            subject = partition_subject(model.key, group.shard_key)
            version = f"{FORGOTTEN}-copy"  # the next run embeds what else is left
            with running_job(
                context, JobKind.EMBED, subject, input_version=version, total=len(vector_of)
            ) as lease:
                kept = rows.take(pa.array(list(vector_of.values()), pa.int64()))
                images = [group.copy_of[image_id] for image_id in vector_of]
                _commit(lease, embeddings, model, group, images, kept)


def _copies(connection: Connection, source_id: int, model: ModelRow) -> Iterator[_Copies]:
    """The images that will be embedded instead of those of a source, if the source goes, by shard."""
    mine, copy, other = aliased(Image), aliased(Image), aliased(Image)
    is_first = ~exists().where(
        other.duplicate_of_id == mine.id,
        other.source_id != source_id,
        other.state == ImageState.REGISTERED,
        other.id < copy.id,
    )
    rows = connection.execute(
        select(Shard.id, Shard.key, mine.id, copy.id, copy.path, copy.content_hash, copy.embedded_models)
        .join(mine, mine.id == copy.duplicate_of_id)
        .join(Shard, Shard.id == copy.shard_id)
        .where(
            mine.source_id == source_id,
            copy.source_id != source_id,
            copy.state == ImageState.REGISTERED,
            mine.embedded_models.bitwise_and(model.embedded_bit) != 0,
            copy.embedded_models.bitwise_and(model.embedded_bit) == 0,
            is_first,
        )
        .order_by(Shard.key, copy.id)
    )
    groups: dict[int, _Copies] = {}
    for shard_id, shard_key, original, copy_id, path, content, models in rows:
        group = groups.setdefault(shard_id, _Copies(shard_id, shard_key, {}))
        group.copy_of[original] = EmbeddableImage(copy_id, path, content or "", models)
    yield from groups.values()


def _commit(
    lease: Lease,
    embeddings: EmbeddingStore,
    model: ModelRow,
    group: _Copies,
    images: Sequence[EmbeddableImage],
    rows: pa.Table,
) -> None:
    flat = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    path, size = embeddings.write(
        EmbeddingFileHeader(model.key, model.weights_digest, group.shard_key),
        f"{lease.job_id:08d}-0000",
        [image.id for image in images],
        [image.content_hash for image in images],
        flat.reshape(len(images), model.embedding_dim),
    )

    def record(connection: Connection) -> None:
        connection.execute(
            insert(ShardFile).values(
                kind=FileKind.EMBEDDING,
                shard_id=group.shard_id,
                model_id=model.id,
                job_id=lease.job_id,
                path=path,
                row_count=len(images),
                size_bytes=size,
                committed_at=DATABASE_TIME,
            )
        )
        mark_embedded(connection, model.id, images)

    lease.commit(record, done=len(images))
