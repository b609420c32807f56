"""Loading a model of the library in the precision of its embeddings."""

import logging
from dataclasses import dataclass, replace

from PIL import Image as PillowImage
from sqlalchemy import Engine, select

from photolineage.catalog.engine import reading
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
"""The number of images used to compare a precision with float32."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LibraryModel:
    """A loaded model, the id of its row, and the agreement of a faster precision with float32 if it was measured."""

    id: int
    embedder: Embedder
    agreement: Agreement | None

    @property
    def precision(self) -> str:
        """The precision that this machine computes the model's embeddings in, with the reason, as text."""
        recorded, computed = self.embedder.facts.precision, self.embedder.computes_in
        if self.agreement is None:
            return computed.value
        agreed = f"mean cosine with float32 {self.agreement.cosine:.4f}"
        if self.agreement.neighbors is not None:
            agreed += f", {self.agreement.neighbors:.0%} of the ten nearest neighbours in common"
        if recorded == Precision.FLOAT32:
            return f"float32, because the faster precision is below {LEAST_COSINE} ({agreed})"
        if computed != recorded:
            return f"{computed} instead of {recorded}, because this machine lacks the instructions for it ({agreed})"
        return f"{computed} ({agreed})"


def load_model(engine: Engine, previews: PreviewStore, key: str, settings: ModelSettings) -> LibraryModel:
    """The model, recorded in the catalog at its first load.

    The precision is chosen before anything is embedded, and is then the same for all embeddings on every machine: the
    precision in the settings, or else this machine's fastest precision that agrees with float32. A machine without the
    instructions for that precision computes in float32, which agrees with it. Raises ModelUnavailableError, and
    ModelChangedError if the weights, or a precision in the settings, differ from those of the model's embeddings.
    """
    with reading(engine) as connection:
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
    return load_model(engine, previews, key, settings)  # another machine has chosen the precision meanwhile


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
                    f"models.{key}.precision = '{precision}': the model cannot be computed in {precision}: {error}. "
                    "Set the precision to 'auto', or remove the setting."
                ) from error
            _logger.warning(
                "models.%s: cannot be computed in %s; trying another precision: %s", key, precision, error
            )
            continue
        if measured.suffices:
            return precision, measured
        _logger.warning(
            "models.%s: not computed in %s: the mean cosine with float32 is %.4f, and at least %s is required",
            key, precision, measured.cosine, LEAST_COSINE,
        )  # fmt: skip
    return Precision.FLOAT32, measured


def _settled(settings: ModelSettings, known: ModelRow) -> tuple[Precision, Agreement | None]:
    """The recorded precision and agreement. A precision in the settings wins if none was rejected at the first load."""
    cosine = known.agreement_cosine
    measured = None if cosine is None else Agreement(cosine, known.agreement_neighbors)
    if settings.precision == "auto" or (measured is not None and not measured.suffices):
        return known.precision, measured
    return settings.precision, measured


def _sample(engine: Engine, previews: PreviewStore) -> list[PillowImage.Image]:
    """The previews of the images with the smallest content hashes: a random sample, but the same every time."""
    chosen = select(Image.id).where(IS_EMBEDDABLE).order_by(Image.content_hash).limit(SAMPLE_IMAGES)
    with reading(engine) as connection:
        ids = connection.execute(chosen).scalars().all()
    return [open_preview(jpeg) for jpeg in read_previews(engine, previews, ids).values()]
