"""Bringing a library up to date by the plain steps of the lineage, without Dagster."""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from photolineage.catalog.queries import find_model, shard_keys
from photolineage.catalog.vocabulary import Precision
from photolineage.events.titles import PROMPT
from photolineage.lineage import JobKind, split_partition_key
from photolineage.models.embedder import Embedder, load_embedder
from photolineage.models.registry import record_model
from photolineage.settings import ModelSettings, Settings
from photolineage.steps.cluster import cluster_model
from photolineage.steps.embed import Stores, embed_shard
from photolineage.steps.freshness import StaleWork, find_stale_work
from photolineage.steps.index import build_index
from photolineage.steps.jobs import JobContext, running_job
from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.register import register_shard
from photolineage.steps.scan import ensure_source, scan_source, walk_of
from photolineage.steps.tree_walk import SourceUnavailableError
from photolineage.steps.verify import verify_shard
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.event_segments import SegmentStore
from photolineage.stores.files import open_files
from photolineage.stores.previews import PreviewStore
from photolineage.stores.vector_index import VectorIndexes
from photolineage.upgrade.promote import Readiness, assess_readiness, promote

NEVER_AGAIN = timedelta(days=1)
"""Sources are scanned once, at the beginning, so they are not due again."""

VERIFIED_PER_SECOND = 1e6
"""Megabytes: no wait."""

ROUNDS = 4
"""Whatever happened before, the steps settle within so many rounds: a round of the sensor materializes one step."""


class UnsettledError(Exception):
    """Partitions are still stale after every stale partition was materialized."""


def bring_up_to_date(
    settings: Settings,
    engine: Engine,
    models: Sequence[str] | None = None,
    *,
    before_index: Callable[[], object] = lambda: None,
) -> int:
    """Scan the sources, then materialize what is stale for these models (None: all), until nothing is.

    `before_index` is called before LanceDB is first imported. Returns the number of materialized partitions.

    Raises UnsettledError.
    """
    upkeep = _Upkeep(settings, engine, list(settings.models if models is None else models))
    sources = [key for key in settings.sources if upkeep.scan(key)]
    materialized = 0
    for _ in range(ROUNDS * len(JobKind)):
        work = upkeep.stale(sources)
        if not work.count():
            return materialized
        upkeep.materialize(work, before_index)
        materialized += work.count()
    raise UnsettledError(f"still stale: {upkeep.stale(sources)}")


def verify_all(settings: Settings, engine: Engine) -> None:
    """Read every registered photo again."""
    upkeep = _Upkeep(settings, engine, ())
    with engine.connect() as connection:
        shards = shard_keys(connection, list(settings.sources))
    for shard in shards:
        upkeep.verify(shard)


def promote_if_ready(settings: Settings, engine: Engine, model: str) -> Readiness:
    """Let a model serve, unless its readiness has refusals."""
    readiness = assess_readiness(
        engine, EmbeddingStore(open_files(settings)), VectorIndexes(settings.home), model, settings.recall_bar
    )
    if not readiness.refusals:
        promote(engine, readiness)
    return readiness


class _Upkeep:
    def __init__(self, settings: Settings, engine: Engine, models: Sequence[str]) -> None:
        self._settings = settings
        self._models = models
        self._engine = engine
        self._context = JobContext(
            engine, f"process-{os.getpid()}", timedelta(seconds=settings.lease_timeout_seconds)
        )
        self._previews = PreviewStore(open_files(settings))
        self._embeddings = EmbeddingStore(open_files(settings))
        self._indexes = VectorIndexes(settings.home)

    def scan(self, key: str) -> bool:
        """Scan a source. False if its disk is away."""
        source = self._settings.sources[key]
        source_id = ensure_source(self._engine, key, source.root)
        try:
            with running_job(self._context, JobKind.SCAN, key, input_version="") as lease:
                scan_source(lease, source_id, walk_of(source), shard_capacity=self._settings.shard_capacity)
        except SourceUnavailableError:
            return False
        return True

    def stale(self, sources: Sequence[str]) -> StaleWork:
        with self._engine.connect() as connection:
            lost = find_lost_files(connection, open_files(self._settings), self._indexes, self._models)
            return find_stale_work(connection, sources, self._models, NEVER_AGAIN, lost)

    def materialize(self, work: StaleWork, before_index: Callable[[], object]) -> None:
        for shard in work.shards:
            self._register(shard.subject)
        for pair in work.embeddings:
            self._embed(*split_partition_key(pair.subject))
        for model in work.indexes:
            before_index()
            build_index(self._context, self._embeddings, self._indexes, model.subject)
        for model in work.events:
            self._cluster(model.subject)

    def verify(self, shard: str) -> None:
        """Read the photos of a shard again."""
        verify_shard(
            self._context,
            shard,
            megabytes_per_second=VERIFIED_PER_SECOND,
            checkpoint_images=self._settings.checkpoint_images,
        )

    def _register(self, shard: str) -> None:
        register_shard(
            self._context,
            self._previews,
            shard,
            time_zone="UTC",
            checkpoint_images=self._settings.checkpoint_images,
            checkpoint_seconds=self._settings.checkpoint_seconds,
        )

    def _embed(self, model: str, shard: str) -> None:
        embedder = self._embedder(model)
        model_id = record_model(self._engine, model, self._settings.models[model], embedder.facts)
        embed_shard(
            self._context,
            Stores(self._previews, self._embeddings),
            embedder,
            model_id,
            shard,
            checkpoint_images=self._settings.checkpoint_images,
            checkpoint_seconds=self._settings.checkpoint_seconds,
        )

    def _cluster(self, model: str) -> None:
        cluster_model(
            self._context,
            self._embeddings,
            SegmentStore(open_files(self._settings)),
            model,
            partial(self._encode_text, model),
            self._settings.events,
        )

    def _encode_text(self, model: str, texts: list[str]) -> NDArray[np.float32]:
        return _encoded(model, self._settings.models[model], self._precision(model), tuple(texts))

    def _embedder(self, model: str) -> Embedder:
        return _loaded(model, self._settings.models[model], self._precision(model))

    def _precision(self, model: str) -> Precision:
        with self._engine.connect() as connection:
            recorded = find_model(connection, model)
        return recorded.precision if recorded else Precision.FLOAT32


def load_ahead(settings: Settings) -> None:
    """Load the models, and encode the words of titles, so that processes forked from this one don't need to."""
    texts = tuple(PROMPT.format(word) for word in settings.events.title_words)
    for model, of_model in settings.models.items():
        _encoded(model, of_model, Precision.FLOAT32, texts)


@cache
def _encoded(
    model: str, settings: ModelSettings, precision: Precision, texts: tuple[str, ...]
) -> NDArray[np.float32]:
    """The vectors of texts. The words of titles are the same for every library."""
    return _loaded(model, settings, precision).encode_text(list(texts))


@cache
def _loaded(model: str, settings: ModelSettings, precision: Precision) -> Embedder:
    return load_embedder(model, settings, precision)
