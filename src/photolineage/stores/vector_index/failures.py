"""What LanceDB raises, told apart: damage does not mend by itself, and after anything else a table stays as it is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from photolineage.stores.vector_index.errors import (
    IndexDamagedError,
    IndexNotReadableError,
    IndexNotWritableError,
)

_DAMAGE: Final = re.compile(
    r"Not found: |\(os error 2\)|file size is too small|failed to fill whole buffer|Invalid range|corrupt file"
    r"|does not appear to be a Lance file|does not contain correct footer|unsupported index version"
)
"""What LanceDB 0.40 says of files that are lost, cut short or overwritten."""
_INVALID: Final = "Invalid input"
"""With it begins each ValueError of LanceDB about a file; others are about what it was asked."""


@contextmanager
def reading(model_key: str, table: Path) -> Iterator[None]:
    """Turns what LanceDB raises in the block into IndexDamagedError for damage, else into IndexNotReadableError."""
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
    """Likewise; what is no damage is IndexNotWritableError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise (IndexDamagedError if _is_damage(error) else IndexNotWritableError)(
            model_key, table, error
        ) from error


def _is_damage(error: Exception) -> bool:
    return not getattr(error, "errno", None) and bool(_DAMAGE.search(str(error)))
