"""What a model sees of each image, from its preview or from its original, ahead of the model."""

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
    open_original,
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
"""An image, and what the model sees of it or why that cannot be had."""


class UnusableOriginalsError(PhotolineageError):
    """Originals that had to be read could not be, or have changed: their images have no embedding yet."""

    def __init__(self, shard: ShardRow, unusable: Sequence[tuple[EmbeddableImage, UnusableOriginal]]) -> None:
        image, error = unusable[0]
        super().__init__(
            f"shard {shard.key!r}: {len(unusable)} images were not embedded, all others are. "
            f"The first is {printable(Path(shard.root, image.path))}: {error}. They are to be registered anew: "
            f"materialize registered_images ({shard.key}), then this partition again."
        )


def model_inputs(
    embedder: Embedder, shard: ShardRow, previews: PreviewReader, images: Sequence[EmbeddableImage]
) -> Generator[ModelInput, None, None]:
    """What the model sees of the images, in their order, a few batches ahead.

    Previews are read, or originals where there is no sound preview or the model sees more pixels than one has. An
    original is used only if its bytes are those that were registered. Raises SourceUnavailableError.
    """
    needs_original = embedder.facts.image_size > PREVIEW_SHORT_SIDE

    def load(image: EmbeddableImage) -> ModelInput:
        jpeg = None if needs_original else previews.jpeg(image.id, image.content_hash)
        if jpeg is not None:
            try:
                return image, embedder.transform.of_image(open_preview(jpeg))
            except OSError as error:
                _logger.warning(
                    "image %s: its preview is damaged (%s), and its original is read", image.id, error
                )
        path = Path(shard.root, image.path)
        try:
            original = open_original(path, image.content_hash, embedder.facts.image_size)
        except (UnreadableImageError, ChangedOriginalError) as error:
            require_source(Path(shard.root))
            return image, error
        return image, embedder.transform.of_image(original)

    threads = os.cpu_count() or 1
    return map_ahead(load, images, threads=threads, ahead=2 * threads * embedder.batch_images)
