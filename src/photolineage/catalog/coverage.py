"""What remains to be done, counted over the whole library without a look at its files.

Each image's row has a bit for each model that has embedded its present content. A bit is set in the transaction that
commits the embedding's file, and all are cleared in the one that registers a content. Because the files are what
counts, a run that embeds a shard first settles the bits by them (`settle_embedded`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update

from photolineage.catalog.orm import Image, ImageState, Shard, Source
from photolineage.catalog.queries import EmbeddableImage
from photolineage.errors import PhotolineageError

MAX_MODEL_ID: Final = 62
"""A signed integer of 64 bits has no more bits that are not its sign."""


class TooManyModelsError(PhotolineageError):
    """The catalog has had more models than it can count the embeddings of."""


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

    def embedded(self, model_id: int) -> int:
        """How many of them must have an embedding by a model, and have one."""
        return self.embeddable if self.embedded_models & model_bit(model_id) else 0


def model_bit(model_id: int) -> int:
    """The bit of a model in `Image.embedded_models`. Raises TooManyModelsError."""
    if model_id > MAX_MODEL_ID:
        raise TooManyModelsError(
            f"model {model_id}: a catalog counts the embeddings of the first {MAX_MODEL_ID} models that were ever "
            "loaded. Start another catalog (catalog.url) for further ones."
        )
    return int(1 << model_id)


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
            .values(embedded_models=Image.embedded_models.bitwise_or(model_bit(model_id))),
            contents,
        )


def settle_embedded(
    connection: Connection,
    model_id: int,
    images: Collection[EmbeddableImage],
    remaining: Collection[EmbeddableImage],
) -> None:
    """Let the bits of a shard's `images` say that all of them but `remaining` have a committed embedding."""
    bit = model_bit(model_id)
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
