"""The random sequences: each rule is one thing that happens to a library."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from workloads.killing.steps import STEPS, Death
from workloads.stateful.disk import KEYWORDS, NO_PICTURE, SEEDS, Disk, Place, drawn_photo
from workloads.stateful.examine import Vectors
from workloads.stateful.library import SOURCES, LivingLibrary
from workloads.stateful.undisturbed import MODELS

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

    @initialize(photos=st.lists(st.tuples(sources, paths, seeds), max_size=6))
    def begin(self, photos: list[tuple[str, str, int]]) -> None:
        for source, path, seed in photos:
            self.add_or_change(source, path, seed)

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
        if place is not None and place.is_edited:
            to = to.edited
        if place is not None and to not in self.disk.photos and source not in self.disk.away:
            self.disk.move(place, to)

    @rule(choice=choices)
    def delete(self, choice: int) -> None:
        place = self._choose(choice)
        if place is not None:
            self.disk.delete(place)

    @rule(choice=choices, has_suffix=st.booleans(), keyword=st.sampled_from(("", *KEYWORDS)))
    def write_sidecar(self, choice: int, has_suffix: bool, keyword: str) -> None:
        place = self._choose(choice, anchors=True)
        if place is not None:
            self.disk.write_sidecar(place.sidecars[0 if has_suffix else 1], keyword)

    @rule(choice=choices)
    def delete_sidecar(self, choice: int) -> None:
        there = sorted(
            (place for place in self.disk.keywords if place.source not in self.disk.away),
            key=lambda place: (place.source, place.path),
        )
        if there:
            self.disk.delete_sidecar(there[choice % len(there)])

    @rule(choice=choices)
    def edit(self, choice: int) -> None:
        """Write an edited copy beside a photo."""
        place = self._choose(choice, anchors=True)
        seeds_of = {drawn_photo(seed): seed for seed in range(SEEDS)}
        if place is not None and not place.is_edited and self.disk.photos[place] in seeds_of:
            self._write(place.edited, drawn_photo(seeds_of[self.disk.photos[place]], is_edited=True))

    @rule(choice=choices)
    def rot(self, choice: int) -> None:
        place = self._choose(choice, anchors=True)
        if place is not None and place.source in self.library.keys and self.disk.photos[place] != NO_PICTURE:
            self.library.rot(place)

    @rule(source=sources, hours=st.sampled_from((-1, 1)))
    def shift_times(self, source: str, hours: int) -> None:
        if source in self.library.keys and source not in self.disk.away:
            self.library.shift_times(source, hours)

    @precondition(lambda self: not self.library.torn)
    @rule(source=sources, leaves_mount_point=st.booleans())
    def unplug_or_plug_in(self, source: str, leaves_mount_point: bool) -> None:
        if source in self.disk.away:
            self.disk.plug_in(source)
        else:
            self.disk.unplug(source, leaves_mount_point=leaves_mount_point)

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
        if source in self.library.keys and self.library.has_most_of(source):
            self.library.rename(source)

    @rule(source=sources)
    def move_source(self, source: str) -> None:
        if source in self.library.keys and source not in self.disk.away and self.library.has_most_of(source):
            self.library.move(source)

    @rule(source=sources)
    def forget_or_add_source(self, source: str) -> None:
        if source not in self.library.keys:
            self.library.add(source)
        elif len(self.library.keys) > 1:
            self.library.forget(source)

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

    def _choose(self, choice: int, *, anchors: bool = False) -> Place | None:
        """One of the photos that can be reached. The anchors keep the roots of the sources from being empty."""
        places = [place for place in self.disk.places() if anchors or place.path != ANCHOR]
        return places[choice % len(places)] if places else None
