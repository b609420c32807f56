"""What LanceDB raises, told apart: a refusal of the system leaves a table as it is, damage does not mend by itself."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from resources.vector_index.errors import (
    IndexDamagedError,
    IndexNotReadableError,
    IndexNotWritableError,
)

_REFUSAL: Final = re.compile(r"\(os error (?!2\))\d+\)|Resources exhausted")
"""The system's error numbers, of which 2 is a file that is not there, and LanceDB's own limit of memory."""
_INVALID: Final = "Invalid input"
"""With it begins each ValueError of LanceDB about a file; others are about what it was asked."""


@contextmanager
def reading(model_key: str, table: Path) -> Iterator[None]:
    """Turns what LanceDB raises in the block into IndexDamagedError, and a refusal into IndexNotReadableError."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, ValueError) and not str(error).startswith(_INVALID):
            raise
        raise (IndexNotReadableError if _is_refusal(error) else IndexDamagedError)(
            model_key, table, error
        ) from error


@contextmanager
def writing(model_key: str, table: Path) -> Iterator[None]:
    """Likewise; a refusal is IndexNotWritableError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise (IndexNotWritableError if _is_refusal(error) else IndexDamagedError)(
            model_key, table, error
        ) from error


def _is_refusal(error: Exception) -> bool:
    return bool(getattr(error, "errno", None) or _REFUSAL.search(str(error)))
