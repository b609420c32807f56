"""The closed vocabularies of the catalog: what its code and the code that reads media both use."""

from enum import StrEnum


class TakenAtSource(StrEnum):
    """Where the time at which an image was taken came from, the most trustworthy first."""

    EXIF = "exif"
    GPS = "gps"
    FILE_NAME = "file_name"
    FILE_TIME = "file_time"


class FailureReason(StrEnum):
    """Why an original could not be read; `too_large` includes decompression bombs."""

    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    CORRUPT = "corrupt"
    TOO_LARGE = "too_large"
    VANISHED = "vanished"
    PERMISSION_DENIED = "permission_denied"
    UNREADABLE = "unreadable"


class Precision(StrEnum):
    """The number format that a model's image embeddings are computed in; named as torch names it.

    In `int8` the linear layers multiply 8-bit weights, with a scale for each output, by 8-bit activations, with a
    scale for each group of a token's (`photolineage.models.int8_encoder`); everything else is float32.
    """

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"
