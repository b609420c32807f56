"""Committed embedding files that are not there any more: somebody deleted them, or a disk lost them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from catalog.models import FileKind, MlModel, Shard, ShardFile
from pipeline.subjects import partition_subject
from resources.embedding_store import EmbeddingStore


def find_lost_embeddings(
    connection: Connection, embeddings: EmbeddingStore, model_keys: Sequence[str]
) -> Mapping[str, int]:
    """The partitions with a committed file that is gone or cut short, and the id of the newest such file.

    Each file is looked at and none is opened. Raises StorageError where the folder of all embeddings is gone.
    """
    files = connection.execute(
        select(MlModel.key, Shard.key, ShardFile.id, ShardFile.path, ShardFile.size_bytes)
        .join(MlModel, MlModel.id == ShardFile.model_id)
        .join(Shard, Shard.id == ShardFile.shard_id)
        .where(
            ShardFile.kind == FileKind.EMBEDDING,
            ShardFile.superseded_at.is_(None),
            MlModel.key.in_(model_keys),
        )
        .order_by(ShardFile.id)
    )
    return {
        partition_subject(model_key, shard_key): file_id
        for model_key, shard_key, file_id, path, size_bytes in files
        if not embeddings.is_whole(path, size_bytes)
    }
