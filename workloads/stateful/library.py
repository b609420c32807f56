"""A library to which anything may happen, and a plain model of it."""

import shutil
import signal
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine, select

from photolineage.catalog.migration_plan import back_up
from photolineage.catalog.orm import Image, Source
from photolineage.catalog.queries import find_model, shard_keys
from photolineage.catalog.verification import RottenOriginal, find_rotten
from photolineage.catalog.vocabulary import ImageState
from photolineage.settings import Settings, load_settings
from photolineage.steps.forget_source import SourceStores, bring_indexes_up_to_date, forget_source
from photolineage.steps.jobs import JobContext
from photolineage.steps.rename_source import move_source, rename_source
from photolineage.steps.source_jobs import end_dead_jobs, is_known
from photolineage.steps.verify import describe_copy, verify_shard
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from photolineage.stores.vector_index import VectorIndexes
from photolineage.upgrade.retire import ModelStores, retire_model
from workloads import REPOSITORY_ROOT
from workloads.killing.steps import Death
from workloads.killing.workers import Workers
from workloads.stateful.disk import NO_PICTURE, Disk, Place, drawn_photo
from workloads.stateful.examine import Expected, Vectors, images_by_place, violations
from workloads.stateful.undisturbed import CATALOG, MODELS, new_catalog
from workloads.upkeep import VERIFIED_PER_SECOND, bring_up_to_date, promote_if_ready

SOURCES = ("camera", "phone")


class ViolationError(AssertionError):
    """Something does not hold that must hold."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A backup of the catalog, and what the model knew then."""

    catalog: Path
    seen: Mapping[Place, bytes]
    keywords: Mapping[Place, frozenset[str]]
    ids: Mapping[Place, int]
    keys: Mapping[str, str]
    names: Mapping[str, int]
    models: tuple[str, ...]
    serving: str | None


@dataclass
class LivingLibrary:
    """A library below `folder`, whose workers are forked from `nursery`.

    `seen`: the photos that the catalog must know when it is up to date. `keywords`: what their sidecars say. `ids`:
    their images. `as_read`: the last write to each of them and to its sidecars; None if the catalog may have to
    read anything again. `keys`: the configured key of the source on each disk. `names`: how often the root of a
    source or its files in the home have got other names. `models`: the configured models. `settled_at`: how much
    had happened on the disks when the library was last up to date; None if anything else has happened since.
    `has_lost_files`: the catalog may name files that are no longer there, until the library is up to date. `torn`:
    that, or a kill may have left a scan half done, so no disk may be unplugged now.
    """

    folder: Path
    nursery: subprocess.Popen[str]
    vectors: Mapping[str, Vectors]
    disk: Disk = field(init=False)
    keys: dict[str, str] = field(default_factory=lambda: {source: source for source in SOURCES})
    models: tuple[str, ...] = ("first",)
    serving: str | None = None
    names: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SOURCES, 0))
    seen: dict[Place, bytes] = field(default_factory=dict)
    keywords: dict[Place, frozenset[str]] = field(default_factory=dict)
    ids: dict[Place, int] = field(default_factory=dict)
    as_read: dict[Place, tuple[int | None, ...]] | None = field(default_factory=dict)
    settled_at: int | None = None
    has_lost_files: bool = False
    torn: bool = False
    saved: Saved | None = None

    def __post_init__(self) -> None:
        self.disk = Disk(self.folder / "photos", SOURCES)
        for number, source in enumerate(SOURCES):  # an empty root is taken for an unmounted disk
            self.disk.write(Place(source, "first.jpg"), drawn_photo(number))
        self._configure()
        self.settings.home.mkdir()
        (self.settings.home / CATALOG).write_bytes(new_catalog())

    @cached_property
    def engine(self) -> Engine:
        return self.settings.catalog.open_engine()

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder / "photolineage.toml", environment=False)

    def bring_up_to_date(self) -> None:
        """Run every step that is due, and compare the library with the model. Raises ViolationError.

        If nothing has happened, nothing may be due. No photo may be read again that was not written since.
        """
        before = self._read_at()
        materialized = bring_up_to_date(self.settings, self.engine)
        if self.settled:
            if materialized:
                raise ViolationError(f"nothing has happened, but {materialized} partitions were due")
            return
        if self.as_read is not None:
            read = {place for place, at in self._read_at().items() if before.get(place) != at}
            again = [place for place in read if self.as_read.get(place) == self.disk.last_writes(place)]
            if again:
                raise ViolationError(f"read again, though nobody wrote to them: {again}")
        self.examine()

    def _read_at(self) -> Mapping[Place, datetime]:
        """When each image was read last."""
        with self.engine.connect() as connection:
            rows = images_by_place(connection, self._disks)
        return {place: row.registered_at for place, row in rows.items()}

    @property
    def _disks(self) -> Mapping[str, str]:
        """The disk of each source, by its key."""
        return {key: disk for disk, key in self.keys.items()}

    @property
    def settled(self) -> bool:
        """Whether nothing has happened since the library was last up to date."""
        return self.settled_at == self.disk.changes

    def settle(self) -> None:
        """Bring the library up to date if anything has happened."""
        if not self.settled:
            self.bring_up_to_date()

    def kill(self, death: Death) -> None:
        """Let a worker bring the library up to date that dies at a step, if it comes so far."""
        workers = Workers(
            self.settings, self.engine, self.folder / "log", self.nursery, self.models, verifies=True
        )
        workers.start(death)
        status = workers.wait()
        if status == 0:
            self.examine()
        elif status == -signal.SIGKILL:
            self.settled_at, self.torn = None, True
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
        self.settled_at = None

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
            retire_model(self._context, stores, model, configured=settings.models)
        left = stores.summary(model)
        if left:
            raise ViolationError(f"{model} is retired, but has files: {left}")

    def rename(self, folder: str) -> None:
        """Give a source that the catalog knows another key."""
        if not self._knows(self.keys[folder]):
            return
        old = self.keys[folder]
        self.keys[folder] = f"{folder}-renamed" if old == folder else folder
        self.names[folder] += 1
        self._configure()
        end_dead_jobs(self._context, old)
        rename_source(self._context, self._stores, old, self.keys[folder], self.disk.root(folder))
        self.settled_at = None

    def move(self, folder: str) -> None:
        """Rename the root of a source, and tell the catalog. Nothing is read again."""
        self.disk.move_root(folder)
        self.names[folder] += 1
        self._configure()
        if self._knows(self.keys[folder]):
            end_dead_jobs(self._context, self.keys[folder])
            move_source(self.engine, self.keys[folder], self.disk.root(folder))
        self.settled_at = None

    def forget(self, folder: str) -> None:
        """Remove a source from the configuration and from the catalog."""
        key = self.keys.pop(folder)
        self.names[folder] += 1
        self._configure()
        if self._knows(key):
            end_dead_jobs(self._context, key)
            forget_source(self._context, self._stores, key)
            bring_indexes_up_to_date(self._context, self._stores)
            left = self._stores.files_of(key)
            if left:
                raise ViolationError(f"source {key} is forgotten, but has files: {left}")
        for known in (self.seen, self.keywords, self.ids, self.as_read or {}):
            for place in [place for place in known if place.source == folder]:
                del known[place]
        self.settled_at = None

    def add(self, folder: str) -> None:
        """Configure a forgotten source again."""
        self.keys[folder] = folder
        self._configure()
        self.settled_at = None

    def shift_times(self, folder: str, hours: int) -> None:
        """Let all times of a source shift by hours, as on an exFAT disk after a change to daylight saving time."""
        self.settle()
        self.disk.shift_times(folder, hours)
        self.bring_up_to_date()  # raises if it reads a photo

    def rot(self, place: Place) -> None:
        """Let a photo rot, verify its source, and restore the photo. Raises ViolationError."""
        self.settle()
        self._verify(place.source, set())  # ends a round that a kill has interrupted
        self.disk.change_byte(place)
        self.bring_up_to_date()
        self._verify(place.source, {place})
        self.disk.change_byte(place)
        self._verify(place.source, set())

    def _verify(self, folder: str, rotten: Collection[Place]) -> None:
        """Verify the shards of a source: these photos must be found, each with its intact copies, and nothing else."""
        sound = {
            place for place, content in self.seen.items() if place.source == folder and content != NO_PICTURE
        }.difference(rotten)
        found: dict[Place, RottenOriginal] = {}
        verified = 0
        with self.engine.connect() as connection:
            shards = shard_keys(connection, [self.keys[folder]])
        for shard in shards:
            report = verify_shard(
                self._context, shard, megabytes_per_second=VERIFIED_PER_SECOND, checkpoint_images=3
            )
            verified += report.resumed + report.verified
            if report.changed or report.unreadable:
                raise ViolationError(f"{shard}: neither {report.changed} nor {report.unreadable} has changed")
            with self.engine.connect() as connection:
                found |= {Place(folder, one.path): one for one in find_rotten(connection, shard)}
        if found.keys() != set(rotten) or verified != len(sound):
            raise ViolationError(
                f"rotten are {rotten}, but verifying found {list(found)}, and {verified} intact photos"
            )
        for place, one in found.items():
            copies = {Place(self._disks[copy.source], copy.path) for copy in one.copies}
            wanted = {
                copy for copy, content in self.seen.items() if content == self.seen[place] and copy != place
            }
            there = [copy for copy in wanted if copy.source not in self.disk.away]
            said = describe_copy(one)
            if copies != wanted or (there and not any(str(self.disk.file(copy)) in said for copy in there)):
                raise ViolationError(f"the intact copies of {place} are {wanted}, but verifying says: {said}")

    def has_most_of(self, folder: str) -> bool:
        """Whether at least half of the photos that the catalog knows of a source are on its disk."""
        with self.engine.connect() as connection:
            paths = list(
                connection.execute(
                    select(Image.path)
                    .join(Source, Source.id == Image.source_id)
                    .where(Source.key == self.keys[folder], Image.state != ImageState.MISSING)
                ).scalars()
            )
        there = [path for path in paths if Place(folder, path) in self.disk.photos]
        return 2 * len(there) >= len(paths)

    def _knows(self, key: str) -> bool:
        with self.engine.connect() as connection:
            return is_known(connection, key)

    @property
    def _context(self) -> JobContext:
        return JobContext(self.engine, "a command", timedelta(seconds=self.settings.lease_timeout_seconds))

    @property
    def _stores(self) -> SourceStores:
        settings = self.settings
        return SourceStores(EmbeddingStore(open_files(settings)), VectorIndexes(settings.home))

    def save(self) -> None:
        """Back the catalog up."""
        backup = back_up(self.engine, self.folder / "backups", "saved")
        assert backup is not None
        self.saved = Saved(
            backup,
            dict(self.seen),
            dict(self.keywords),
            dict(self.ids),
            dict(self.keys),
            dict(self.names),
            self.models,
            self.serving,
        )

    @property
    def can_restore(self) -> bool:
        """Whether all photos can be read that the saved catalog would have to read again.

        Renaming a source renames its files, and forgetting it removes them. With the catalog of the day before, they
        are made again, from the photos.
        """
        return self.saved is not None and all(
            self.saved.names[folder] == self.names[folder] for folder in self.disk.away
        )

    def restore(self) -> None:
        """Put the backup of the catalog back, with the configuration of that day. Every other file stays."""
        assert self.saved is not None
        has_other_names = self.saved.names != self.names
        self.engine.dispose()
        catalog = self.settings.home / CATALOG
        for file in catalog.parent.glob(f"{CATALOG}*"):
            file.unlink()
        shutil.copyfile(self.saved.catalog, catalog)
        self.seen, self.keywords = dict(self.saved.seen), dict(self.saved.keywords)
        self.ids, self.as_read = dict(self.saved.ids), None
        self.serving, self.keys = self.saved.serving, dict(self.saved.keys)
        self.configure(*self.saved.models)
        self.torn = self.has_lost_files = has_other_names

    def examine(self) -> None:
        """Compare a library that is up to date with the model. Raises ViolationError."""
        there = [place for place in self.disk.places() if place.source in self.keys]
        away = {place for place in self.seen if place.source in self.disk.away}
        self.seen = {place: self.seen[place] for place in away} | {
            place: self.disk.photos[place] for place in there
        }
        self.keywords = {place: self.keywords[place] for place in away} | {
            place: self.disk.keywords_of(place) for place in there
        }
        expected = Expected(self.seen, self._disks, self.vectors, self.serving, self.keywords)
        found = violations(self.settings, self.engine, expected)
        with self.engine.connect() as connection:
            ids = {place: row.id for place, row in images_by_place(connection, self._disks).items()}
        found += [
            f"{place} was image {self.ids[place]} and is image {image} now"
            for place, image in ids.items()
            if self.ids.get(place, image) != image
        ]
        if found:
            raise ViolationError("\n".join(found))
        self.as_read = {place: self.disk.last_writes(place) for place in self.seen}
        self.ids, self.settled_at, self.torn, self.has_lost_files = ids, self.disk.changes, False, False

    def close(self) -> None:
        """Close the catalog."""
        self.engine.dispose()

    def _configure(self) -> None:
        sources = "".join(
            f"[sources.{key}]\nroot = '{self.disk.root(folder)}'\nremovable = true\n"
            for folder, key in self.keys.items()
        )
        folder = REPOSITORY_ROOT / "src/photolineage/demo/models"
        models = "".join(
            f"[models.{key}]\narchitecture = 'local-dir:{folder / MODELS[key]}'\n" for key in self.models
        )
        (self.folder / "photolineage.toml").write_text(
            f"home = 'home'\nshard_capacity = 6\ncheckpoint_images = 3\n{sources}{models}"
        )
