"""What can be wrong with a vector index, and which of it LanceDB means by what it raises."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from photolineage.errors import PhotolineageError

_DAMAGE: Final = re.compile(
    r"Not found: |\(os error 2\)|file size is too small|failed to fill whole buffer|Invalid range|corrupt file"
    r"|does not appear to be a Lance file|does not contain correct footer|unsupported index version"
)
"""What LanceDB 0.40 says of files that are lost, cut short or overwritten."""
_INVALID: Final = "Invalid input"
"""With it begins each ValueError of LanceDB about a file; others are about what it was asked."""


class VectorIndexError(PhotolineageError):
    """The vector index cannot do what it was asked."""


class IndexNotBuiltError(VectorIndexError):
    """The model has no table yet."""

    def __init__(self, model_key: str, directory: Path) -> None:
        super().__init__(
            f"model {model_key!r} has no vector index in {directory}: materialize vector_index for it "
            f"(photolineage run --model {model_key})"
        )


class IndexNotWritableError(VectorIndexError):
    """The system refuses to write the table; it is as its last commit left it."""

    def __init__(self, model_key: str, table: Path, reason: Exception) -> None:
        super().__init__(
            f"{table}: the vector index of model {model_key!r} cannot be written: {_first_line(reason)}. Free space "
            "on the disk of the home directory, or make it writable, and materialize vector_index again: what is in "
            "the table stays"
        )


class IndexNotReadableError(VectorIndexError):
    """The table cannot be read; nothing says that it is not whole."""

    def __init__(self, model_key: str, table: Path, reason: Exception) -> None:
        super().__init__(
            f"{table}: the vector index of model {model_key!r} cannot be read: {_first_line(reason)}. Make it "
            "readable, or end other programs where memory or open files ran out: what is in the table stays. Or delete "
            "that folder, and materialize vector_index, which makes it anew from the embedding files"
        )


class IndexDamagedError(VectorIndexError):
    """Files of the table are lost, or are not what was written; all that it held can be made again."""

    def __init__(self, model_key: str, table: Path, reason: Exception) -> None:
        super().__init__(
            f"{table}: the vector index of model {model_key!r} is damaged: {_first_line(reason)}. Materialize "
            "vector_index for it, which makes it anew from the embedding files; or delete that folder, and run "
            f"photolineage run --model {model_key}"
        )


class IndexSchemaError(VectorIndexError):
    """The table has other columns than the model's rows; nothing was written."""

    def __init__(self, model_key: str, expected: pa.Schema, found: pa.Schema) -> None:
        differing = [
            f"{name}: expected {_field(expected, name)}, found {_field(found, name)}"
            for name in dict.fromkeys([*expected.names, *found.names])
            if _field(expected, name) != _field(found, name)
        ]
        super().__init__(
            f"the vector index of model {model_key!r} has another schema than its rows; nothing was written. "
            f"{'; '.join(differing)}. Give the changed model a key, and so a table, of its own"
        )


class MissingVectorsError(VectorIndexError):
    """Files lack rows that they are said to hold; every row that they do hold is in the index."""

    def __init__(self, model_key: str, image_ids: Sequence[int], shard_file_ids: Sequence[int]) -> None:
        super().__init__(
            f"model {model_key!r}: {len(image_ids)} embeddings are not in the files that were committed "
            f"(images {_first(image_ids)}; shard files {_first(shard_file_ids)}). "
            "Materialize image_embeddings for their shards again"
        )


class ImageNotIndexedError(VectorIndexError):
    """Images that are not in the index."""

    def __init__(self, model_key: str, image_ids: Sequence[int]) -> None:
        self.image_ids = tuple(image_ids)
        super().__init__(f"not in the vector index of model {model_key!r}: images {_first(image_ids)}")


def _first_line(reason: Exception) -> str:
    return str(reason).strip().splitlines()[0] if str(reason).strip() else type(reason).__name__


def _field(schema: pa.Schema, name: str) -> str:
    if name not in schema.names:
        return "no such column"
    field = schema.field(name)
    return f"{field.type}" if field.nullable else f"{field.type} not null"


def _first(ids: Sequence[int], count: int = 5) -> str:
    shown = ", ".join(str(one) for one in ids[:count])
    return f"{shown}, …" if len(ids) > count else shown


@contextmanager
def reading(model_key: str, table: Path) -> Iterator[None]:
    """Turns what LanceDB raises in the block into IndexDamagedError for damage, else into IndexNotReadableError.

    The difference matters: damage does not go away by itself, while after anything else the table is as it was.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, ValueError) and not str(error).startswith(_INVALID):
            raise
        raise (IndexDamagedError if _is_damage(error) else IndexNotReadableError)(
            model_key, table, error
        ) from error


@contextmanager
def writing(model_key: str, table: Path) -> Iterator[None]:
    """Like `reading`, but errors other than damage become IndexNotWritableError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise (IndexDamagedError if _is_damage(error) else IndexNotWritableError)(
            model_key, table, error
        ) from error


def _is_damage(error: Exception) -> bool:
    return not getattr(error, "errno", None) and bool(_DAMAGE.search(str(error)))
