"""How a failed allocation is told from other errors: each library has its own way of saying it."""

import re
from typing import Final

_SAID: Final = re.compile(
    "out of memory|not enough memory|allocate memory|bad_alloc|STATUS_ALLOC_FAILED", re.IGNORECASE
)
"""By torch on the CPU and on a GPU, by OpenVINO, and by cuBLAS and cuDNN."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that there was too little memory."""
    return isinstance(error, MemoryError) or _SAID.search(str(error)) is not None
