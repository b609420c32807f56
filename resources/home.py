"""The Dagster resources: the catalog's database, and the stores under the home directory.

They take no run configuration: nobody can point a run at another database or folder, and neither the launchpad nor the
record of a run shows them.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import InitResourceContext, ResourceDefinition, resource
from sqlalchemy import Engine

from photolineage.catalog.engine import require_reachable
from photolineage.settings import CatalogSettings, Settings

if TYPE_CHECKING:
    from photolineage.stores.embeddings import EmbeddingStore
    from photolineage.stores.event_segments import SegmentStore
    from photolineage.stores.files import Files
    from photolineage.stores.previews import PreviewStore
    from photolineage.stores.vector_index import VectorIndexes


class CatalogResource:
    """The catalog's database. `lease_timeout`: how long a run may be silent before it loses its partition."""

    def __init__(self, database: CatalogSettings, home: Path, lease_timeout: timedelta) -> None:
        self.lease_timeout = lease_timeout
        self._database = database
        self._home = home
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, made at its first use. Raises CatalogUnreachableError, and ForeignStoreError for another home."""
        if self._engine is None:
            engine = self._database.open_engine()
            require_reachable(engine)
            self.attach(engine)
            self._engine = engine
        return self._engine

    def attach(self, engine: Engine) -> None:
        """Let the catalog belong to this home. Call this after its tables were created. Raises ForeignStoreError."""
        from photolineage.stores.files import LocalFiles
        from photolineage.stores.identity import attach_store

        attach_store(engine, LocalFiles(self._home))

    def close(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


class StorageResource:
    """The files under the home directory: previews, embeddings, vector indexes, segments of events."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def files(self) -> "Files":
        """The files of previews, embeddings, event segments and text encoders."""
        from photolineage.stores.files import LocalFiles

        return LocalFiles(self.home)

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
        from photolineage.stores.vector_index import VectorIndexes

        return VectorIndexes(self.home)


def catalog_resource(settings: Settings) -> ResourceDefinition:
    """The catalog that the settings name; its connections are closed at the end of a run, a check or a tick."""

    @resource(config_schema={}, description="The catalog's database.")
    def catalog(context: InitResourceContext) -> Iterator[CatalogResource]:
        del context
        opened = CatalogResource(
            settings.catalog, settings.home, timedelta(seconds=settings.lease_timeout_seconds)
        )
        try:
            yield opened
        finally:
            opened.close()

    return catalog


def storage_resource(settings: Settings) -> ResourceDefinition:
    """The stores under the home directory that the settings name."""
    return fixed_resource(StorageResource(settings.home), "The stores under the home directory.")


def fixed_resource(value: object, description: str) -> ResourceDefinition:
    """A resource that is this value. Dagster would take any configuration for a bare value, and ignore it."""
    return ResourceDefinition(lambda _context: value, config_schema={}, description=description)
