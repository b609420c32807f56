"""A model of the library, loaded in the precision that its embeddings are computed in."""

import logging
from dataclasses import dataclass, replace

from PIL import Image as PillowImage
from sqlalchemy import Engine, select

from photolineage.catalog.orm import Image
from photolineage.catalog.queries import IS_EMBEDDABLE, ModelRow, find_model
from photolineage.catalog.vocabulary import Precision
from photolineage.models.embedder import Embedder, load_embedder, measure_agreement
from photolineage.models.int8_encoder import Int8ExportError
from photolineage.models.precision import LEAST_COSINE, Agreement, available_device, native_precisions
from photolineage.models.registry import ModelChangedError, is_unsettled, record_model
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.settings import ModelSettings
from photolineage.stores.pictures import open_preview, read_previews
from photolineage.stores.previews import PreviewStore

SAMPLE_IMAGES = 128
"""Images on which a precision is compared with float32."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LibraryModel:
    """A loaded model, the id of its row, and how far a faster precision agrees with float32 where that was measured."""

    id: int
    embedder: Embedder
    agreement: Agreement | None

    @property
    def precision(self) -> str:
        """What this machine computes the model's embeddings in, and why, for a person."""
        recorded, computed = self.embedder.facts.precision, self.embedder.computes_in
        if self.agreement is None:
            return computed.value
        agreed = f"mean cosine with float32 {self.agreement.cosine:.4f}"
        if self.agreement.neighbors is not None:
            agreed += f", {self.agreement.neighbors:.0%} of the ten nearest neighbours in common"
        if recorded == Precision.FLOAT32:
            return f"float32, because what was tried is below {LEAST_COSINE} ({agreed})"
        if computed != recorded:
            return f"{computed} in place of {recorded}, for which this machine has no instructions ({agreed})"
        return f"{computed} ({agreed})"


def load_model(engine: Engine, previews: PreviewStore, key: str, settings: ModelSettings) -> LibraryModel:
    """The model, recorded at its first load.

    Its precision is settled before anything is embedded, and holds for all its embeddings on every machine: what the
    settings name, or else the fastest of the machine's that agrees with float32. A machine without instructions for it
    computes such a model in float32, with which it agrees. Raises ModelUnavailableError, and ModelChangedError where
    the weights, or a precision that the settings name, are not those of the model's embeddings.
    """
    with engine.connect() as connection:
        known = find_model(connection, key)
        unsettled = known is None or is_unsettled(connection, known)
    if known is None or unsettled:
        precision, measured = _settle(engine, previews, key, settings)
    else:
        precision, measured = _settled(settings, known)
    embedder = load_embedder(key, settings, precision)
    try:
        return LibraryModel(record_model(engine, key, settings, embedder.facts, measured), embedder, measured)
    except ModelChangedError as error:
        if not unsettled or replace(error.loaded, precision=error.recorded.precision) != error.recorded:
            raise
    return load_model(engine, previews, key, settings)  # another machine has settled the precision meanwhile


def _settle(
    engine: Engine, previews: PreviewStore, key: str, settings: ModelSettings
) -> tuple[Precision, Agreement | None]:
    wanted = native_precisions(available_device()) if settings.precision == "auto" else (settings.precision,)
    faster = [precision for precision in wanted if precision != Precision.FLOAT32]
    images = _sample(engine, previews) if faster else []
    measured = None
    for precision in faster if images else []:
        try:
            measured = measure_agreement(key, settings, precision, images)
        except Int8ExportError as error:
            if settings.precision == precision:
                raise ModelUnavailableError(
                    f"models.{key}.precision is '{precision}', and the model cannot be computed in that: {error}. Set "
                    "it to 'auto', or leave it out."
                ) from error
            _logger.warning("models.%s: not computed in %s, because it cannot be: %s", key, precision, error)
            continue
        if measured.suffices:
            return precision, measured
        _logger.warning(
            "models.%s: not computed in %s, because that agrees with float32 at a mean cosine of %.4f (%s at least)",
            key, precision, measured.cosine, LEAST_COSINE,
        )  # fmt: skip
    return Precision.FLOAT32, measured


def _settled(settings: ModelSettings, known: ModelRow) -> tuple[Precision, Agreement | None]:
    """What was recorded, unless the settings ask for another precision, and none was refused then."""
    cosine = known.agreement_cosine
    measured = None if cosine is None else Agreement(cosine, known.agreement_neighbors)
    if settings.precision == "auto" or (measured is not None and not measured.suffices):
        return known.precision, measured
    return settings.precision, measured


def _sample(engine: Engine, previews: PreviewStore) -> list[PillowImage.Image]:
    """The pictures of the images with the smallest content hashes: a random choice, and the same every time."""
    chosen = select(Image.id).where(IS_EMBEDDABLE).order_by(Image.content_hash).limit(SAMPLE_IMAGES)
    with engine.connect() as connection:
        ids = connection.execute(chosen).scalars().all()
    return [open_preview(jpeg) for jpeg in read_previews(engine, previews, ids).values()]
