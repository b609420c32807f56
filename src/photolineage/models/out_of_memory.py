"""Recognizing failed allocations: each library reports them in its own way."""

import re
from typing import Final

_SAID: Final = re.compile(
    "out of memory|not enough memory|allocate memory|bad_alloc|STATUS_ALLOC_FAILED", re.IGNORECASE
)
"""Messages of torch on the CPU and on a GPU, of OpenVINO, and of cuBLAS and cuDNN."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error reports that memory ran out."""
    return isinstance(error, MemoryError) or _SAID.search(str(error)) is not None
