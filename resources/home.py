"""The Dagster resources of the catalog and of the stores; they open a store when an asset uses it."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import ConfigurableResource, InitResourceContext
from pydantic import Field, PrivateAttr
from sqlalchemy import Engine

from photolineage.catalog.engine import create_catalog_engine, require_reachable
from photolineage.settings import Settings

if TYPE_CHECKING:
    from photolineage.stores.embeddings import EmbeddingStore
    from photolineage.stores.event_segments import SegmentStore
    from photolineage.stores.files import Files
    from photolineage.stores.previews import PreviewStore
    from photolineage.stores.vector_index.home import VectorIndexes


class CatalogResource(ConfigurableResource[None]):
    """The catalog's database."""

    url: str = Field(description="SQLAlchemy URL of the catalog: sqlite:///… or postgresql://…")
    lease_timeout_seconds: int = Field(
        description="A run that sends no heartbeat for this long loses the lease of its partition, in seconds."
    )
    _engine: Engine | None = PrivateAttr(default=None)

    @property
    def engine(self) -> Engine:
        """The engine, created at its first use. Raises CatalogUnreachableError."""
        if self._engine is None:
            engine = create_catalog_engine(self.url)
            require_reachable(engine)
            self._engine = engine
        return self._engine

    @property
    def lease_timeout(self) -> timedelta:
        """A run that sends no heartbeat for this long loses the lease of its partition."""
        return timedelta(seconds=self.lease_timeout_seconds)

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        """Close the connections."""
        del context
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


class StorageResource(ConfigurableResource[None]):
    """The files in the home directory: previews, embeddings, vector indexes, event segments."""

    home: str = Field(description="The home directory: all files are written there.")

    @property
    def files(self) -> "Files":
        """The files of previews, embeddings, event segments and text encoders."""
        from photolineage.stores.files import LocalFiles

        return LocalFiles(Path(self.home))

    @property
    def previews(self) -> "PreviewStore":
        """Previews, by shard."""
        from photolineage.stores.previews import PreviewStore

        return PreviewStore(self.files)

    @property
    def embeddings(self) -> "EmbeddingStore":
        """Embedding files, by model and shard."""
        from photolineage.stores.embeddings import EmbeddingStore

        return EmbeddingStore(self.files)

    @property
    def segments(self) -> "SegmentStore":
        """The segments that event clustering keeps between runs, by model."""
        from photolineage.stores.event_segments import SegmentStore

        return SegmentStore(self.files)

    @property
    def indexes(self) -> "VectorIndexes":
        """Vector indexes, by model."""
        from photolineage.stores.vector_index.home import VectorIndexes

        return VectorIndexes(Path(self.home))


def catalog_resource(settings: Settings) -> CatalogResource:
    """The catalog in the settings."""
    return CatalogResource(url=settings.catalog.url, lease_timeout_seconds=settings.lease_timeout_seconds)


def storage_resource(settings: Settings) -> StorageResource:
    """The stores in the home directory of the settings."""
    return StorageResource(home=str(settings.home))
