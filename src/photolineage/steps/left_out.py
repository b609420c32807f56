"""What a walk leaves out of a source without being told to, and the name under which it counts that."""

import os
import re
import stat
from pathlib import PurePosixPath
from typing import Final

from photolineage.media.formats import HEAD_BYTES, format_of

HIDDEN: Final = "hidden"
NO_ENDING: Final = "no ending"
OTHER_ENDING: Final = "other endings"
MOST_KINDS: Final = 100

_OF_PROGRAMS: Final = {
    name.lower(): f"{name}/"
    for name in (
        "@eaDir",  # Synology: thumbnails
        "#recycle",
        "#snapshot",
        ".@__thumb",  # QNAP: thumbnails
        "@Recycle",
        "@Recently-Snapshot",
        "$RECYCLE.BIN",  # Windows
        "RECYCLER",
        "System Volume Information",
        "lost+found",  # Linux
        ".thumbnails",
        "Thumbnails",
        ".Trashes",  # macOS
        ".dtrash",  # digiKam
    )
}
"""Folders in which programs keep thumbnails, snapshots and deleted files, by their names in lower case."""
_TRASH: Final = re.compile(r"\.trash-\d+")
_PREVIEWS: Final = ".lrdata"
_LIBRARIES: Final = (".photoslibrary", ".photolibrary", ".aplibrary", ".migratedphotolibrary")
_IN_LIBRARIES: Final = frozenset(("derivatives", "modelresources", "previews", "proxies"))
"""Scaled copies in a library of macOS. The originals are beside them, in `originals` or `Masters`."""
_APPLE_DOUBLE: Final = "._"
"""macOS writes such a file beside each file on a disk that cannot hold its attributes."""
_ENDING: Final = re.compile(r"\.[a-z0-9_~-]{1,12}")


def copies_of_programs(path: str) -> str | None:
    """The name under which a folder of copies is counted; None if the folder may contain originals.

    `path` ends with the folder's name.
    """
    *above, name = PurePosixPath(path.lower()).parts
    if name in _OF_PROGRAMS:
        return _OF_PROGRAMS[name]
    if name.endswith(_PREVIEWS):
        return f"*{_PREVIEWS}/"
    if _TRASH.fullmatch(name):
        return ".Trash-*/"
    if name in _IN_LIBRARIES:
        for folder in above:
            if folder.endswith(_LIBRARIES):
                return f"*{PurePosixPath(folder).suffix}/**/{name}/"
    return None


def is_hidden(name: str, *, hidden: bool) -> bool:
    """Whether a walk passes over the name. With `hidden`, only macOS's companions of files are hidden."""
    return name[0] == "." and (not hidden or name.startswith(_APPLE_DOUBLE))


def kind_of(name: str) -> str:
    """The kind under which a file is counted that is no image: its ending in lower case."""
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    if not ending:
        return NO_ENDING
    return ending if _ENDING.fullmatch(ending) else OTHER_ENDING


def begins_like_an_image(name: str, folder: int) -> bool:
    """Whether the first bytes of a file are those of an image. `folder` is the descriptor of its folder.

    Raises OSError.
    """
    # Without O_NONBLOCK, opening a pipe would wait until somebody writes to it.
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        return (
            stat.S_ISREG(os.fstat(descriptor).st_mode)
            and format_of(os.read(descriptor, HEAD_BYTES)) is not None
        )
    finally:
        os.close(descriptor)
