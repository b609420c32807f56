"""Lets every operation on the files of a library go wrong, one by one, and examines the library afterwards."""

import random
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from photolineage.catalog.migrate import upgrade
from photolineage.errors import PhotolineageError
from photolineage.settings import Settings, load_settings
from workloads import REPOSITORY_ROOT
from workloads.crash_states.interposer import Fault, Mode
from workloads.crash_states.operations import CATALOG, Operation, Tree, after_a_loss_of_power, read_log
from workloads.killing.workers import Workers
from workloads.stateful.disk import Place, drawn_photo
from workloads.stateful.examine import Expected, Vectors, violations
from workloads.stateful.undisturbed import MODELS
from workloads.upkeep import bring_up_to_date, promote_if_ready

SOURCE = "photos"
FIRST_PHOTOS, LATER_PHOTOS = range(5), range(5, 9)


@dataclass(slots=True)
class Report:
    """`states`: the faults and losses of power tried. `violations`: what was wrong afterwards, each with its place.
    `by_operation`: the states by what went wrong at which operation; `by_part`: by the part of the home whose file it
    was; `errors`: the errors that told of the faults. `repeated`: losses of power that leave what another one left.
    """

    states: int = 0
    repeated: int = 0
    violations: list[str] = field(default_factory=list)
    by_operation: Counter[str] = field(default_factory=Counter)
    by_part: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def count(self, what: str, operation: Operation) -> None:
        """Count one more state."""
        self.states += 1
        self.by_operation[f"{what} {operation.kind}"] += 1
        part = operation.path.partition("/")[0]
        self.by_part["catalog" if part.startswith(CATALOG) else part] += 1

    def add(self, other: "Report") -> None:
        """Add what another process has tried."""
        self.states += other.states
        self.repeated += other.repeated
        self.violations += other.violations
        self.by_operation += other.by_operation
        self.by_part += other.by_part
        self.errors += other.errors


@dataclass(frozen=True, slots=True)
class Scenario:
    """A library below `folder`, as `before` has its home; a worker is about to bring it up to date and to promote
    `model`. `operations` are those of a worker that met no fault.
    """

    name: str
    folder: Path
    model: str
    nursery: subprocess.Popen[str]
    expected: Expected
    before: Tree
    operations: Sequence[Operation]

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder / "photolineage.toml", environment=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def fail(self, report: Report, mode: Mode, at: int) -> None:
        """Let a worker meet a fault at an operation, then another one finish."""
        operation = self.operations[min(at, len(self.operations)) - 1]
        place = f"{self.name}, {mode.name.lower()} at {at}: {operation.kind} {operation.path}"
        self.before.write(self.home)
        status, errors = self._work(Fault(self.home, self.folder / "operations", mode, at))
        report.count(mode.name.lower(), operation)
        report.errors.update(error.split(":")[0] for error in errors)
        if status == 0:
            report.violations += [f"{place}: not told: {one}" for one in self._violations()]
        elif status not in {1, -signal.SIGKILL} or (status == 1 and not errors):
            report.violations.append(f"{place}: the worker ended with status {status}")
        self._recover(report, place)

    def lose_power(self, report: Report, done: int, tree: Tree) -> None:
        """Go on from what a loss of power left."""
        operation = self.operations[done - 1]
        tree.write(self.home)
        report.count("power lost after", operation)
        self._recover(report, f"{self.name}, power lost after {done}: {operation.kind} {operation.path}")

    def losses_of_power(self, rng: random.Random) -> Iterator[tuple[int, Tree]]:
        """What a loss of power can leave, in the order of the operations."""
        return after_a_loss_of_power(self.before, self.operations, rng)

    def _work(self, fault: Fault) -> tuple[int, list[str]]:
        settings = self.settings
        engine = settings.catalog.open_engine()
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        workers = Workers(settings, engine, log, self.nursery, list(settings.models))
        workers.start(fault=fault, promoted=self.model)
        status = workers.wait()
        engine.dispose()
        return status, workers.of("error")

    def _recover(self, report: Report, place: str) -> None:
        """Bring the library up to date without a fault. It must succeed, and be as if nothing had happened."""
        try:
            self._bring_up_to_date()
        except Exception as error:  # noqa: BLE001 (whatever stops it is a violation)
            report.violations.append(f"{place}: the next run failed: {type(error).__name__}: {error}")
        else:
            report.violations += [f"{place}: {one}" for one in self._violations()]

    def _bring_up_to_date(self) -> None:
        settings = self.settings
        engine = settings.catalog.open_engine()
        try:
            upgrade(engine)
            bring_up_to_date(settings, engine)
            promote_if_ready(settings, engine, self.model)
        finally:
            engine.dispose()

    def _violations(self) -> list[str]:
        settings = self.settings
        engine = settings.catalog.open_engine()
        try:
            return violations(settings, engine, self.expected)
        except PhotolineageError as error:
            return [f"{type(error).__name__}: {error}"]
        finally:
            engine.dispose()


def first_run(folder: Path, nursery: subprocess.Popen[str], vectors: Mapping[str, Vectors]) -> Scenario:
    """A library that was just configured: its catalog is made, and its first photos are embedded."""
    _configure(folder, ["first"])
    photos = {_write_photo(folder, seed): drawn_photo(seed) for seed in FIRST_PHOTOS}
    return _recorded(
        "first run", folder, "first", nursery, Expected(photos, {SOURCE: SOURCE}, vectors, "first")
    )


def upgrade_day(folder: Path, nursery: subprocess.Popen[str], vectors: Mapping[str, Vectors]) -> Scenario:
    """A library in use: photos arrive, change and go, and a second model embeds everything and is promoted."""
    _configure(folder, ["first"])
    photos = {_write_photo(folder, seed): drawn_photo(seed) for seed in FIRST_PHOTOS}
    settings = load_settings(folder / "photolineage.toml", environment=False)
    engine = settings.catalog.open_engine()
    upgrade(engine)
    bring_up_to_date(settings, engine)
    promote_if_ready(settings, engine, "first")
    engine.dispose()
    _configure(folder, list(MODELS))
    photos |= {_write_photo(folder, seed): drawn_photo(seed) for seed in LATER_PHOTOS}
    changed, gone = Place(SOURCE, "1.jpg"), Place(SOURCE, "2.jpg")
    photos[changed] = drawn_photo(10)
    (folder / SOURCE / changed.path).write_bytes(photos[changed])
    (folder / SOURCE / gone.path).unlink()
    del photos[gone]
    return _recorded(
        "upgrade", folder, "second", nursery, Expected(photos, {SOURCE: SOURCE}, vectors, "second")
    )


Make = Callable[[Path, subprocess.Popen[str], Mapping[str, Vectors]], Scenario]
SCENARIOS: Sequence[Make] = (first_run, upgrade_day)


def _recorded(
    name: str, folder: Path, model: str, nursery: subprocess.Popen[str], expected: Expected
) -> Scenario:
    """The scenario with the operations of a worker that meets no fault. Raises RuntimeError if some are unknown."""
    home = folder / "home"
    before = Tree.read(home) if home.is_dir() else Tree({"."})
    before.write(home)
    before = Tree.read(home)
    log = folder / "operations"
    scenario = Scenario(name, folder, model, nursery, expected, before, ())
    status, errors = scenario._work(Fault(home, log))
    if status:
        raise RuntimeError(f"the worker without a fault failed: {errors}")
    operations = read_log(log, home)
    replayed = before.copy()
    for operation in operations:
        replayed.apply(operation)
    found, wanted = replayed.files(), Tree.read(home).files()
    differing = [path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path)]
    if differing:
        raise RuntimeError(f"these files were changed by other calls than those that were seen: {differing}")
    return Scenario(name, folder, model, nursery, expected, before, operations)


def _configure(folder: Path, models: Sequence[str]) -> None:
    demo = REPOSITORY_ROOT / "src/photolineage/demo/models"
    sections = "".join(
        f"[models.{key}]\narchitecture = 'local-dir:{demo / MODELS[key]}'\nprecision = 'float32'\n"
        for key in models
    )
    (folder / "photolineage.toml").write_text(
        f"home = 'home'\nshard_capacity = 6\ncheckpoint_images = 3\n[sources.{SOURCE}]\nroot = '{SOURCE}'\n{sections}"
    )


def _write_photo(folder: Path, seed: int) -> Place:
    path = folder / SOURCE / f"{seed}.jpg"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(drawn_photo(seed))
    return Place(SOURCE, path.name)


def clear(folder: Path) -> None:
    """Remove a scenario."""
    shutil.rmtree(folder, ignore_errors=True)
