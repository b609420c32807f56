"""Committed files that are not there any more: somebody deleted them, or a disk lost them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Engine, bindparam, delete, or_, select, update

from catalog.engine import run_in_transaction
from catalog.models import FileKind, Image, ImageState, MlModel, Shard, ShardFile
from catalog.queries import committed_files, find_shard
from pipeline.subjects import partition_subject
from resources.embedding_store import EmbeddingStore
from resources.preview_store import PreviewStore


def find_lost_files(
    connection: Connection, previews: PreviewStore, embeddings: EmbeddingStore, model_keys: Sequence[str]
) -> Mapping[str, int]:
    """The subjects with a committed file that is gone or cut short, and the id of the newest such file.

    A shard's own key is the subject of its previews. Each file is looked at and none is opened. Raises StorageError
    where the folder of all previews or of all embeddings is gone.
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
    return {
        shard_key if model_key is None else partition_subject(model_key, shard_key): file_id
        for shard_key, model_key, file_id, path, size_bytes in files
        if not (previews if model_key is None else embeddings).is_whole(path, size_bytes)
    }


def read_lost_previews_again(engine: Engine, previews: PreviewStore, shard_key: str) -> int:
    """Let the next registration of a shard read the images whose previews are lost; how many they are is returned.

    The shard gets a new revision where there are any, so that the request outlives a kill. Raises StorageError where
    the folder of all previews is gone.
    """

    def forget(connection: Connection) -> int:
        shard = find_shard(connection, shard_key)
        files = committed_files(connection, FileKind.PREVIEW, shard_id=shard.id)
        lost = [file.id for file in files if not previews.is_whole(file.path, file.size_bytes)]
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
            connection.execute(
                update(Image).where(Image.id == bindparam("image")).values(state=ImageState.DISCOVERED),
                [{"image": image_id} for image_id in without],
            )
        connection.execute(delete(ShardFile).where(ShardFile.id.in_(lost)))
        connection.execute(update(Shard).where(Shard.id == shard.id).values(revision=Shard.revision + 1))
        return len(without)

    return run_in_transaction(engine, forget)
