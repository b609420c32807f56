"""The random sequences: each rule is one thing that happens to a library."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from workloads.killing.steps import STEPS, Death
from workloads.stateful.disk import NO_PICTURE, Disk, Place, drawn_photo
from workloads.stateful.examine import Vectors
from workloads.stateful.library import MODELS, SEEDS, SOURCES, LivingLibrary

ANCHOR = "first.jpg"
LATEST_STEP = 12

sources = st.sampled_from(SOURCES)
paths = st.sampled_from([f"{folder}{name}.jpg" for folder in ("", "trip/", "a/b/") for name in "xyz"])
seeds = st.integers(0, SEEDS - 1)
choices = st.integers(0, 20)
deaths = st.builds(Death, st.sampled_from(STEPS), st.integers(1, LATEST_STEP))


class LibraryMachine(RuleBasedStateMachine):
    """A library's life. A subclass names the process that workers are forked from, and the vectors to compare with."""

    nursery: subprocess.Popen[str]
    vectors: Mapping[str, Vectors]

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="photolineage-stateful-")
        self.library = LivingLibrary(Path(self.folder.name), self.nursery, self.vectors)

    def teardown(self) -> None:
        """Every life ends with a library that is up to date."""
        try:
            for source in sorted(self.disk.away):
                self.disk.plug_in(source)
            self.library.bring_up_to_date()
        finally:
            self.library.close()
            self.folder.cleanup()

    @property
    def disk(self) -> Disk:
        return self.library.disk

    @rule(source=sources, path=paths, seed=seeds)
    def add_or_change(self, source: str, path: str, seed: int) -> None:
        self._write(Place(source, path), drawn_photo(seed))

    @rule(source=sources, path=paths)
    def damage(self, source: str, path: str) -> None:
        self._write(Place(source, path), NO_PICTURE)

    @rule(choice=choices, source=sources, path=paths)
    def move(self, choice: int, source: str, path: str) -> None:
        place = self._choose(choice)
        to = Place(source, path)
        if place is not None and to not in self.disk.photos and source not in self.disk.away:
            self.disk.move(place, to)
            self.library.settled = False

    @rule(choice=choices)
    def delete(self, choice: int) -> None:
        place = self._choose(choice)
        if place is not None:
            self.disk.delete(place)
            self.library.settled = False

    @precondition(lambda self: not self.library.torn)
    @rule(source=sources, leaves_mount_point=st.booleans())
    def unplug_or_plug_in(self, source: str, leaves_mount_point: bool) -> None:
        if source in self.disk.away:
            self.disk.plug_in(source)
        else:
            self.disk.unplug(source, leaves_mount_point=leaves_mount_point)
        self.library.settled = False

    @rule()
    def bring_up_to_date(self) -> None:
        self.library.bring_up_to_date()

    @rule(death=deaths)
    def kill(self, death: Death) -> None:
        self.library.kill(death)

    @precondition(lambda self: len(self.library.models) < len(MODELS))
    @rule()
    def add_model(self) -> None:
        (missing,) = MODELS.keys() - set(self.library.models)
        self.library.configure(*self.library.models, missing)

    @rule(choice=choices)
    def promote(self, choice: int) -> None:
        self.library.promote(self.library.models[choice % len(self.library.models)])

    @precondition(lambda self: len(self.library.models) > 1)
    @rule()
    def retire(self) -> None:
        self.library.retire(next(key for key in self.library.models if key != self.library.serving))

    @rule(source=sources)
    def rename_source(self, source: str) -> None:
        self.library.rename(source)

    @precondition(lambda self: not self.library.torn)
    @rule()
    def save(self) -> None:
        self.library.save()

    @precondition(lambda self: self.library.can_restore)
    @rule()
    def restore(self) -> None:
        self.library.restore()

    def _write(self, place: Place, content: bytes) -> None:
        if place.source not in self.disk.away:
            self.disk.write(place, content)
            self.library.settled = False

    def _choose(self, choice: int) -> Place | None:
        """One of the photos that can be reached, but not the one that keeps the root of its source from being empty."""
        places = [place for place in self.disk.places() if place.path != ANCHOR]
        return places[choice % len(places)] if places else None
