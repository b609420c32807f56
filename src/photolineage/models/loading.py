"""Loading a model of the library, computed in the way that was measured to be the fastest on this machine."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from PIL import Image as PillowImage
from sqlalchemy import Connection, Engine, select

from photolineage.catalog.engine import reading
from photolineage.catalog.orm import Image
from photolineage.catalog.queries import IS_EMBEDDABLE, ModelRow, find_model
from photolineage.catalog.vocabulary import Precision
from photolineage.errors import PhotolineageError
from photolineage.models.embedder import Embedder, load_embedder
from photolineage.models.measuring import OnWay, measure_ways
from photolineage.models.registry import ModelChangedError, is_unsettled, record_model
from photolineage.models.timings import (
    Machine,
    MeasuredWay,
    find_timings,
    largest_batch,
    measured_ways,
    record_timings,
    this_machine,
    way_here,
)
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.models.ways import LEAST_COSINE, REFERENCE, Timing, Way, fastest
from photolineage.settings import ModelSettings
from photolineage.stores.pictures import open_preview, read_previews
from photolineage.stores.previews import PreviewStore

SAMPLE_IMAGES = 128
"""The number of images on which the ways of computing a model are timed and compared, at most."""

_logger = logging.getLogger(__name__)


class NothingToMeasureError(PhotolineageError):
    """A model cannot be measured: the library has no preview yet."""


@dataclass(frozen=True, slots=True)
class LibraryModel:
    """A loaded model, the id of its row, this machine, and what was measured on it; empty without a preview."""

    id: int
    embedder: Embedder
    machine: Machine
    timings: tuple[Timing, ...]

    @property
    def precision(self) -> str:
        """The precision that this machine computes the model's embeddings in, with the reason, as text."""
        recorded, way = self.embedder.facts.precision, self.embedder.way
        by_way = {timing.way: timing for timing in self.timings}
        agreed = by_way[way].agreement if way in by_way and way != REFERENCE else None
        reason = f" ({agreed})" if agreed is not None else ""
        if way.precision != recorded:
            return f"{way.precision} instead of {recorded}, because it is faster on this machine{reason}"
        return f"{way.precision}{reason}"

    @property
    def measured(self) -> list[MeasuredWay]:
        """What was measured on this machine, to be shown."""
        return measured_ways(self.timings, self.machine.threads, self.embedder.way)


def load_model(engine: Engine, previews: PreviewStore, key: str, settings: ModelSettings) -> LibraryModel:
    """The model, recorded in the catalog at its first load, and measured at its first load on this machine.

    The precision is chosen before anything is embedded, and is then that of all embeddings on every machine: the
    precision in the settings, or else that of the fastest way that agrees with float32. Another machine may compute
    the same precision with another backend, or in float32, which agrees with it, if that is faster there. Raises
    ModelUnavailableError, and ModelChangedError if the weights, or a precision in the settings, differ from those of
    the model's embeddings.
    """
    machine = this_machine()
    with reading(engine) as connection:
        known = find_model(connection, key)
        timings = () if known is None else find_timings(connection, known.id, machine)
    if timings:
        return _load(engine, key, settings, machine, timings)
    images = _sample(engine, previews)
    fresh = _measure(key, settings, images) if images else ()
    return _load(
        engine, key, settings, machine, fresh, partial(record_timings, machine=machine, timings=fresh)
    )


def measure_model(
    engine: Engine, previews: PreviewStore, key: str, settings: ModelSettings, on_way: OnWay
) -> LibraryModel:
    """Load a model, and measure it anew on this machine. The precision of its embeddings stays, if it is chosen.

    Raises NothingToMeasureError, and the errors of `load_model`.
    """
    machine = this_machine()
    images = _sample(engine, previews)
    if not images:
        raise NothingToMeasureError(
            "no photo is registered yet, and a model is measured on the library's own photos. First run "
            "`photolineage run`, or materialize registered_images."
        )
    fresh = _measure(key, settings, images, on_way)
    record = partial(record_timings, machine=machine, timings=fresh, anew=True)
    return _load(engine, key, settings, machine, fresh, record)


def way_of(engine: Engine, model: ModelRow) -> Way:
    """How this machine computes the model's embeddings, if it was measured here; else in their precision."""
    machine = this_machine()
    with reading(engine) as connection:
        return way_here(find_timings(connection, model.id, machine), model.precision, machine)


def _measure(
    key: str,
    settings: ModelSettings,
    images: Sequence[PillowImage.Image],
    on_way: OnWay = lambda _measured, _all: None,
) -> tuple[Timing, ...]:
    """Measure a model; the log says which ways are not used, whatever their speed."""
    _logger.info("models.%s: measuring how this machine computes it fastest …", key)
    timings = measure_ways(key, settings, images, on_way)
    for problem in dict.fromkeys(timing.problem for timing in timings if timing.problem):
        ways = ", ".join(str(timing.way) for timing in timings if timing.problem == problem)
        _logger.warning("models.%s: cannot be computed in %s: %s", key, ways, problem)
    for timing in timings:
        if timing.agreement is not None and not timing.agrees:
            _logger.warning(
                "models.%s: not computed in %s: the mean cosine with float32 is %.4f, and at least %s is required",
                key, timing.way, timing.agreement.cosine, LEAST_COSINE,
            )  # fmt: skip
    return timings


def _load(
    engine: Engine,
    key: str,
    settings: ModelSettings,
    machine: Machine,
    timings: tuple[Timing, ...],
    record: Callable[[Connection, int], None] = lambda _connection, _model_id: None,
) -> LibraryModel:
    with reading(engine) as connection:
        known = find_model(connection, key)
        unsettled = known is None or is_unsettled(connection, known)
    precision = (
        _chosen(key, settings, timings) if known is None or unsettled else _settled(settings, known, timings)
    )
    embedder = load_embedder(key, settings, precision, way_here(timings, precision, machine))
    embedder.batch_images = min(embedder.batch_images, largest_batch(timings, embedder.way))
    try:
        model_id = record_model(engine, key, settings, embedder.facts, record)
    except ModelChangedError as error:
        if not unsettled or replace(error.loaded, precision=error.recorded.precision) != error.recorded:
            raise
        return _load(engine, key, settings, machine, timings, record)  # another machine has chosen meanwhile
    return LibraryModel(model_id, embedder, machine, timings)


def _chosen(key: str, settings: ModelSettings, timings: Sequence[Timing]) -> Precision:
    """The precision of a new model: that of the settings, or of the fastest way; float32 if nothing was measured."""
    wanted = settings.precision
    if not timings:
        return Precision.FLOAT32
    if wanted == "auto":
        return fastest(timings).precision
    of_it = [timing for timing in timings if timing.way.precision == wanted]
    if of_it and all(timing.problem is not None for timing in of_it):
        raise ModelUnavailableError(
            f"models.{key}.precision = '{wanted}': the model cannot be computed in {wanted}: {of_it[0].problem}. "
            "Set the precision to 'auto', or remove the setting."
        )
    return Precision.FLOAT32 if _is_rejected(of_it) else wanted


def _settled(settings: ModelSettings, known: ModelRow, timings: Sequence[Timing]) -> Precision:
    """The recorded precision, or that of the settings: then ModelChangedError says that they differ.

    float32 stays recorded where the precision of the settings was rejected, or where this machine does not have it.
    """
    if settings.precision == "auto":
        return known.precision
    of_it = [timing for timing in timings if timing.way.precision == settings.precision]
    if timings and known.precision == Precision.FLOAT32 and (not of_it or _is_rejected(of_it)):
        return known.precision
    return settings.precision


def _is_rejected(timings: Sequence[Timing]) -> bool:
    """Whether embeddings were compared with float32's, and none agreed."""
    compared = [timing for timing in timings if timing.agreement is not None]
    return bool(compared) and not any(timing.agrees for timing in compared)


def _sample(engine: Engine, previews: PreviewStore) -> list[PillowImage.Image]:
    """The previews of the images with the smallest content hashes: a random sample, but the same every time."""
    chosen = select(Image.id).where(IS_EMBEDDABLE).order_by(Image.content_hash).limit(SAMPLE_IMAGES)
    with reading(engine) as connection:
        ids = connection.execute(chosen).scalars().all()
    return [open_preview(jpeg) for jpeg in read_previews(engine, previews, ids).values()]
