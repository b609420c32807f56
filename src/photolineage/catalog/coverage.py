"""Counting the remaining work over the whole library without reading files.

Each image's row has a bit for each model that has embedded its current content. A model takes a free bit at its first
load (`free_bit`). The bit is set in the transaction that commits the file with the image's embedding. All bits of an
image are cleared when other content is registered for it. The bits of a retired model are cleared later, shard by shard
(`clear_bits_of_no_model`). The files are authoritative: a run that embeds a shard first corrects the bits to match the
files (`settle_embedded`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, union, update

from photolineage.catalog.orm import Image, MlModel, Shard, Source
from photolineage.catalog.queries import EmbeddableImage
from photolineage.catalog.vocabulary import ImageState
from photolineage.errors import PhotolineageError

HIGHEST_BIT: Final = 1 << 62
"""The column is a signed 64-bit integer; the highest bit is the sign."""


class TooManyModelsError(PhotolineageError):
    """The catalog has no bit left for another model; the message gives the remedy."""


@dataclass(frozen=True, slots=True)
class ImageTally:
    """The number of images of a shard in one state, embedded by the same models. `duplicates` of them are copies."""

    source: str
    shard: str
    state: ImageState
    embedded_models: int
    images: int
    duplicates: int

    @property
    def embeddable(self) -> int:
        """The number of images that need an embedding: registered images, without copies."""
        return self.images - self.duplicates if self.state == ImageState.REGISTERED else 0

    def embedded(self, model_bit: int) -> int:
        """The number of images that need an embedding and have one from the model with this bit."""
        return self.embeddable if self.embedded_models & model_bit else 0


def free_bit(connection: Connection) -> int:
    """The lowest bit that no image and no model uses. Raises TooManyModelsError."""
    used = connection.execute(union(select(MlModel.embedded_bit), select(Image.embedded_models))).scalars()
    taken = reduce(or_, used, 0)
    bit: int = ~taken & (taken + 1)
    if bit > HIGHEST_BIT:
        raise TooManyModelsError(
            f"the catalog already has {HIGHEST_BIT.bit_length()} models, the most that it can count. "
            "Retire a model that you no longer need (photolineage retire <model> --delete-files), and try again."
        )
    return bit


def clear_bits_of_no_model(connection: Connection, shard_id: int) -> None:
    """Clear the bits of deleted models in a shard's images, so that other models can take them."""
    kept = reduce(or_, connection.execute(select(MlModel.embedded_bit)).scalars(), 0)
    connection.execute(
        update(Image)
        .where(Image.shard_id == shard_id, Image.embedded_models.bitwise_and(~kept) != 0)
        .values(embedded_models=Image.embedded_models.bitwise_and(kept))
    )


def _bit_of(connection: Connection, model_id: int) -> int:
    return connection.execute(select(MlModel.embedded_bit).where(MlModel.id == model_id)).scalar_one()


def tally_images(connection: Connection) -> list[ImageTally]:
    """The tallies of the whole library, from one pass over one index."""
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
    """Record that these contents have a committed embedding. Images whose content has changed since are left out."""
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
    """Correct the bits of a shard's `images`: all of them except `remaining` have a committed embedding."""
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
