"""Whether the stored files and the index of one model match the catalog, without reading the vectors."""

from sqlalchemy import Connection, select

from photolineage.catalog.orm import Shard, ShardFile
from photolineage.catalog.vocabulary import FileKind
from photolineage.checks.store_contract import compare_arrow
from photolineage.contract.drift import Drift
from photolineage.lineage import partition_subject
from photolineage.models.registry import require_model
from photolineage.stores.embeddings import EmbeddingFileHeader, EmbeddingStore, embedding_schema
from photolineage.stores.root_folder import StorageError
from photolineage.stores.vector_index import REBUILD, VectorIndexes, index_schema


def contract_violations(
    connection: Connection, store: EmbeddingStore, indexes: VectorIndexes, model_key: str
) -> list[str]:
    """The differences between a model's embedding files and index and the contract, as sentences.

    Raises ModelNotLoadedError.
    """
    model = require_model(connection, model_key)
    violations: list[str] = []
    files = connection.execute(
        select(ShardFile.path, Shard.key)
        .join(Shard, Shard.id == ShardFile.shard_id)
        .where(
            ShardFile.model_id == model.id,
            ShardFile.kind == FileKind.EMBEDDING,
            ShardFile.superseded_at.is_(None),
        )
        .order_by(ShardFile.id)
    ).all()
    for path, shard_key in files:
        expected = embedding_schema(
            model.embedding_dim, EmbeddingFileHeader(model_key, model.weights_digest, shard_key)
        )
        try:
            drifts = compare_arrow(expected, store.read_schema(path), path, "")
        except StorageError as error:
            violations.append(str(error))
        else:
            remedy = f"materialize `{partition_subject(model_key, shard_key)}` of image_embeddings again"
            violations += [_sentence(path, drift, remedy) for drift in drifts]
    return violations + index_violations(connection, indexes, model_key)


def index_violations(connection: Connection, indexes: VectorIndexes, model_key: str) -> list[str]:
    """The same for the index alone; empty if the model has no index. Raises ModelNotLoadedError."""
    where = f"the index of {model_key}"
    return [
        _sentence(where, drift, "launch the job `repair` to rebuild it")
        for drift in index_drifts(connection, indexes, model_key)
    ]


def index_drifts(connection: Connection, indexes: VectorIndexes, model_key: str) -> list[Drift]:
    """The differences between the columns of a model's index and the contract; empty if the model has no index.

    Raises ModelNotLoadedError.
    """
    model = require_model(connection, model_key)
    index = indexes.open(model_key, model.embedding_dim)
    if not index.exists():
        return []
    return compare_arrow(index_schema(model.embedding_dim), index.describe().schema, "index", REBUILD)


def _sentence(where: str, drift: Drift, remedy: str) -> str:
    return (
        f"{where}: {drift.name}: expected {drift.expected or 'nothing'}, found {drift.actual or 'nothing'} "
        f"({remedy})"
    )
