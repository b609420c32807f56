"""The process that decodes originals for `photolineage.media.decoding`. It can be killed, and nothing is lost.

The parent sends a `DecodingTask` with an open file. The answers, in this order:

1. the memory that the image needs, only if that is more than `COMMON_BYTES`; this process then waits for the parent;
2. `None` when the file is read;
3. the outcome.
"""

import contextlib
import io
import os
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO, Final

from PIL import Image

from photolineage.catalog.vocabulary import FailureReason
from photolineage.media.decode import decode
from photolineage.media.decoding import (
    COMMON_BYTES,
    GO,
    MAX_TASK_BYTES,
    DecodedOriginal,
    DecodingTask,
    Outcome,
)
from photolineage.media.errors import ChangedOriginalError, UnreadableImageError
from photolineage.media.formats import beginning_of, format_of
from photolineage.media.memory_need import memory_to_decode
from photolineage.media.original import content_hash
from photolineage.media.perceptual_hash import perceptual_hash
from photolineage.media.quality import picture_quality
from photolineage.media.regular_file import MAX_FILE_BYTES, refuse_too_many_bytes, unreadable

_PREVIEW_ENCODING: Final = {"quality": 85, "subsampling": "4:4:4"}
"""The same size as quality 90 with halved colour resolution, but 3 to 4 dB closer to the original."""
_SLACK_BYTES: Final = 2**28
_SLACK_BYTES_PER_CORE: Final = 2**24
"""For the stacks and the buffers of the decoders' threads."""
_SECONDS_AFTER_THE_PARENT: Final = 5.0
_OOM_SCORE: Final = "800"


def main(descriptor: int) -> None:
    """Decode what the parent sends, until it closes the connection or ends."""
    # Ctrl-C goes to every process of a terminal, but the parent decides when to end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would contain a photo
    with contextlib.suppress(OSError):  # if memory is short, the kernel kills this process and not its parent
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    channel = socket.socket(fileno=descriptor)
    answers = Connection(os.dup(descriptor), readable=False)
    answers.send(None)
    with contextlib.suppress(ConnectionError):  # the parent has ended
        while True:
            message, descriptors, _flags, _address = socket.recv_fds(channel, MAX_TASK_BYTES, 1)
            if not message:
                return
            task: DecodingTask = pickle.loads(message)  # noqa: S301 (from the parent)
            with open(descriptors[0], "rb") as file:
                try:
                    need = _need(file, task)
                except UnreadableImageError as error:
                    answers.send(error)
                    continue
                if need > COMMON_BYTES:
                    answers.send(need)
                    if channel.recv(1) != GO:
                        continue
                answers.send(_outcome(file, max(need, COMMON_BYTES), task, answers))
                signal.setitimer(signal.ITIMER_REAL, 0)


def _need(file: BinaryIO, task: DecodingTask) -> int:
    try:
        return memory_to_decode(file, os.fstat(file.fileno()).st_size, task.short_side)
    except OSError:  # reading the whole file will say why
        return 0


def _outcome(file: BinaryIO, need: int, task: DecodingTask, answers: Connection) -> Outcome:
    try:
        file.seek(0)
        data = _read(file)
        refuse_too_many_bytes(len(data))
    except OSError as error:
        return unreadable(error)
    except UnreadableImageError as error:
        return error
    # The parent ends this process after `task.seconds`. If the parent has ended, the kernel does.
    signal.setitimer(signal.ITIMER_REAL, task.seconds + _SECONDS_AFTER_THE_PARENT)
    answers.send(None)
    try:
        with _memory_limited_to(need):
            return decode_bytes(data, task)
    except (UnreadableImageError, ChangedOriginalError) as error:
        return error
    except MemoryError:
        return UnreadableImageError(FailureReason.TOO_LARGE, "out of memory")


def _read(file: BinaryIO) -> bytes:
    """The bytes of a file, at most one more than allowed. Memory is taken at once for as many as are asked for."""
    size = min(os.fstat(file.fileno()).st_size, MAX_FILE_BYTES)
    data = file.read(size + 1)
    return data if len(data) <= size else data + file.read(MAX_FILE_BYTES + 1 - len(data))


def decode_bytes(data: bytes, task: DecodingTask) -> DecodedOriginal:
    """Hash and decode the bytes of a file, in this process. Raises UnreadableImageError and ChangedOriginalError."""
    if not data:
        raise UnreadableImageError(FailureReason.EMPTY, "the file is empty")
    found = content_hash(data)
    if task.expected_hash not in (None, found):
        raise ChangedOriginalError(task.expected_hash, found)
    if task.named_as_image and format_of(data) is None:
        raise UnreadableImageError(
            FailureReason.CORRUPT, f"no known image format begins with {beginning_of(data)}"
        )
    decoded = decode(data, short_side=task.short_side)
    return DecodedOriginal(
        content_hash=found,
        size_bytes=len(data),
        format=decoded.format,
        width=decoded.width,
        height=decoded.height,
        exif=decoded.exif,
        lost_share=decoded.lost_share,
        quality=picture_quality(decoded.image) if task.as_preview else None,
        perceptual_hash=perceptual_hash(decoded.image) if task.as_preview else None,
        picture_size=decoded.image.size,
        picture=_preview(decoded.image) if task.as_preview else decoded.image.tobytes(),
    )


def _preview(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **_PREVIEW_ENCODING)
    return buffer.getvalue()


@contextlib.contextmanager
def _memory_limited_to(need: int) -> Iterator[None]:
    """Refuse the decoders much more memory than the header of the image asks for.

    Only Linux counts what RLIMIT_DATA should limit; elsewhere there is no such limit.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    except OSError:
        yield
        return
    slack = need // 4 + _SLACK_BYTES + _SLACK_BYTES_PER_CORE * (os.cpu_count() or 1)
    limit = used + need + slack
    if before[1] != resource.RLIM_INFINITY:
        limit = min(limit, before[1])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


if __name__ == "__main__":
    main(int(sys.argv[1]))
