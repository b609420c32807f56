"""Decoding originals in processes of their own, with one budget of memory for all of them and a time limit for each.

A thread that decodes borrows a process; it is started when none is idle, and is kept for the next image. A process
whose image takes too long, or crashes its decoder, ends; the image gets a reason, and this process goes on.
"""

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from photolineage.catalog.vocabulary import FailureReason
from photolineage.media.errors import ChangedOriginalError, DecoderUnavailableError, UnreadableImageError
from photolineage.media.exif import ExifFacts
from photolineage.media.memory_budget import MemoryBudget, default_budget

MAX_TASK_BYTES: Final = 4096
GO: Final = b"g"
STOP: Final = b"s"
COMMON_BYTES: Final = 2**26
"""Enough for a JPEG of 50 megapixels. Every image gets this at once; one that needs more asks for it."""
ALONE: Final = 2
"""An image that needs more than this many times the budget is refused. Below that, it is decoded alone."""
DEFAULT_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 2.0
_KEPT_VARIABLES: Final = frozenset(
    ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
)
"""Decoders need no other variable of the environment, and none that may hold a secret."""


@dataclass(frozen=True, slots=True)
class DecodingTask:
    """What to do with a file. With `expected_hash`, nothing is decoded if the content is another.

    `as_preview`: whether to return the picture as a JPEG with its quality and its hash, instead of its pixels.
    """

    short_side: int
    expected_hash: str | None = None
    as_preview: bool = False
    named_as_image: bool = True
    seconds: float = DEFAULT_SECONDS


@dataclass(frozen=True, slots=True)
class DecodedOriginal:
    """The facts of an original, and its scaled picture: a JPEG, or the RGB values of `picture_size` pixels."""

    content_hash: str
    size_bytes: int
    format: str
    width: int
    height: int
    exif: ExifFacts
    lost_share: float | None
    quality: float | None
    perceptual_hash: int | None
    picture_size: tuple[int, int]
    picture: bytes


Outcome = DecodedOriginal | UnreadableImageError | ChangedOriginalError


class _EndedError(Exception):
    """The process ended while it decoded an image. `status` is that of `Popen`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _DecodingProcess:
    """A process that runs `photolineage.media.decoding_worker`."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        search_path = [str(Path(entry).absolute()) for entry in sys.path if entry]
        kept = {name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (no input but a number)
                [sys.executable, "-P", "-m", "photolineage.media.decoding_worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=kept | {"PYTHONPATH": os.pathsep.join(search_path)},
                cwd="/",  # so that it keeps no disk busy
            )
        self._answers = Connection(os.dup(self._channel.fileno()), writable=False)
        try:
            self._answers.recv()
        except (EOFError, OSError) as error:
            status = self._process.wait()
            self.close()
            raise DecoderUnavailableError(
                f"the process that decodes images ended with status {status} before it began. Its error is in the "
                "log above. Free memory, or install Photolineage again"
            ) from error

    def decode(self, descriptor: int, task: DecodingTask) -> Outcome:
        """Raises _EndedError if the process ends before it has an answer, and TimeoutError."""
        try:
            with _budget.reserved(COMMON_BYTES):
                socket.send_fds(self._channel, [pickle.dumps(task)], [descriptor])
                answer: Outcome | int | None = self._answers.recv()
                if not isinstance(answer, int):
                    return self._outcome(answer, task)
            most = ALONE * _budget.total
            if answer > most:
                self._channel.send(STOP)
                return _too_large(answer, most)
            with _budget.reserved(answer):
                self._channel.send(GO)
                return self._outcome(self._answers.recv(), task)
        except (EOFError, ConnectionError) as error:
            raise _EndedError(self._process.wait()) from error

    def _outcome(self, answer: Outcome | None, task: DecodingTask) -> Outcome:
        """The outcome: `answer`, or the next one if this is None, which means that the file is read."""
        if answer is not None:
            return answer
        if not self._answers.poll(task.seconds):
            raise TimeoutError
        outcome: Outcome = self._answers.recv()
        return outcome

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self.close()

    def close(self) -> None:
        """Close the connection: an idle process then ends."""
        self._answers.close()
        self._channel.close()

    def end(self) -> None:
        """End an idle process."""
        self.close()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


_budget = MemoryBudget(default_budget())
_seconds = DEFAULT_SECONDS
_idle: list[_DecodingProcess] = []


def limit_decoding(*, memory_bytes: int | None, seconds: float) -> None:
    """Set the limits of this process: the memory for all images that it decodes at once, and the time for each.

    Without `memory_bytes`, the budget is `default_budget()`.
    """
    global _seconds  # noqa: PLW0603 (like the budget, the limit is one for the process)
    _budget.resize(memory_bytes or default_budget())
    _seconds = seconds


def decode_file(
    descriptor: int,
    *,
    short_side: int,
    expected_hash: str | None = None,
    as_preview: bool = False,
    named_as_image: bool = True,
) -> DecodedOriginal:
    """Read an open file from its beginning, hash it and decode it.

    Raises UnreadableImageError, also if the image takes too much memory or time or crashes its decoder;
    ChangedOriginalError; and DecoderUnavailableError.
    """
    task = DecodingTask(short_side, expected_hash, as_preview, named_as_image, _seconds)
    try:
        outcome = _decode_in_a_process(descriptor, task)
    except _EndedError as first:
        if first.status != -signal.SIGKILL:
            raise _reason_of_status(first.status, task) from None
        try:  # the kernel may have killed it for the memory that other programs took
            outcome = _decode_in_a_process(descriptor, task)
        except _EndedError as second:
            raise _reason_of_status(second.status, task) from None
    if isinstance(outcome, DecodedOriginal):
        return outcome
    raise outcome


def _decode_in_a_process(descriptor: int, task: DecodingTask) -> Outcome:
    try:
        process = _idle.pop()
    except IndexError:
        process = _DecodingProcess()
    try:
        outcome = process.decode(descriptor, task)
    except TimeoutError:
        process.kill()
        return _too_slow(task)
    except BaseException:
        process.kill()
        raise
    _idle.append(process)
    return outcome


def _too_large(need: int, most: int) -> UnreadableImageError:
    return UnreadableImageError(
        FailureReason.TOO_LARGE,
        f"needs {need / 1e9:,.1f} GB to decode, more than the limit of {most / 1e9:,.1f} GB, which is {ALONE} × "
        "decoding.memory_gb",
    )


def _too_slow(task: DecodingTask) -> UnreadableImageError:
    return UnreadableImageError(
        FailureReason.TOO_LARGE,
        f"took longer than {task.seconds:g} s to decode, which is the limit (decoding.seconds)",
    )


def _reason_of_status(status: int, task: DecodingTask) -> UnreadableImageError:
    """Why an image has no picture, from the status of the process that decoded it."""
    if status == -signal.SIGALRM:
        return _too_slow(task)
    if status == -signal.SIGKILL:
        return UnreadableImageError(
            FailureReason.TOO_LARGE,
            "the system ended its decoding twice (SIGKILL), probably because memory was short",
        )
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return UnreadableImageError(FailureReason.CORRUPT, f"the image crashed its decoder ({name})")


@atexit.register
def _end_idle_processes() -> None:
    while _idle:
        _idle.pop().end()


def _forget_decoders_of_the_parent() -> None:
    """In a process that was forked: it starts decoders of its own, and none of its threads waits for memory."""
    global _budget  # noqa: PLW0603 (another thread may have held its lock)
    _idle.clear()
    _budget = MemoryBudget(_budget.total)


os.register_at_fork(after_in_child=_forget_decoders_of_the_parent)
