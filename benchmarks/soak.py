"""Lets a library live for hours: `python -m benchmarks.soak --hours 1 --picture soak.png --json`.

Photos arrive, change, move and go; a second model is added, promoted, and the former one retired, again and again;
workers are killed; and one process brings the library up to date after each of this, for the whole time. Its memory,
its open files, the size of the home directory and the latency of a search are measured each time, and drawn.

The exit code is 1 if something does not hold in the library.
"""

import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import psutil
import typer

from photolineage.models.registry import require_model
from photolineage.stores.vector_index import VectorIndexes
from workloads.killing.steps import STEPS, Death
from workloads.killing.workers import nursery
from workloads.stateful.disk import SEEDS, Place, drawn_photo
from workloads.stateful.library import SOURCES, LivingLibrary
from workloads.stateful.undisturbed import MODELS, undisturbed_vectors

MOST_PHOTOS = 40
CHANGES = 6
ROUNDS_OF_A_MODEL = 8
SEARCHES = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """The process and the library after one round, `minutes` after the start; `search_ms` is a median."""

    minutes: float
    memory_mb: float
    open_files: int
    home_mb: float
    search_ms: float


@dataclass(slots=True)
class SoakReport:
    """`growth`: the median of the last quarter over that of the third, for each figure."""

    rounds: int = 0
    kills: int = 0
    promotions: int = 0
    samples: list[Sample] = field(default_factory=list)
    growth: dict[str, float] = field(default_factory=dict)


class Soak:
    """One library, one process, and a random generator."""

    def __init__(self, library: LivingLibrary, rng: random.Random) -> None:
        self.library = library
        self.rng = rng
        self.report = SoakReport()
        self._process = psutil.Process()
        self._started = time.monotonic()

    def live(self, seconds: float) -> None:
        """Raises ViolationError as soon as something does not hold."""
        while time.monotonic() - self._started < seconds:
            self.change_photos()
            self.report.rounds += 1
            if self.rng.random() < 0.3:
                self.library.kill(Death(self.rng.choice(STEPS), self.rng.randint(1, 12)))
                self.report.kills += self.library.torn
            if self.report.rounds % ROUNDS_OF_A_MODEL == 0:
                self.upgrade_model()
            self.library.bring_up_to_date()
            self.report.samples.append(self.measure())

    def change_photos(self) -> None:
        """Photos arrive, change, move and go."""
        disk = self.library.disk
        for _ in range(CHANGES):
            places = [place for place in disk.places() if place.path != "first.jpg"]
            place = self.rng.choice(places) if places else None
            new = Place(self.rng.choice(SOURCES), f"{self.rng.randrange(10**6)}.jpg")
            if place is None or (self.rng.random() < 0.4 and len(places) < MOST_PHOTOS):
                disk.write(new, drawn_photo(self.rng.randrange(SEEDS)))
            elif self.rng.random() < 0.4:
                disk.write(place, drawn_photo(self.rng.randrange(SEEDS)))
            elif self.rng.random() < 0.5:
                disk.move(place, new)
            else:
                disk.delete(place)

    def upgrade_model(self) -> None:
        """Embed everything with the other model, promote it, and retire the former one."""
        (former,) = self.library.models
        (candidate,) = MODELS.keys() - {former}
        self.library.configure(former, candidate)
        self.library.bring_up_to_date()
        self.library.promote(candidate)
        self.library.retire(former)
        self.report.promotions += 1

    def measure(self) -> Sample:
        """The process and the library now."""
        home = self.library.settings.home
        files = [path.lstat().st_size for path in home.rglob("*") if path.is_file()]
        return Sample(
            minutes=round((time.monotonic() - self._started) / 60, 2),
            memory_mb=round(self._process.memory_info().rss / 1e6, 1),
            open_files=self._process.num_fds(),
            home_mb=round(sum(files) / 1e6, 3),
            search_ms=round(self._search_ms(), 2),
        )

    def _search_ms(self) -> float:
        (model,) = self.library.models
        with self.library.engine.connect() as connection:
            dim = require_model(connection, model).embedding_dim
        index = VectorIndexes(self.library.settings.home).open(model, dim)
        spent = []
        for vector in self.rng.choices(list(self.library.vectors[model].values()), k=SEARCHES):
            started = time.perf_counter()
            index.search(vector, 10)
            spent.append((time.perf_counter() - started) * 1000)
        return statistics.median(spent)


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """The median of each figure in the last quarter of the time, over that in the third quarter."""
    quarter = len(samples) // 4
    if not quarter:
        return {}
    third, last = samples[2 * quarter : 3 * quarter], samples[3 * quarter :]
    return {
        name: round(
            statistics.median(getattr(sample, name) for sample in last)
            / statistics.median(getattr(sample, name) for sample in third),
            3,
        )
        for name in ("memory_mb", "open_files", "home_mb", "search_ms")
    }


def draw(samples: Sequence[Sample], picture: Path) -> None:
    """One curve for each figure, over the minutes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    titles = {
        "memory_mb": "Memory of the process (MB)",
        "open_files": "Open files of the process",
        "home_mb": "Size of the home directory (MB)",
        "search_ms": "A search (ms, median of 20)",
    }
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 6.5), sharex=True)
    for axis, (name, title) in zip(axes.flat, titles.items(), strict=True):
        axis.plot(
            [sample.minutes for sample in samples], [getattr(sample, name) for sample in samples], linewidth=1
        )
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    for axis in axes[1]:
        axis.set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(picture, dpi=100)


def main(
    hours: Annotated[float, typer.Option(min=0.01, help="How long the library lives.")] = 8.0,
    picture: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG file.")] = None,
    seed: int = 0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Let a library live, and measure the process that keeps it up to date."""
    with tempfile.TemporaryDirectory(prefix="photolineage-soak-") as folder, nursery() as process:
        vectors = undisturbed_vectors(Path(folder, "undisturbed"))
        home = Path(folder, "library")
        home.mkdir()
        library = LivingLibrary(home, process, vectors)
        soak = Soak(library, random.Random(seed))
        try:
            soak.live(hours * 3600)
        finally:
            library.close()
            if picture is not None and soak.report.samples:
                draw(soak.report.samples, picture)
    report = soak.report
    report.growth = growth(report.samples)
    summary = asdict(report) | {
        "samples": [asdict(sample) for sample in report.samples[:: max(1, len(report.samples) // 20)]]
    }
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        print(
            f"{report.rounds} rounds, {report.kills} kills, {report.promotions} promotions; "
            f"the last quarter over the third: {report.growth}"
        )


if __name__ == "__main__":
    typer.run(main)
