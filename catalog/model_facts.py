"""What the catalog says of a model, in values that the model's code shares."""

from enum import StrEnum


class Precision(StrEnum):
    """The number format that a model's image embeddings are computed in; named as torch names it.

    In `int8` the linear layers multiply 8-bit weights, with a scale for each output, by 8-bit activations, with a
    scale for each group of a token's (`resources.int8_encoder`); everything else is float32.
    """

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"
