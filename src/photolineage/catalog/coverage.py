"""What remains to be done, counted over the whole library without a look at its files.

Each image's row has a bit for each model that has embedded its present content. A model takes a free bit at its first
load (`free_bit`). The bit is set in an image when the file with its embedding is committed, in the same transaction.
All bits of an image are cleared when other content is registered for it, and those of a retired model afterwards, shard
by shard (`clear_bits_of_no_model`). The files have the last word: a run that embeds a shard first corrects the bits by
what the files hold (`settle_embedded`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, union, update

from photolineage.catalog.orm import Image, ImageState, MlModel, Shard, Source
from photolineage.catalog.queries import EmbeddableImage
from photolineage.errors import PhotolineageError

HIGHEST_BIT: Final = 1 << 62
"""The column is a signed integer of 64 bits; the 64th is the sign."""


class TooManyModelsError(PhotolineageError):
    """The catalog cannot count the embeddings of another model; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ImageTally:
    """How many images of a shard are in one state and embedded by the same models; `duplicates` of them are copies."""

    source: str
    shard: str
    state: ImageState
    embedded_models: int
    images: int
    duplicates: int

    @property
    def embeddable(self) -> int:
        """How many of them must have an embedding: those that are registered, and no copies."""
        return self.images - self.duplicates if self.state == ImageState.REGISTERED else 0

    def embedded(self, model_bit: int) -> int:
        """How many of them must have an embedding, and have one by the model with this bit."""
        return self.embeddable if self.embedded_models & model_bit else 0


def free_bit(connection: Connection) -> int:
    """The lowest bit that is set in no image and belongs to no model. Raises TooManyModelsError."""
    used = connection.execute(union(select(MlModel.embedded_bit), select(Image.embedded_models))).scalars()
    taken = reduce(or_, used, 0)
    bit: int = ~taken & (taken + 1)
    if bit > HIGHEST_BIT:
        raise TooManyModelsError(
            f"the catalog counts the embeddings of {HIGHEST_BIT.bit_length()} models at once, and has as many. "
            "Retire one that you no longer need (photolineage retire <model> --delete-files), and try again."
        )
    return bit


def clear_bits_of_no_model(connection: Connection, shard_id: int) -> None:
    """Clear what models that no longer exist have set in a shard's images, so that others can take their bits."""
    kept = reduce(or_, connection.execute(select(MlModel.embedded_bit)).scalars(), 0)
    connection.execute(
        update(Image)
        .where(Image.shard_id == shard_id, Image.embedded_models.bitwise_and(~kept) != 0)
        .values(embedded_models=Image.embedded_models.bitwise_and(kept))
    )


def _bit_of(connection: Connection, model_id: int) -> int:
    return connection.execute(select(MlModel.embedded_bit).where(MlModel.id == model_id)).scalar_one()


def tally_images(connection: Connection) -> list[ImageTally]:
    """The whole library, from one pass over one index."""
    tally = (
        select(
            Image.shard_id,
            Image.state,
            Image.embedded_models,
            func.count().label("images"),
            func.count(Image.duplicate_of_id).label("duplicates"),
        )
        .group_by(Image.shard_id, Image.state, Image.embedded_models)
        .subquery()
    )
    rows = connection.execute(
        select(Source.key, Shard.key, *list(tally.c)[1:])
        .select_from(tally)
        .join(Shard, Shard.id == tally.c.shard_id)
        .join(Source, Source.id == Shard.source_id)
        .order_by(Shard.key)
    )
    return [ImageTally(*row) for row in rows]


def mark_embedded(connection: Connection, model_id: int, images: Iterable[EmbeddableImage]) -> None:
    """Record that these contents have a committed embedding; an image with another content by now is left out."""
    contents = [{"image": image.id, "content": image.content_hash} for image in images]
    if contents:
        connection.execute(
            update(Image)
            .where(Image.id == bindparam("image"), Image.content_hash == bindparam("content"))
            .values(embedded_models=Image.embedded_models.bitwise_or(_bit_of(connection, model_id))),
            contents,
        )


def settle_embedded(
    connection: Connection,
    model_id: int,
    images: Collection[EmbeddableImage],
    remaining: Collection[EmbeddableImage],
) -> None:
    """Let the bits of a shard's `images` say that all of them but `remaining` have a committed embedding."""
    bit = _bit_of(connection, model_id)
    lost = [{"image": image.id} for image in remaining if image.embedded_models & bit]
    if lost:
        connection.execute(
            update(Image)
            .where(Image.id == bindparam("image"))
            .values(embedded_models=Image.embedded_models.bitwise_and(~bit)),
            lost,
        )
    without = {image.id for image in remaining}
    mark_embedded(
        connection,
        model_id,
        (image for image in images if image.id not in without and not image.embedded_models & bit),
    )
