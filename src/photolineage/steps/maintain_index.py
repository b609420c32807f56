"""Maintaining the vector index of a model: compacting it, and retraining it when it has grown."""

from dataclasses import dataclass

from photolineage.catalog.queries import find_model, materialized_version
from photolineage.lineage import JobKind
from photolineage.steps.jobs import JobContext, running_job
from photolineage.stores.vector_index import AnnIndexReport, CompactionReport
from photolineage.stores.vector_index.home import VectorIndexes


@dataclass(frozen=True, slots=True)
class IndexMaintenanceReport:
    """What was done to one model's index."""

    compaction: CompactionReport
    ann: AnnIndexReport


def maintain_index(
    context: JobContext, indexes: VectorIndexes, model_key: str
) -> IndexMaintenanceReport | None:
    """Compact a model's index, and retrain it if it has outgrown its training. Returns None without an index.

    The rows of the index and the version that it was built from do not change. Raises LeaseHeldError.
    """
    with context.engine.connect() as connection:
        version = materialized_version(connection, JobKind.INDEX, model_key)
        model = find_model(connection, model_key)
    if version is None or model is None or not indexes.is_there(model_key):
        return None  # not built yet, retired or lost
    with running_job(context, JobKind.INDEX, model_key, input_version=version):
        index = indexes.open(model_key, model.embedding_dim)
        return IndexMaintenanceReport(index.compact(), index.build_ann_if_outgrown())
