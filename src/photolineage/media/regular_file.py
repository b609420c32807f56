"""Open a file that anybody may have put there: only a regular file of a limited size, and never with a wait."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from photolineage.catalog.vocabulary import FailureReason
from photolineage.media.errors import UnreadableImageError

MAX_FILE_BYTES: Final = 2**30
"""1 GiB: more than the largest originals have (a TIFF of 100 megapixels with 16 bits has 600 MB)."""

_REASON_OF_ERRNO: Final = {
    errno.ENOENT: FailureReason.VANISHED,
    errno.ENOTDIR: FailureReason.VANISHED,
    errno.EACCES: FailureReason.PERMISSION_DENIED,
    errno.EPERM: FailureReason.PERMISSION_DENIED,
    errno.EISDIR: FailureReason.UNSUPPORTED,
    errno.ENXIO: FailureReason.UNSUPPORTED,  # a socket
}


@contextmanager
def open_regular_file(path: str | bytes | os.PathLike[str]) -> Iterator[tuple[int, os.stat_result]]:
    """The descriptor of an open file, and its status. It is a regular file of 1 to `MAX_FILE_BYTES` bytes.

    Raises UnreadableImageError.
    """
    try:
        # Without O_NONBLOCK, opening a pipe would wait until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: the path contains a NUL
        raise unreadable(error) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImageError(FailureReason.UNSUPPORTED, "not a regular file")
        refuse_too_many_bytes(status.st_size)
        yield descriptor, status
    finally:
        os.close(descriptor)


def refuse_too_many_bytes(size: int) -> None:
    """Raises UnreadableImageError if a file of `size` bytes is too large."""
    if size > MAX_FILE_BYTES:
        raise UnreadableImageError(
            FailureReason.TOO_LARGE, f"{size:,} bytes exceed the limit of {MAX_FILE_BYTES:,}"
        )


def unreadable(error: OSError | ValueError) -> UnreadableImageError:
    """The reason why the operating system refused to open or to read a file."""
    number = getattr(error, "errno", None) or 0
    reason = _REASON_OF_ERRNO.get(number, FailureReason.UNREADABLE)
    return UnreadableImageError(reason, getattr(error, "strerror", None) or str(error))
