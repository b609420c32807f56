"""Preparing each image's pixels for the model, from its preview or its original, a few batches ahead."""

import logging
import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from photolineage.catalog.queries import EmbeddableImage, ShardRow
from photolineage.errors import PhotolineageError
from photolineage.media import (
    PREVIEW_SHORT_SIDE,
    ChangedOriginalError,
    UnreadableImageError,
    open_picture,
)
from photolineage.models.embedder import Embedder
from photolineage.plain_text import printable
from photolineage.steps.lookahead import map_ahead
from photolineage.steps.tree_walk import require_source
from photolineage.stores.pictures import open_preview
from photolineage.stores.previews import PreviewReader

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger(__name__)

UnusableOriginal = UnreadableImageError | ChangedOriginalError
ModelInput = tuple[EmbeddableImage, "torch.Tensor | UnusableOriginal"]
"""An image, with its pixels for the model or the reason why they cannot be read."""


class UnusableOriginalsError(PhotolineageError):
    """Originals that had to be read are unreadable or have changed; their images have no embedding yet."""

    def __init__(self, shard: ShardRow, unusable: Sequence[tuple[EmbeddableImage, UnusableOriginal]]) -> None:
        image, error = unusable[0]
        super().__init__(
            f"shard {shard.key!r}: {len(unusable)} images were not embedded; all other images are. "
            f"The first is {printable(Path(shard.root, image.path))}: {error}. Materialize the partition {shard.key} "
            "of registered_images, then this partition again."
        )


def model_inputs(
    embedder: Embedder, shard: ShardRow, previews: PreviewReader, images: Sequence[EmbeddableImage]
) -> Generator[ModelInput, None, None]:
    """The images' pixels for the model, in order, prepared a few batches ahead.

    They come from the preview, or from the original if the preview is missing or damaged, or smaller than the model's
    input. An original is used only if its bytes have not changed since it was registered. Raises
    SourceUnavailableError.
    """
    needs_original = embedder.facts.image_size > PREVIEW_SHORT_SIDE

    def load(image: EmbeddableImage) -> ModelInput:
        jpeg = None if needs_original else previews.jpeg(image.id, image.content_hash)
        if jpeg is not None:
            try:
                return image, embedder.transform.of_image(open_preview(jpeg))
            except OSError as error:
                _logger.warning(
                    "image %s: the preview is damaged (%s); reading the original instead", image.id, error
                )
        path = Path(shard.root, image.path)
        try:
            original = open_picture(path, embedder.facts.image_size, expected_hash=image.content_hash)
        except (UnreadableImageError, ChangedOriginalError) as error:
            require_source(Path(shard.root))
            return image, error
        return image, embedder.transform.of_image(original)

    threads = os.cpu_count() or 1
    return map_ahead(load, images, threads=threads, ahead=2 * threads * embedder.batch_images)
