"""Committed files that are not there any more: somebody deleted them, or a disk lost them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine, bindparam, delete, func, or_, select, update

from catalog.engine import run_in_transaction
from catalog.models import FileKind, Image, ImageState, JobKind, JobState, MlJob, MlModel, Shard, ShardFile
from catalog.queries import committed_files, find_shard, materialized_versions
from pipeline.freshness import RETIRED, LostFiles
from pipeline.subjects import partition_subject
from pipeline.tree_walk import require_source
from resources.embedding_store import EmbeddingStore
from resources.preview_store import PreviewStore
from resources.vector_index_home import VectorIndexes


def find_lost_files(connection: Connection, home: Path, model_keys: Sequence[str]) -> LostFiles:
    """What is gone or cut short below the home directory: of all previews and of what these models have.

    Each file is looked at and none is opened. Raises StorageError where the folder of all previews or of all
    embeddings is gone.
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
    )
    preview_store, embedding_store = PreviewStore(home), EmbeddingStore(home)
    previews: dict[str, int] = {}
    embeddings: dict[str, int] = {}
    for shard_key, model_key, file_id, path, size_bytes in files:
        if model_key is None:
            if not preview_store.is_whole(path, size_bytes):
                previews[shard_key] = file_id
        elif not embedding_store.is_whole(path, size_bytes):
            embeddings[partition_subject(model_key, shard_key)] = file_id
    return LostFiles(previews, embeddings, _find_lost_indexes(connection, VectorIndexes(home), model_keys))


def _find_lost_indexes(
    connection: Connection, indexes: VectorIndexes, model_keys: Sequence[str]
) -> Mapping[str, int]:
    """Those that were built, and not retired since, with the id of the newest job that built them."""
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


def read_lost_previews_again(engine: Engine, previews: PreviewStore, shard_key: str) -> int:
    """Let the next registration of a shard read the images whose previews are lost, or in a file that does not open.

    How many they are is returned. The shard gets a new revision where there are any, so that the request outlives a
    kill. Raises StorageError where the folder of all previews is gone, and SourceUnavailableError, with nothing
    changed, where the originals are.
    """

    def forget(connection: Connection) -> int:
        shard = find_shard(connection, shard_key)
        files = committed_files(connection, FileKind.PREVIEW, shard_id=shard.id)
        lost = [file.id for file in files if not previews.is_sound(file.path, file.size_bytes)]
        if not lost:
            return 0
        kept = previews.open(file.path for file in files if file.id not in lost).contents()
        registered = connection.execute(
            select(Image.id, Image.content_hash).where(
                Image.shard_id == shard.id, Image.state == ImageState.REGISTERED
            )
        )
        without = [image_id for image_id, content in registered if (image_id, content) not in kept]
        if without:
            require_source(Path(shard.root))  # else they would be out of the index until their disk is back
            connection.execute(
                update(Image).where(Image.id == bindparam("image")).values(state=ImageState.DISCOVERED),
                [{"image": image_id} for image_id in without],
            )
        connection.execute(delete(ShardFile).where(ShardFile.id.in_(lost)))
        connection.execute(update(Shard).where(Shard.id == shard.id).values(revision=Shard.revision + 1))
        return len(without)

    return run_in_transaction(engine, forget)
