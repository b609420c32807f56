"""The errors of a vector index, and how LanceDB's exceptions are translated to them."""

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
    r"|Requested range was invalid|LanceError\(Arrow\): (?!.*(?:os error|[Mm]emory))"
)
"""How LanceDB 0.40 reports files that are missing, truncated or overwritten. An empty manifest is an invalid range.

What Arrow cannot decode is damage, too, unless the system refused something: an empty file of deletions, or zeros in
place of rows.
"""
_INVALID: Final = "Invalid input"
"""LanceDB's ValueErrors about files begin with this. Its other ValueErrors are about the arguments of a call."""
REBUILD: Final = (
    "Launch the job `repair` with `apply: true`, or run `photolineage repair --apply`: it rebuilds the index from the "
    "embedding files"
)
"""The remedy for an index of a wrong shape."""


class VectorIndexError(PhotolineageError):
    """An operation on a vector index failed."""


class IndexNotBuiltError(VectorIndexError):
    """The model has no table yet."""

    def __init__(self, model_key: str, directory: Path) -> None:
        super().__init__(
            f"model {model_key!r} has no vector index in {directory}. Materialize vector_index for it "
            f"(photolineage run --model {model_key})"
        )


class IndexNotWritableError(VectorIndexError):
    """The system refuses to write the table. Its last commit is kept."""

    def __init__(self, model_key: str, table: Path, reason: Exception) -> None:
        super().__init__(
            f"{table}: cannot write the vector index of model {model_key!r}: {_first_line(reason)}. Free space "
            "on the disk of the home directory, or make it writable, and materialize vector_index again. The present "
            "content of the table is kept"
        )


class IndexNotReadableError(VectorIndexError):
    """The table cannot be read, but it may be undamaged."""

    def __init__(self, model_key: str, table: Path, reason: Exception) -> None:
        super().__init__(
            f"{table}: cannot read the vector index of model {model_key!r}: {_first_line(reason)}. Make the folder "
            "readable; if memory or open files ran out, end other programs. The content of the table is kept. If that "
            "does not help, delete the folder and materialize vector_index, which rebuilds it from the embedding files"
        )


class IndexDamagedError(VectorIndexError):
    """Files of the table are missing or damaged. The table can be rebuilt from the embedding files."""

    def __init__(self, model_key: str, table: Path, reason: Exception) -> None:
        super().__init__(
            f"{table}: the vector index of model {model_key!r} is damaged: {_first_line(reason)}. Materialize "
            "vector_index for it, which rebuilds it from the embedding files; or delete the folder, and run "
            f"photolineage run --model {model_key}"
        )


class IndexSchemaError(VectorIndexError):
    """The table's columns differ from those of the model's rows. Nothing was written."""

    def __init__(self, model_key: str, expected: pa.Schema, found: pa.Schema) -> None:
        differing = [
            f"{name}: expected {_field(expected, name)}, found {_field(found, name)}"
            for name in dict.fromkeys([*expected.names, *found.names])
            if _field(expected, name) != _field(found, name)
        ]
        super().__init__(
            f"the columns of the vector index of model {model_key!r} do not fit its embeddings: "
            f"{'; '.join(differing)}. {REBUILD}"
        )


class MissingVectorsError(VectorIndexError):
    """Committed files lack rows that the catalog expects. The index contains every row that they do have."""

    def __init__(self, model_key: str, image_ids: Sequence[int], embedding_files: Sequence[int]) -> None:
        super().__init__(
            f"model {model_key!r}: {len(image_ids)} embeddings are missing from the committed files "
            f"(images {_first(image_ids)}; files {_first(embedding_files)}). "
            "Materialize image_embeddings for their shards again"
        )


class ImageNotIndexedError(VectorIndexError):
    """Some of the requested images are missing from the index."""

    def __init__(self, model_key: str, image_ids: Sequence[int]) -> None:
        self.image_ids = tuple(image_ids)
        super().__init__(f"missing from the vector index of model {model_key!r}: images {_first(image_ids)}")


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
    """Translate LanceDB's errors in the block: damage to IndexDamagedError, all others to IndexNotReadableError.

    The difference matters: a damaged table must be rebuilt. After any other error the table is intact.
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
