"""Read original files: decode them upright, extract their facts, and refuse files that are not images."""

from photolineage.catalog.vocabulary import FailureReason, TakenAtSource
from photolineage.media.decode import MAX_PIXELS, decode_upright
from photolineage.media.decoding import limit_decoding
from photolineage.media.errors import ChangedOriginalError, UnreadableImageError
from photolineage.media.formats import SUPPORTED_SUFFIXES
from photolineage.media.original import (
    PREVIEW_SHORT_SIDE,
    OriginalImage,
    content_hash,
    open_picture,
    read_original,
)
from photolineage.media.regular_file import MAX_FILE_BYTES

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "PREVIEW_SHORT_SIDE",
    "SUPPORTED_SUFFIXES",
    "ChangedOriginalError",
    "FailureReason",
    "OriginalImage",
    "TakenAtSource",
    "UnreadableImageError",
    "content_hash",
    "decode_upright",
    "limit_decoding",
    "open_picture",
    "read_original",
]
