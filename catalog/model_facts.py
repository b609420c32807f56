"""What the catalog says of a model, in values that the model's code shares."""

from enum import StrEnum


class Precision(StrEnum):
    """The number format that a model's image embeddings are computed in; named as torch names it."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
