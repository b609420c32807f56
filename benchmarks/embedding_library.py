"""A library with one shard, on which the embedding benchmark runs the steps of the lineage."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete

from photolineage.catalog.engine import create_catalog_engine, write_transaction
from photolineage.catalog.migrate import upgrade
from photolineage.catalog.orm import ShardFile
from photolineage.catalog.queries import shard_keys
from photolineage.catalog.vocabulary import FileKind
from photolineage.lineage import JobKind
from photolineage.media import SUPPORTED_SUFFIXES
from photolineage.models.loading import LibraryModel, load_model
from photolineage.settings import ModelSettings
from photolineage.steps.embed import Stores, embed_shard
from photolineage.steps.jobs import JobContext, running_job
from photolineage.steps.register import register_shard
from photolineage.steps.scan import ensure_source, scan_source
from photolineage.steps.tree_walk import TreeWalk
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import LocalFiles
from photolineage.stores.previews import PreviewStore

SOURCE, MODEL = "photos", "benchmark"
CHECKPOINT_IMAGES, CHECKPOINT_SECONDS = 500, 60


def write_random_model(folder: Path, architecture: str) -> ModelSettings:
    """Write an open_clip architecture with random weights, as a `local-dir:` model."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    torch.manual_seed(0)
    model = open_clip.create_model(architecture)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(architecture), "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return ModelSettings(architecture=f"local-dir:{folder}")


class BenchmarkLibrary:
    """A library of one shard from a folder of photographs, scanned but not yet registered."""

    def __init__(self, home: Path, photos: Path) -> None:
        home.mkdir()
        self._home = home
        self._engine = create_catalog_engine(f"sqlite:///{home}/catalog.db")
        upgrade(self._engine)
        self._context = JobContext(self._engine, "benchmark", timedelta(minutes=5))
        self._stores = Stores(PreviewStore(LocalFiles(home)), EmbeddingStore(LocalFiles(home)))
        source_id = ensure_source(self._engine, SOURCE, photos)
        with running_job(self._context, JobKind.SCAN, SOURCE, input_version="") as lease:
            walk = TreeWalk(photos, SUPPORTED_SUFFIXES)
            scan_source(lease, source_id, walk, shard_capacity=100_000)
        with self._engine.connect() as connection:
            (self._shard,) = shard_keys(connection)

    def load_model(self, settings: ModelSettings) -> LibraryModel:
        """The model, in the precision that this library chooses."""
        return load_model(self._engine, self._stores.previews, MODEL, settings)

    def register(self) -> int:
        """Register the shard. Returns the number of images."""
        report = register_shard(
            self._context,
            self._stores.previews,
            self._shard,
            time_zone="UTC",
            checkpoint_images=CHECKPOINT_IMAGES,
            checkpoint_seconds=CHECKPOINT_SECONDS,
        )
        return report.registered

    def embed(self, model: LibraryModel) -> int:
        """Embed the shard. Returns the number of images."""
        report = embed_shard(
            self._context,
            self._stores,
            model.embedder,
            model.id,
            self._shard,
            checkpoint_images=CHECKPOINT_IMAGES,
            checkpoint_seconds=CHECKPOINT_SECONDS,
        )
        return report.embedded

    def forget(self, kind: FileKind) -> None:
        """Forget the previews or the embeddings, so that the next round makes them again."""
        with write_transaction(self._engine) as connection:
            connection.execute(delete(ShardFile).where(ShardFile.kind == kind))
        folder = "previews" if kind == FileKind.PREVIEW else "embeddings"
        shutil.rmtree(self._home / folder, ignore_errors=True)

    def close(self) -> None:
        """Close the catalog and delete the library, but keep the photographs."""
        self._engine.dispose()
        shutil.rmtree(self._home)


@contextmanager
def new_library(home: Path, photos: Path) -> Iterator[BenchmarkLibrary]:
    """A library that is deleted when the block ends."""
    library = BenchmarkLibrary(home, photos)
    try:
        yield library
    finally:
        library.close()
