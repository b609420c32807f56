"""The day of a model upgrade through a real Dagster, from one model to the next and back, searching all the while."""

import itertools
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from dagster import AssetKey

from photolineage.catalog.queries import serving_model_key
from photolineage.models.embedder import load_embedder
from photolineage.models.registry import require_model
from photolineage.search.find import find_images
from photolineage.search.query import Query, Weighted
from photolineage.settings import Settings, load_settings
from tests.library import TINY_MODELS, Library, draw_photo
from tests.lineage import Lineage, open_lineage
from workloads.dagster_ui import DagsterUi, running_ui

OLD, NEW = "tiny-a", "tiny-b"
PATIENCE = 240
PAUSE_SECONDS = 0.05
"""Between two searches: they are to go on all the while, and to leave the processor to the runs."""

RELOAD = """
mutation { reloadRepositoryLocation(repositoryLocationName: "photolineage") {
  __typename ... on WorkspaceLocationEntry { loadStatus }
} }"""
PARTITIONS = """
query($path: [String!]!) { assetNodeOrError(assetKey: {path: $path}) { ... on AssetNode { partitionKeys } } }"""


@dataclass
class Searches:
    """What somebody who searches by the serving model, again and again, has met."""

    library: Library
    settings: Settings
    models: list[str] = field(default_factory=list)
    stop: Event = field(default_factory=Event)

    def go_on(self) -> None:
        """Search until `stop`; raises what a search raises, and AssertionError for hits of another model."""
        for number in itertools.count():
            if self.stop.wait(PAUSE_SECONDS):
                return
            with self.library.engine.connect() as connection:
                key = serving_model_key(connection)
            assert key is not None
            self._search(key, f"picture number {number % 7}")
            self.models.append(key)

    def _search(self, key: str, text: str) -> None:
        hits = find_images(self.settings, self.library.engine, key, Query(texts=(Weighted(text),)), k=5).hits
        assert len(hits) == 5
        vectors = self.library.indexes.open(key, TINY_MODELS[key]).vectors_of([hit.image_id for hit in hits])
        assert vectors.shape == (5, TINY_MODELS[key])
        with self.library.engine.connect() as connection:
            precision = require_model(connection, key).precision
        (query,) = load_embedder(key, self.settings.models[key], precision).encode_text([text])
        np.testing.assert_allclose([hit.score or 0.0 for hit in hits], vectors @ query, atol=5e-3)


@contextmanager
def searching(library: Library, settings: Settings) -> Iterator[tuple[Searches, Future[None]]]:
    """Searches that go on in a thread of their own until the block ends."""
    searches = Searches(library, settings)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(searches.go_on)
        try:
            yield searches, future
        finally:
            searches.stop.set()


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The hands at the UI."""

    ui: DagsterUi
    lineage: Lineage
    searches: Searches
    searching: Future[None]

    def materialize(self, asset: str, partition_key: str | None = None) -> None:
        status = self.ui.run_job(f"materialize_{asset}", partition_key, {}, seconds=PATIENCE)
        assert status == "SUCCESS", (asset, partition_key)

    def promote(self, model: str) -> None:
        assert self.ui.run_job("promote_model", None, {"model": model}, seconds=PATIENCE) == "SUCCESS"

    def partitions(self, asset: str) -> list[str]:
        node = self.ui.query(PARTITIONS, path=[asset])["assetNodeOrError"]
        return list(node["partitionKeys"])

    def missing(self, model: str) -> list[str]:
        done = self.lineage.materialized_partitions("image_embeddings")
        return [
            key
            for key in self.partitions("image_embeddings")
            if key.startswith(f"{model}|") and key not in done
        ]

    def configure(self, model: str, folder: Path) -> None:
        """Add an entry to the configuration, and reload the code location."""
        with self.lineage.config_file.open("a") as file:
            file.write(f"[models.{model}]\narchitecture = 'local-dir:{folder}'\n")
        assert self.ui.query(RELOAD)["reloadRepositoryLocation"]["loadStatus"] == "LOADED"
        self.ui.wait_for(
            lambda: model in self.partitions("vector_index") or None,
            seconds=PATIENCE,
            what=f"{model} in the UI",
        )

    def embed_missing(self, model: str) -> None:
        """The model's row of `image_embeddings`, missing only, as a backfill."""
        self.ui.launch_backfill("image_embeddings", self.missing(model))

    def wait_for_embeddings(self, model: str) -> None:
        self.ui.wait_for(
            lambda: True if not self.missing(model) else None,
            seconds=PATIENCE,
            what=f"the backfill of {model}",
        )

    def wait_for_searches(self, model: str, count: int = 5) -> None:
        """So many more searches by the model; a search that has failed is raised here."""
        before = self.searches.models.count(model)

        def enough() -> bool | None:
            if self.searching.done():
                self.searching.result()
            return True if self.searches.models.count(model) >= before + count else None

        self.ui.wait_for(enough, seconds=PATIENCE, what=f"searches by {model}")


@pytest.fixture
def old_library(lineage: Lineage) -> Iterator[Lineage]:
    """Built for the old model, which serves; the new one is not configured yet."""
    without_new = re.sub(rf"\[models\.{NEW}\]\n.*\n", "", lineage.config_file.read_text())
    with_both = lineage.config_file.read_text()
    lineage.config_file.with_name("both.toml").write_text(with_both)
    lineage.config_file.write_text(without_new)
    with open_lineage(lineage.config_file) as reopened:
        assert list(reopened.library.settings.models) == [OLD]
        yield reopened


def test_from_the_old_model_to_the_new_one_and_back(
    old_library: Lineage, tiny_models: Mapping[str, Path], tmp_path: Path
) -> None:
    both = load_settings(old_library.config_file.with_name("both.toml"))
    with (
        running_ui(old_library.config_file, tmp_path / "ui.log") as ui,
        searching(old_library.library, both) as (searches, future),
    ):
        upgrade = Upgrade(ui, old_library, searches, future)
        upgrade.wait_for_searches(OLD)
        upgrade.configure(NEW, tiny_models[NEW])
        assert upgrade.missing(NEW) == [f"{NEW}|{shard}" for shard in old_library.shards]
        upgrade.materialize("image_embeddings", f"{NEW}|photos-00000")
        upgrade.embed_missing(NEW)
        take_a_photo(upgrade)
        upgrade.wait_for_embeddings(NEW)
        for model in (OLD, NEW):
            upgrade.materialize("image_embeddings", f"{model}|photos-00002")
            upgrade.materialize("vector_index", model)
        upgrade.materialize("image_events", NEW)
        upgrade.materialize("model_comparison", NEW)
        upgrade.wait_for_searches(OLD)
        upgrade.promote(NEW)
        upgrade.wait_for_searches(NEW)
        upgrade.promote(OLD)
        upgrade.wait_for_searches(OLD)
        searches.stop.set()
        future.result()
    assert [model for model, _ in itertools.groupby(searches.models)] == [OLD, NEW, OLD]
    require_that_nothing_was_done_twice(old_library)


def take_a_photo(upgrade: Upgrade) -> None:
    """A new photo arrives in the middle, in the last shard."""
    draw_photo(upgrade.lineage.library.root / "2025/00.jpg", 500)
    upgrade.materialize("source_files", "photos")
    upgrade.materialize("registered_images", "photos-00002")


def require_that_nothing_was_done_twice(lineage: Lineage) -> None:
    for model, dim in TINY_MODELS.items():
        live = lineage.library.live(model)
        assert (len(live.rows), live.missing, live.dim) == (27, 0, dim)
        assert sum(file.row_count for file in live.files) == 27
        assert lineage.library.indexes.open(model, dim).row_count() == 27
    compared = lineage.instance.get_latest_materialization_event(AssetKey("model_comparison"))
    assert compared is not None
    assert compared.asset_materialization is not None
    assert compared.asset_materialization.partition == NEW
    assert compared.asset_materialization.metadata["serving_model"].value == OLD
