"""What a model makes of the pinned searches, beside the serving model."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, select

from photolineage.catalog.engine import reading
from photolineage.catalog.orm import Image, Source
from photolineage.catalog.queries import ModelRow, serving_model_key
from photolineage.catalog.vocabulary import ImageState
from photolineage.errors import PhotolineageError
from photolineage.models.registry import require_model
from photolineage.pins.stored import Pin, list_pins
from photolineage.plain_text import printable
from photolineage.search.find import encoders_of
from photolineage.search.query import Encoders, Query, QueryError, Weighted, query_vector
from photolineage.settings import Settings
from photolineage.stores.vector_index import Hit, ImageNotIndexedError, SearchFilters, VectorIndexes

KEPT_HITS: Final = 10
"""How many hits of an answer are kept, to show them."""


class Verdict(StrEnum):
    """`lost`: the serving model finds the photo, and this model does not. `not found`: neither finds it, or there is no
    other model that serves. `not checked`: nobody can tell yet; the reason is given.
    """

    LOST = "lost"
    NOT_FOUND = "not found"
    UNCHECKED = "not checked"
    FOUND = "found"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model's search answers.

    `is_found`: whether the photo is among the first hits; None if that was not checked. `rank`: its rank; if it is not
    among the first hits, its rank in the exact search, or None if the filters leave it out. `hits`: the first hits.
    `note`: why it was not checked, or why the search does not return it in spite of its rank. `no_search`: the model
    cannot search at all, for example because its weights are missing.
    """

    is_found: bool | None
    rank: int | None = None
    hits: tuple[Hit, ...] = ()
    note: str = ""
    no_search: bool = False


@dataclass(frozen=True, slots=True)
class JudgedPin:
    """A pin with the answer of the judged model, and of the serving model if that is another one.

    `image_id`: the photo; None if it is gone from the library. `path`: where it is, or was.
    """

    pin: Pin
    image_id: int | None
    path: Path
    answer: Answer
    serving: Answer | None

    @property
    def verdict(self) -> Verdict:
        """How the answer compares with that of the serving model."""
        if self.answer.is_found is None:
            return Verdict.UNCHECKED
        if self.answer.is_found:
            return Verdict.FOUND
        return Verdict.LOST if self.serving is not None and self.serving.is_found else Verdict.NOT_FOUND

    @property
    def reason(self) -> str:
        """What is to be said about the answer besides the ranks; empty if nothing is."""
        if self.answer.note or self.serving is None or self.serving.is_found is not None:
            return self.answer.note
        return f"not compared with the serving model: {self.serving.note}"


@dataclass(frozen=True, slots=True)
class PinReport:
    """All pins with the answers of one model.

    `serving_key`: the serving model; None if it is this one, or if none serves yet.
    """

    model_key: str
    serving_key: str | None
    pins: tuple[JudgedPin, ...]

    def having(self, *verdicts: Verdict) -> list[JudgedPin]:
        """The pins with one of these verdicts, in the order of the verdicts."""
        return [judged for verdict in verdicts for judged in self.pins if judged.verdict is verdict]


def judge_pins(
    settings: Settings, engine: Engine, model_key: str, pins: Sequence[Pin] | None = None
) -> PinReport:
    """Search for every pin with the model, and with the serving model if that is another one.

    `pins`: None for all that are stored. Loads no model if there are none. A pin that cannot be checked says why.
    Raises PinError for a damaged row, and QueryError for a pin that is not stored yet.
    """
    with reading(engine) as connection:
        serving = serving_model_key(connection)
        pins = list_pins(connection) if pins is None else pins
        photos = _photos(connection, _contents(pins))
        other = None if serving == model_key else serving
        answers, compared = (
            [] if key is None else list(_answers(settings, connection, key, pins, photos))
            for key in (model_key, other)
        )
    return PinReport(
        model_key,
        other,
        tuple(
            JudgedPin(
                pin,
                photo.id if (photo := photos.get(pin.content_hash)) is not None and photo.is_there else None,
                photo.path if photo is not None else pin.path,
                answer,
                compared[number] if compared else None,
            )
            for number, (pin, answer) in enumerate(zip(pins, answers, strict=True))
        ),
    )


@dataclass(frozen=True, slots=True)
class _Photo:
    """The image that stands for a content: a registered one, or the one that was lost last."""

    id: int
    path: Path
    state: ImageState
    embedded_models: int
    stack_of: int | None

    @property
    def is_there(self) -> bool:
        return self.state == ImageState.REGISTERED


def _contents(pins: Sequence[Pin]) -> set[str]:
    pictures = {picture.value for pin in pins for picture in pin.query.pictures}
    return pictures | {pin.content_hash for pin in pins}


def _photos(connection: Connection, contents: Collection[str]) -> dict[str, _Photo]:
    """The photos with these contents. Of several, a registered one that is no copy, as it has the embedding."""
    rows = connection.execute(
        select(
            Image.content_hash,
            Image.id,
            Source.root,
            Image.path,
            Image.state,
            Image.embedded_models,
            Image.duplicate_of_id,
            Image.stack_of_id,
        )
        .join(Source, Source.id == Image.source_id)
        .where(Image.content_hash.in_(contents))
        .order_by(Image.id)
    ).all()
    worst_first = sorted(
        rows, key=lambda row: (row.state == ImageState.REGISTERED, row.duplicate_of_id is None)
    )
    return {
        row.content_hash: _Photo(
            row.id, Path(row.root, row.path), row.state, row.embedded_models, row.stack_of_id
        )
        for row in worst_first
    }


def _answers(
    settings: Settings,
    connection: Connection,
    model_key: str,
    pins: Sequence[Pin],
    photos: Mapping[str, _Photo],
) -> Iterator[Answer]:
    """The answers of a model. What keeps one pin from being checked, such as missing weights, is not tried again."""
    search: _ModelSearch | None = None
    obstacle: str | None = None
    for pin in pins:
        if obstacle is None:
            try:
                if search is None:
                    search = _ModelSearch(settings, connection, require_model(connection, model_key))
                yield search.answer(pin, photos)
                continue
            except QueryError as error:
                if pin.id is None:
                    raise
                yield Answer(None, note=str(error))
                continue
            except PhotolineageError as error:
                obstacle = str(error)
        yield Answer(None, note=obstacle, no_search=True)


class _ModelSearch:
    """Searches with one model, whose encoders are loaded once."""

    def __init__(self, settings: Settings, connection: Connection, model: ModelRow) -> None:
        self._connection = connection
        self._model = model
        self._index = VectorIndexes(settings.home).open(model.key, model.embedding_dim)
        encoders = encoders_of(settings, model)
        self._encoders = Encoders(cache(encoders.text), cache(encoders.image))
        self._templates = settings.prompt_templates_of(model.key)

    def answer(self, pin: Pin, photos: Mapping[str, _Photo]) -> Answer:
        """Raises QueryError, and what loading the model or reading its index raises."""
        photo = photos.get(pin.content_hash)
        pictures = [photos.get(picture.value) for picture in pin.query.pictures]
        filters = pin.query.scope.filters(self._connection, self._model.id)
        if photo is None:
            return Answer(None, note=f"no photo has this content any more: {printable(pin.path)} has changed")
        if obstacle := self._not_searchable("the photo", photo):
            return Answer(None, note=obstacle)
        for picture in pictures:
            if picture is None:
                return Answer(None, note="a picture that the search looks for is gone from the library")
            if obstacle := self._not_searchable("a picture that the search looks for", picture):
                return Answer(None, note=obstacle)
        found = [picture for picture in pictures if picture is not None]
        try:
            self._index.vectors_of([photo.id, *(picture.id for picture in found)])
        except ImageNotIndexedError:
            key = self._model.key
            return Answer(
                None, note=f"the photo is not in the index of {key} yet: materialize vector_index for {key}"
            )
        query = Query(
            pin.query.texts,
            image_ids=tuple(
                Weighted(picture.id, given.weight)
                for given, picture in zip(pin.query.pictures, found, strict=True)
            ),
        )
        return self._search(query, filters, photo, pin.within)

    def _search(self, query: Query, filters: SearchFilters, photo: _Photo, within: int) -> Answer:
        """A photo is found with its stack: a search shows one image of it."""
        vector, _ = query_vector(self._index, self._encoders, query, self._templates)
        hits = self._index.search(vector, within, filters=filters)
        shown = tuple(hits[:KEPT_HITS])
        for rank, hit in enumerate(hits, 1):
            if photo.id in (hit.image_id, hit.shown_id) or photo.stack_of == hit.shown_id:
                return Answer(True, rank, shown)
        exact = self._index.exact_rank(vector, photo.id, filters=filters)
        if exact is None:
            return Answer(False, None, shown, "the filters of the search leave the photo out")
        note = "the approximate index does not return it: launch the job maintain_indexes"
        return Answer(False, exact.rank, shown, note if exact.rank <= within else "")

    def _not_searchable(self, what: str, photo: _Photo) -> str:
        """Why the model cannot find a photo; empty if it can."""
        if not photo.is_there:
            return f"{what} is not in the library now: {printable(photo.path)} is {photo.state}"
        if not photo.embedded_models & self._model.embedded_bit:
            return f"{what} is not embedded by {self._model.key} yet: materialize image_embeddings for it"
        return ""
