"""Finding committed files that are missing: somebody deleted them, or a disk lost them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from sqlalchemy import Connection, delete, func, or_, select, update

from photolineage.catalog.orm import Image, MlJob, MlModel, Shard, ShardFile
from photolineage.catalog.queries import committed_files, materialized_versions
from photolineage.catalog.vocabulary import FileKind, ImageState, JobState
from photolineage.lineage import JobKind, partition_subject
from photolineage.steps.freshness import LOST, RETIRED, LostFiles
from photolineage.stores.embeddings import embeddings_folder
from photolineage.stores.files import Files
from photolineage.stores.previews import PREVIEWS, PreviewStore
from photolineage.stores.vector_index import VectorIndexes


def find_lost_files(
    connection: Connection, stored: Files, indexes: VectorIndexes, model_keys: Sequence[str]
) -> LostFiles:
    """The missing or truncated files: previews, and the embeddings and indexes of these models.

    Files are listed, not opened. Raises StorageError if the folder of all previews or of all embeddings is missing.
    """
    files = connection.execute(
        select(Shard.key, MlModel.key, ShardFile.id, ShardFile.path, ShardFile.size_bytes)
        .join(Shard, Shard.id == ShardFile.shard_id)
        .outerjoin(MlModel, MlModel.id == ShardFile.model_id)
        .where(
            ShardFile.superseded_at.is_(None),
            or_(ShardFile.kind == FileKind.PREVIEW, MlModel.key.in_(model_keys)),
        )
        .order_by(ShardFile.id)
    ).all()

    @cache
    def sizes(folder: str) -> Mapping[str, int]:
        stored.require_folder(folder)
        return {file.path: file.size_bytes for file in stored.list_files(folder)}

    previews: dict[str, int] = {}
    embeddings: dict[str, int] = {}
    for shard_key, model_key, file_id, path, size_bytes in files:
        if model_key is None:
            if sizes(PREVIEWS).get(path) != size_bytes:
                previews[shard_key] = file_id
        elif sizes(embeddings_folder(model_key)).get(path) != size_bytes:
            embeddings[partition_subject(model_key, shard_key)] = file_id
    return LostFiles(previews, embeddings, _find_lost_indexes(connection, indexes, model_keys))


def _find_lost_indexes(
    connection: Connection, indexes: VectorIndexes, model_keys: Sequence[str]
) -> Mapping[str, int]:
    """The missing indexes that were built and not retired since, with the id of the newest job that built them."""
    built = connection.execute(
        select(MlJob.subject, func.max(MlJob.id))
        .where(MlJob.kind == JobKind.INDEX, MlJob.state == JobState.SUCCEEDED, MlJob.subject.in_(model_keys))
        .group_by(MlJob.subject)
    ).all()
    versions = materialized_versions(connection, JobKind.INDEX)
    return {
        model: job_id
        for model, job_id in built
        if not versions[model].startswith(RETIRED) and not indexes.is_there(model)
    }


@dataclass(frozen=True, slots=True)
class LostPreviews:
    """A shard's preview files that are missing, truncated or unreadable, and the images without a preview."""

    file_ids: list[int]
    image_ids: list[int]


def make_due(connection: Connection, lost: LostFiles) -> None:
    """Make the partitions of lost files due at once, even if an attempt to materialize them has just failed."""
    version = f"{LOST}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    for kind, subjects in (
        (JobKind.REGISTER, lost.previews),
        (JobKind.EMBED, lost.embeddings),
        (JobKind.INDEX, lost.indexes),
    ):
        for subject in subjects:
            connection.execute(
                update(MlJob)
                .where(MlJob.kind == kind, MlJob.subject == subject, MlJob.state == JobState.SUCCEEDED)
                .values(input_version=version)
            )


def find_lost_previews(connection: Connection, previews: PreviewStore, shard_id: int) -> LostPreviews:
    """The lost previews of a shard. Opens every file. Raises StorageError if the folder of all previews is missing."""
    files = committed_files(connection, FileKind.PREVIEW, shard_id=shard_id)
    lost = [file.id for file in files if not previews.is_sound(file.path, file.size_bytes)]
    if not lost:
        return LostPreviews([], [])
    kept = previews.open(file.path for file in files if file.id not in lost).contents()
    registered = connection.execute(
        select(Image.id, Image.content_hash).where(
            Image.shard_id == shard_id, Image.state == ImageState.REGISTERED
        )
    )
    return LostPreviews(
        lost, [image_id for image_id, content in registered if (image_id, content) not in kept]
    )


def forget_lost_files(connection: Connection, file_ids: Sequence[int]) -> None:
    """Delete the records of lost files. Call this only after their content is committed in other files, because these
    records are what marks the partition as stale.
    """
    connection.execute(delete(ShardFile).where(ShardFile.id.in_(file_ids)))
