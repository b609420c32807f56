"""A library with two models that disagree about a search, and pins of that search."""

from dataclasses import dataclass

from photolineage.pins.judging import JudgedPin, PinReport, judge_pins
from photolineage.pins.stored import Pin, make_pins, store_pins
from photolineage.search.find import find_images
from photolineage.search.query import Query, Weighted
from photolineage.search.scope import EVERYTHING, Scope
from tests.library import Library
from tests.lineage import Lineage

TEXT = "coloured squares"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A library of `tiny-a`, which serves, and `tiny-b`, which is indexed."""

    lineage: Lineage

    @property
    def library(self) -> Library:
        return self.lineage.library

    def ranking(self, model: str, query: Query | None = None) -> list[int]:
        """The ids of all images, as a search has them."""
        asked = query or Query(texts=(Weighted(TEXT),))
        settings, engine = self.library.settings, self.library.engine
        return [hit.image_id for hit in find_images(settings, engine, model, asked, k=50).hits]

    def lost(self, within: int = 3) -> int:
        """An image that `tiny-a` has among the first hits, and `tiny-b` has not."""
        return min(set(self.ranking("tiny-a")[:within]) - set(self.ranking("tiny-b")[:within]))

    def found_by_both(self, within: int = 8) -> int:
        return min(set(self.ranking("tiny-a")[:within]) & set(self.ranking("tiny-b")[:within]))

    def found_by_none(self, within: int = 3) -> int:
        everything = self.ranking("tiny-a")
        return min(set(everything[within:]) - set(self.ranking("tiny-b")[:within]))

    def path_of(self, image_id: int) -> str:
        """The path of an image below the source."""
        return next(path for path, row in self.library.images().items() if row.id == image_id)

    def pins(
        self, *expected: object, within: int = 3, query: Query | None = None, scope: Scope = EVERYTHING
    ) -> list[Pin]:
        """Pins that are not stored yet."""
        asked = query or Query(texts=(Weighted(TEXT),))
        with self.library.engine.connect() as connection:
            return make_pins(
                self.library.settings, connection, asked, scope, [str(one) for one in expected], within
            )

    def pin(
        self, *expected: object, within: int = 3, query: Query | None = None, scope: Scope = EVERYTHING
    ) -> list[Pin]:
        """Stored pins."""
        return store_pins(self.library.engine, self.pins(*expected, within=within, query=query, scope=scope))

    def judge(self, model: str) -> PinReport:
        return judge_pins(self.library.settings, self.library.engine, model)

    def judged(self, model: str) -> JudgedPin:
        """What the model makes of the only pin."""
        (judged,) = self.judge(model).pins
        return judged
