"""The library that stands between a process and its files, compiled from `interposer.c`."""

import ctypes
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class Mode(IntEnum):
    """What happens at the chosen operation: nothing; it fails; half of it is written, and it fails; the process dies
    after it.
    """

    COUNT = 0
    FAIL = 1
    TEAR = 2
    KILL = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at which operation below a folder, counted from 1. The operations are written to `log`."""

    folder: Path
    log: Path
    mode: Mode = Mode.COUNT
    at: int = 0

    def arm(self) -> None:
        """Let it happen in this process, which must have been started with the library loaded."""
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        ctypes.CDLL(None).crash_states_arm(
            os.fsencode(self.folder), log, int(self.mode), ctypes.c_long(self.at)
        )


def build(folder: Path) -> Sequence[str]:
    """Compile the library, which takes a C compiler. Returns the command prefix that loads it into a process.

    Raises ValueError for a path that LD_PRELOAD would split.
    """
    library = folder / "interposer.so"
    if set(str(library)) & {" ", ":"}:
        raise ValueError(f"{library}: LD_PRELOAD splits paths at blanks and colons")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl", "-pthread"], check=True
    )
    return ("env", f"LD_PRELOAD={library}")
