"""A library to which anything may happen, and a plain model of it."""

import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from photolineage.catalog.migrate import upgrade
from photolineage.catalog.migration_plan import back_up
from photolineage.catalog.queries import find_model
from photolineage.media import content_hash
from photolineage.settings import Settings, load_settings
from photolineage.steps.forget_source import SourceStores
from photolineage.steps.jobs import JobContext
from photolineage.steps.rename_source import rename_source
from photolineage.steps.source_jobs import end_dead_jobs
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from photolineage.stores.vector_index import VectorIndexes
from photolineage.upgrade.retire import ModelStores, retire_model
from workloads import REPOSITORY_ROOT
from workloads.killing.steps import Death
from workloads.killing.workers import Workers
from workloads.stateful.disk import Disk, Place, drawn_photo
from workloads.stateful.examine import Expected, Vectors, embeddings_of, images_by_place, violations
from workloads.upkeep import bring_up_to_date, promote_if_ready

SOURCES = ("camera", "phone")
MODELS = {"first": "demo-clip-v1", "second": "demo-clip-v2"}
SEEDS = 12
"""The number of different photos, so that copies of one are frequent."""


class ViolationError(AssertionError):
    """Something does not hold that must hold."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A backup of the catalog, and what the model knew then."""

    catalog: Path
    seen: Mapping[Place, bytes]
    ids: Mapping[Place, int]
    keys: Mapping[str, str]
    models: tuple[str, ...]
    serving: str | None


@dataclass
class LivingLibrary:
    """A library below `folder`, whose workers are forked from `nursery`.

    `seen`: the files that the catalog must know when it is up to date. `ids`: their images. `keys`: the configured
    key of the source of each folder. `models`: the configured models. `settled`: nothing has happened since the
    library was last up to date. `has_lost_files`: the catalog may name files that no longer are there, until the
    library is up to date. `torn`: that, or a kill may have left a scan half done, so no disk may be unplugged now.
    """

    folder: Path
    nursery: subprocess.Popen[str]
    vectors: Mapping[str, Vectors]
    disk: Disk = field(init=False)
    keys: dict[str, str] = field(default_factory=lambda: {source: source for source in SOURCES})
    models: tuple[str, ...] = ("first",)
    serving: str | None = None
    seen: dict[Place, bytes] = field(default_factory=dict)
    ids: dict[Place, int] = field(default_factory=dict)
    settled: bool = False
    has_lost_files: bool = False
    torn: bool = False
    saved: Saved | None = None

    def __post_init__(self) -> None:
        self.disk = Disk(self.folder / "photos", SOURCES)
        for number, source in enumerate(SOURCES):  # an empty root is taken for an unmounted disk
            self.disk.write(Place(source, "first.jpg"), drawn_photo(number))
        self._configure()
        upgrade(self.engine)

    @cached_property
    def engine(self) -> Engine:
        return self.settings.catalog.open_engine()

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder / "photolineage.toml", environment=False)

    def bring_up_to_date(self) -> None:
        """Run every step that is due, and compare the library with the model. Raises ViolationError."""
        bring_up_to_date(self.settings, self.engine)
        self.examine()

    def kill(self, death: Death) -> None:
        """Let a worker bring the library up to date that dies at a step, if it comes so far."""
        workers = Workers(self.settings, self.engine, self.folder / "log", self.nursery, self.models)
        workers.start(death)
        status = workers.wait()
        if status == 0:
            self.examine()
        elif status == -signal.SIGKILL:
            self.settled, self.torn = False, True
            if len(self.models) == 1 and not self.has_lost_files:
                rows = workers.committed()
                if len(set(rows)) != len(rows):
                    raise ViolationError(f"embedded more than once: {sorted(rows)}")
        else:
            raise ViolationError(f"a worker failed: {workers.of('error')}")

    def configure(self, *models: str) -> None:
        """Configure other models."""
        self.models = models
        self._configure()
        self.settled = False

    def promote(self, model: str) -> None:
        """Promote a model if it is ready. It must be if the library is up to date."""
        with self.engine.connect() as connection:
            if find_model(connection, model) is None:
                return
        readiness = promote_if_ready(self.settings, self.engine, model)
        if not readiness.refusals:
            self.serving = model
        elif self.settled:
            raise ViolationError(f"{model} cannot serve: {readiness.refusals}")

    def retire(self, model: str) -> None:
        """Retire a model that no longer is configured."""
        self.configure(*(key for key in self.models if key != model))
        settings = self.settings
        stores = ModelStores(open_files(settings), VectorIndexes(settings.home))
        with self.engine.connect() as connection:
            known = find_model(connection, model) is not None or bool(stores.summary(model))
        if known:
            context = JobContext(self.engine, "retirement", timedelta(seconds=settings.lease_timeout_seconds))
            retire_model(context, stores, model, configured=settings.models)
        left = stores.summary(model)
        if left:
            raise ViolationError(f"{model} is retired, but has files: {left}")

    def rename(self, folder: str) -> None:
        """Give a source that the catalog knows another key."""
        if not any(place.source == folder for place in self.ids):
            return
        old = self.keys[folder]
        self.keys[folder] = f"{folder}-renamed" if old == folder else folder
        self._configure()
        settings = self.settings
        context = JobContext(self.engine, "renaming", timedelta(seconds=settings.lease_timeout_seconds))
        stores = SourceStores(EmbeddingStore(open_files(settings)), VectorIndexes(settings.home))
        end_dead_jobs(context, old)
        rename_source(context, stores, old, self.keys[folder], self.disk.root(folder))
        self.settled = False

    def save(self) -> None:
        """Back the catalog up."""
        backup = back_up(self.engine, self.folder / "backups", "saved")
        assert backup is not None
        self.saved = Saved(
            backup, dict(self.seen), dict(self.ids), dict(self.keys), self.models, self.serving
        )

    @property
    def can_restore(self) -> bool:
        """Whether all photos can be read that the saved catalog would have to read again.

        Renaming a source renames its files. With the catalog of the day before, they are made again, from the photos.
        """
        return self.saved is not None and all(
            self.saved.keys[folder] == self.keys[folder] for folder in self.disk.away
        )

    def restore(self) -> None:
        """Put the backup of the catalog back, with the configuration of that day. Every other file stays."""
        assert self.saved is not None
        is_renamed = self.saved.keys != self.keys
        self.engine.dispose()
        catalog = self.settings.home / "catalog.db"
        for file in catalog.parent.glob("catalog.db*"):
            file.unlink()
        shutil.copyfile(self.saved.catalog, catalog)
        self.seen, self.ids = dict(self.saved.seen), dict(self.saved.ids)
        self.serving, self.keys = self.saved.serving, dict(self.saved.keys)
        self.configure(*self.saved.models)
        self.torn = self.has_lost_files = is_renamed

    def examine(self) -> None:
        """Compare a library that is up to date with the model. Raises ViolationError."""
        there = {place: self.disk.photos[place] for place in self.disk.places()}
        away = {place: content for place, content in self.seen.items() if place.source in self.disk.away}
        self.seen = there | away
        folders = {key: folder for folder, key in self.keys.items()}
        expected = Expected(self.seen, folders, self.vectors, self.serving)
        found = violations(self.settings, self.engine, expected)
        with self.engine.connect() as connection:
            ids = {place: row.id for place, row in images_by_place(connection, folders).items()}
        found += [
            f"{place} was image {self.ids[place]} and is image {image} now"
            for place, image in ids.items()
            if self.ids.get(place, image) != image
        ]
        if found:
            raise ViolationError("\n".join(found))
        self.ids, self.settled, self.torn, self.has_lost_files = ids, True, False, False

    def close(self) -> None:
        """Close the catalog."""
        self.engine.dispose()

    def _configure(self) -> None:
        sources = "".join(
            f"[sources.{key}]\nroot = 'photos/{folder}'\nremovable = true\n"
            for folder, key in self.keys.items()
        )
        folder = REPOSITORY_ROOT / "src/photolineage/demo/models"
        models = "".join(
            f"[models.{key}]\narchitecture = 'local-dir:{folder / MODELS[key]}'\n" for key in self.models
        )
        (self.folder / "photolineage.toml").write_text(
            f"home = 'home'\nshard_capacity = 6\ncheckpoint_images = 3\n{sources}{models}"
        )


def undisturbed_vectors(folder: Path) -> Mapping[str, Vectors]:
    """The embeddings of all photos by all models, by content, from a library to which nothing happens."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    for seed in range(SEEDS):
        (photos / f"{seed}.jpg").write_bytes(drawn_photo(seed))
    models = REPOSITORY_ROOT / "src/photolineage/demo/models"
    config = folder / "photolineage.toml"
    config.write_text(
        "home = 'home'\n[sources.photos]\nroot = 'photos'\n"
        + "".join(
            f"[models.{key}]\narchitecture = 'local-dir:{models / name}'\n" for key, name in MODELS.items()
        )
    )
    settings = load_settings(config, environment=False)
    engine = settings.catalog.open_engine()
    upgrade(engine)
    bring_up_to_date(settings, engine)
    with engine.connect() as connection:
        content = {
            row.id: content_hash((photos / row.path).read_bytes())
            for row in images_by_place(connection, {"photos": "photos"}).values()
        }
        found = {
            model: {
                content[image]: vector for image, vector in embeddings_of(connection, settings, model).items()
            }
            for model in MODELS
        }
    engine.dispose()
    return found
