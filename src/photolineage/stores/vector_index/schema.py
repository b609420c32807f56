"""What a row of the vector index holds."""

import re
from typing import Final

import pyarrow as pa

_MODEL_KEY: Final = re.compile(r"[a-z0-9._-]*[a-z0-9_-][a-z0-9._-]*")
"""The characters of a partition key, and not dots alone: those address a folder."""


def live_schema() -> pa.Schema:
    """What the catalog knows about an indexed image: its facts, and the file that holds its embedding.

    `duplicate_of` is the image of which this one is a copy, null for the original itself.
    """
    return pa.schema(
        [
            pa.field("image_id", pa.int64(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("taken_at", pa.timestamp("us", tz="UTC")),
            pa.field("latitude", pa.float64()),
            pa.field("longitude", pa.float64()),
            pa.field("duplicate_of", pa.int64()),
            pa.field("shard_file_id", pa.int64(), nullable=False),
        ]
    )


def index_schema(dim: int) -> pa.Schema:
    """The columns of `live_schema` and the embedding: `dim` float16, as it was committed, of unit length."""
    return live_schema().append(pa.field("vector", pa.list_(pa.float16(), dim), nullable=False))


def table_name(model_key: str) -> str:
    """The name of the model's table. Raises `ValueError` for a key that is not a model's."""
    if not _MODEL_KEY.fullmatch(model_key):
        raise ValueError(f"model key {model_key!r}: only a-z, 0-9, '.', '_' and '-', and not dots alone")
    return model_key
