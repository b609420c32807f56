"""The models in the catalog: the facts measured at the first load, and the current serving model."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace

from sqlalchemy import Connection, Engine, insert, select, update

from photolineage.catalog.coverage import free_bit
from photolineage.catalog.engine import DATABASE_TIME, advisory_lock, run_in_transaction
from photolineage.catalog.orm import MlModel, MlModelTiming, ShardFile
from photolineage.catalog.queries import ModelRow, find_model, serving_model_key
from photolineage.errors import PhotolineageError
from photolineage.models.embedder import Embedder, ModelFacts, load_embedder
from photolineage.models.ways import REFERENCE, Way
from photolineage.settings import ModelSettings

MODELS_LOCK = 0x6D6F64656C
"""The key of the PostgreSQL lock for promotions and first loads: all runs of a backfill load the model at once."""


class ModelChangedError(PhotolineageError):
    """The weights or the precision under a model's key have changed; the message gives both digests."""

    def __init__(self, key: str, recorded: ModelFacts, loaded: ModelFacts) -> None:
        self.key = key
        self.recorded = recorded
        self.loaded = loaded
        super().__init__(
            f"models.{key}: the weights or the precision differ from those of the model's embeddings.\n"
            f"  recorded: {recorded}\n  loaded:   {loaded}\n"
            "The old and new embeddings could not be compared. Give the new model a key of its own, or restore the "
            "former weights and precision."
        )


class ModelNotLoadedError(PhotolineageError):
    """The catalog has no record of a model yet: none of its partitions was materialized."""


def require_model(connection: Connection, key: str) -> ModelRow:
    """The model's row. Raises ModelNotLoadedError."""
    row = find_model(connection, key)
    if row is None:
        raise ModelNotLoadedError(
            f"model {key!r} has no embeddings yet. Materialize image_embeddings for it first."
        )
    return row


def load_recorded(model: ModelRow, settings: ModelSettings, way: Way = REFERENCE) -> Embedder:
    """The model of a row, computed in any way, to compare new embeddings with the stored ones.

    Raises ModelUnavailableError, and ModelChangedError if its weights differ from those of the stored embeddings.
    """
    embedder = load_embedder(model.key, settings, model.precision, way)
    recorded = ModelFacts(model.embedding_dim, model.image_size, model.weights_digest, model.precision)
    if embedder.facts != recorded:
        raise ModelChangedError(model.key, recorded, embedder.facts)
    return embedder


def is_unsettled(connection: Connection, model: ModelRow) -> bool:
    """Whether a model has no embeddings yet and was never measured, for example because there was no preview."""
    settling = (ShardFile, MlModelTiming)
    queries = (select(table.id).where(table.model_id == model.id).limit(1) for table in settling)
    return all(connection.execute(query).first() is None for query in queries)


def record_model(
    engine: Engine,
    key: str,
    settings: ModelSettings,
    facts: ModelFacts,
    record_measured: Callable[[Connection, int], None] = lambda _connection, _model_id: None,
) -> int:
    """The id of the model's row, which is created at the first load.

    The precision of a model that was never measured may still change as long as nothing is embedded. `record_measured`
    stores what was measured, in the same transaction. Raises ModelChangedError if the facts differ from the recorded
    ones, and TooManyModelsError if the catalog has no bit left.
    """

    def record(connection: Connection) -> int:
        advisory_lock(connection, MODELS_LOCK)
        known = find_model(connection, key)
        if known is None:
            model_id: int = connection.execute(
                insert(MlModel)
                .values(
                    key=key,
                    architecture=settings.architecture,
                    pretrained=settings.pretrained,
                    **asdict(facts),
                    embedded_bit=free_bit(connection),
                    first_loaded_at=DATABASE_TIME,
                    serving=False,
                )
                .returning(MlModel.id)
            ).scalar_one()
            record_measured(connection, model_id)
            return model_id
        recorded = ModelFacts(**{field.name: getattr(known, field.name) for field in fields(ModelFacts)})
        if replace(recorded, precision=facts.precision) == facts and is_unsettled(connection, known):
            connection.execute(
                update(MlModel).where(MlModel.id == known.id).values(precision=facts.precision)
            )
        elif recorded != facts:
            raise ModelChangedError(key, recorded, facts)
        record_measured(connection, known.id)
        return known.id

    return run_in_transaction(engine, record)


def record_serving_model(connection: Connection, key: str) -> str | None:
    """Make a model the current serving model within the caller's transaction. Returns the key of the previous one.

    Raises ModelNotLoadedError.
    """
    advisory_lock(connection, MODELS_LOCK)
    before = serving_model_key(connection)
    if before == key:
        return before
    connection.execute(update(MlModel).where(MlModel.serving).values(serving=False))
    promoted = connection.execute(
        update(MlModel).where(MlModel.key == key).values(serving=True, serving_since=DATABASE_TIME)
    )
    if promoted.rowcount != 1:
        raise ModelNotLoadedError(
            f"model {key!r} is missing from the catalog and cannot serve. Materialize image_embeddings first."
        )
    return before
