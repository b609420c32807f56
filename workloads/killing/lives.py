"""Runs one worker after the other: where each was killed, what work that cost, and what is left in the end."""

import random
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from sqlalchemy import Connection, func, or_, select

from photolineage.catalog.orm import Image, ImageNote, Source
from photolineage.catalog.vocabulary import ImageState, WrittenField
from photolineage.media import content_hash
from photolineage.media.sidecars import XMP_SUFFIX
from photolineage.models.registry import require_model
from photolineage.settings import Settings
from photolineage.stacks.stored import find_changed_stacks
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from photolineage.stores.live_embeddings import find_live_embeddings
from photolineage.stores.vector_index import VectorIndexes
from workloads.killing.steps import STEPS, Death
from workloads.killing.workers import StandstillError, Workers
from workloads.stateful.disk import KEYWORDS, sidecar

MOST_STEPS = 12
"""A worker dies at the latest at the 12th pass of its step."""

MOST_LINES = 120
LONGEST_WAIT_SECONDS = 0.04
CHANGED_EACH_TIME = 30


@dataclass(slots=True)
class KillReport:
    """The effects of the kills, in images.

    `lost`: committed before a kill but not after it, or without a live embedding or an index row in the end.
    `duplicates`: embeddings of the same image and content beyond the first, and index rows beyond the first.
    `recomputed_max`, `reread_max`, `reverified_max`: the most embeddings, originals and verified originals that one
    kill cost. `unverified`: images that were not found intact, if the workers verify. `misread`: images with other
    keywords than their sidecars have, or in another stack than the rules give.
    `died_at`: the kills by step; `any moment` is a signal from outside.
    `unreadable`: images that failed in the end.
    """

    kills: int = 0
    completed: int = 0
    lost: int = 0
    duplicates: int = 0
    recomputed_max: int = 0
    reread_max: int = 0
    reverified_max: int = 0
    unverified: int = 0
    misread: int = 0
    unreadable: int = 0
    died_at: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class KilledLibrary:
    """Kills the workers of a library at random moments until enough of them have died."""

    workers: Workers
    rng: random.Random
    report: KillReport = field(default_factory=KillReport)

    def kill(self, kills: int) -> KillReport:
        """Kill `kills` workers, then let one finish. Whenever a worker finishes before its kill, some photos change.

        Raises StandstillError if a worker fails or makes no progress.
        """
        while self.report.kills < kills:
            if self._live():
                self._examine()
                change_photos(self.workers.settings, self.rng)
        self.workers.start()
        self._require(self.workers.wait(), 0)
        self._examine()
        return self.report

    def _live(self) -> bool:
        """Run one worker and kill it. Returns whether it finished first."""
        before, read_before = Counter(self.workers.committed()), self.workers.read_at()
        since = self.workers.written()
        place, status = self._start_and_kill(since)
        self._require(status, 0, -signal.SIGKILL)
        after, read_after = Counter(self.workers.committed()), self.workers.read_at()
        self.report.lost += len((before - after).keys() & self.workers.registered())
        encoded = sum(map(int, self.workers.of("encoded", since=since)))
        read = len(self.workers.of("read", since=since))
        verified = self.workers.of("step", since=since).count("verifying")
        never = (None, None)
        registered_now, verified_now = (
            sum(at[which] != read_before.get(image, never)[which] for image, at in read_after.items())
            for which in (0, 1)
        )
        self.report.recomputed_max = max(self.report.recomputed_max, encoded - (after - before).total())
        self.report.reread_max = max(self.report.reread_max, read - registered_now)
        self.report.reverified_max = max(self.report.reverified_max, verified - verified_now)
        if status == 0:
            self.report.completed += 1
            return True
        self.report.kills += 1
        self.report.died_at[place] += 1
        return False

    def _start_and_kill(self, since: int) -> tuple[str, int]:
        """Start a worker and kill it. Returns the planned place of its death, and its exit status."""
        if self.rng.random() < 0.5:
            death = Death(self.rng.choice(STEPS), self.rng.randint(1, MOST_STEPS))
            self.workers.start(death)
            return death.step, self.workers.wait()
        pid = self.workers.start()
        until = self.rng.choice([0, self.rng.randint(1, MOST_LINES)])
        reached = self.workers.wait_until(pid, lambda: len(self.workers.lines(since)) >= until)
        time.sleep(self.rng.uniform(0, LONGEST_WAIT_SECONDS))
        status = self.workers.end(pid, signal.SIGKILL) if reached else self.workers.wait()
        return "any moment", status

    def _require(self, status: int, *allowed: int) -> None:
        if status not in allowed:
            raise StandstillError(f"a worker exited with status {status} before it was killed")

    def _examine(self) -> None:
        """Compare the library with the photos after a worker has finished."""
        expected, self.report.unreadable = expected_images(self.workers)
        rows = Counter(self.workers.committed())
        live = _live_images(self.workers)
        indexed = Counter(_indexed_images(self.workers))
        self.report.lost += len(expected - live) + len(expected - indexed.keys())
        self.report.duplicates += (rows - Counter(set(rows))).total()
        self.report.duplicates += (indexed - Counter(expected)).total()
        with self.workers.engine.connect() as connection:
            self.report.misread += len(find_changed_stacks(connection)) + _count_wrong_keywords(connection)
            if self.workers.verifies:
                self.report.unverified += connection.execute(
                    select(func.count()).where(
                        Image.state == ImageState.REGISTERED,
                        or_(Image.verified_at.is_(None), Image.rotten_at.is_not(None)),
                    )
                ).scalar_one()


def expected_images(workers: Workers) -> tuple[set[int], int]:
    """The images that must have one embedding and one index row, and how many images cannot be read.

    These are the first image of each content that is on the disk now.
    """
    first: dict[str, int] = {}
    roots = [source.root for source in workers.settings.sources.values()]
    with workers.engine.connect() as connection:
        rows = connection.execute(select(Image.id, Image.path, Image.state).order_by(Image.id)).all()
    for row in rows:
        (path,) = [root / row.path for root in roots if (root / row.path).exists()]
        content = content_hash(path.read_bytes())
        if row.state != ImageState.FAILED:
            first.setdefault(content, row.id)
    return set(first.values()), sum(row.state == ImageState.FAILED for row in rows)


def _count_wrong_keywords(connection: Connection) -> int:
    """How many registered images have other keywords than the sidecars beside them."""
    found: dict[int, set[str]] = defaultdict(set)
    keywords = select(ImageNote.image_id, ImageNote.value).where(ImageNote.field == WrittenField.KEYWORD)
    for image, keyword in connection.execute(keywords):
        found[image].add(keyword)
    images = select(Image.id, Image.path, Source.root).join(Source, Source.id == Image.source_id)
    wrong = 0
    for image, path, root in connection.execute(images.where(Image.state == ImageState.REGISTERED)):
        beside = Path(root, f"{path}{XMP_SUFFIX}")
        wanted = {word for word in KEYWORDS if beside.exists() and word in beside.read_text()}
        wrong += found[image] != wanted
    return wrong


def change_photos(settings: Settings, rng: random.Random) -> None:
    """Replace some photos with newly drawn ones, and change or remove the sidecars of some."""
    photos = sorted(
        path for source in settings.sources.values() for path in source.root.rglob("changing/*.jpg")
    )
    for path in rng.sample(photos, min(CHANGED_EACH_TIME, len(photos))):
        beside = path.with_name(f"{path.name}{XMP_SUFFIX}")
        if beside.exists() and rng.random() < 0.5:
            beside.unlink()
        else:
            beside.write_bytes(sidecar(rng.choice(KEYWORDS)))
    for path in rng.sample(photos, min(CHANGED_EACH_TIME, len(photos))):
        blocks = np.random.default_rng(rng.randrange(10**12)).integers(0, 256, (6, 8, 3), np.uint8)
        PillowImage.fromarray(blocks).resize((96, 72), PillowImage.Resampling.NEAREST).save(path, "JPEG")


def _live_images(workers: Workers) -> set[int]:
    model_key = next(iter(workers.settings.models))
    with workers.engine.connect() as connection:
        model = require_model(connection, model_key)
        store = EmbeddingStore(open_files(workers.settings))
        live = find_live_embeddings(connection, store, model.id, model.embedding_dim)
    return set(live.rows["image_id"].to_pylist())


def _indexed_images(workers: Workers) -> list[int]:
    model_key = next(iter(workers.settings.models))
    with workers.engine.connect() as connection:
        dim = require_model(connection, model_key).embedding_dim
    index = VectorIndexes(workers.settings.home).open(model_key, dim)
    images: list[int] = index.live_rows()["image_id"].to_pylist()
    return images
