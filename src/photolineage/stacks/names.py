"""What a file's name says about its shot: which files cameras and programs name after the same one."""

import re
import unicodedata
from enum import IntEnum
from typing import Final, NamedTuple

# What Google Photos adds in its languages, and what Lightroom, Apple's, Samsung's and other programs add.
_EDIT_WORDS: Final = (
    "edit", "edited", "effects", "smile", "enhanced", "enhanced-nr", "enhanced-sr", "edytowane", "bearbeitet",
    "bearbeiten", "bewerkt", "編集済み", "modificato", "modifié", "modifier", "ha editado", "editado", "editada",
    "editat", "redigerad", "redigeret", "redigert", "muokattu", "upraveno",
)  # fmt: skip
_EDITED: Final = re.compile(
    rf"(?P<shot>.+?)(?:[-_](?:{'|'.join(map(re.escape, _EDIT_WORDS))})(?P<number>\(\d+\))?(?:-\d{{1,2}})?|~\d)"
)
_APPLE_EDITED: Final = re.compile(r"img_e(?P<number>\d{4,5})")
_PIXEL: Final = re.compile(r"(?P<shot>pxl_\d{8}_\d{9})(?P<roles>(?:\.[a-z_]+(?:-\d\d)?)*)")
_NAMED_BURST: Final = re.compile(r"(?P<shot>(?=.*\d{8}).+)_burst(?P<frame>\d{3})(?P<cover>_cover)?")
_NAMED_BURST_OF_GOOGLE: Final = re.compile(r"\d{5}[a-z]*_\d{5}_(?P<shot>burst\d{14,17})(?P<cover>_cover)?")
_USUAL: Final = re.compile(r"(?P<series>[a-z]*_?)(?P<counter>\d{3,9})")
"""Most names of cameras. They need no other look."""
_COUNTER: Final = re.compile(r"(?P<series>.*?)(?P<counter>\d{3,9})")


class Version(IntEnum):
    """What a file is to its shot, the version to show first."""

    EDITED = 0
    COVER = 1
    PLAIN = 2
    SOURCE = 3


class ShotName(NamedTuple):
    """The name of a file without its folder, taken apart.

    `shot`: the files of one shot have the same, whatever their case. `is_named_shot`: a phone gave `shot` the time to
    the millisecond, or a role. `is_named_burst`: the name says that the file belongs to the burst `shot`. `series`
    and `counter`: the name before its last number, and that number; None without one, and for an edited copy.
    """

    shot: str
    version: Version = Version.PLAIN
    is_named_shot: bool = False
    is_named_burst: bool = False
    series: str = ""
    counter: int | None = None


def read_name(file_name: str) -> ShotName:
    """What the name of a file says about its shot."""
    stem = file_name.rpartition(".")[0] or file_name
    stem = stem.lower() if stem.isascii() else unicodedata.normalize("NFC", stem).casefold()
    if usual := _USUAL.fullmatch(stem):
        return _counted(stem, usual)
    if (edited := _without_edits(stem)) != stem:
        return ShotName(_plain(edited).shot, Version.EDITED)
    return _plain(stem)


def _without_edits(stem: str) -> str:
    """The name of the shot of an edited copy, also of one edited twice: `x-effects-edited(1)` belongs to `x(1)`."""
    if apple := _APPLE_EDITED.fullmatch(stem):
        return f"img_{apple['number']}"
    while edited := _EDITED.fullmatch(stem):
        stem = edited["shot"] + (edited["number"] or "")
    return stem


def _plain(stem: str) -> ShotName:
    if pixel := _PIXEL.fullmatch(stem):
        roles = {role.partition("-")[0] for role in pixel["roles"].split(".")}
        version = (
            Version.COVER if "cover" in roles else Version.SOURCE if "original" in roles else Version.PLAIN
        )
        return ShotName(pixel["shot"], version, is_named_shot=True, is_named_burst="burst" in roles)
    if burst := _NAMED_BURST.fullmatch(stem) or _NAMED_BURST_OF_GOOGLE.fullmatch(stem):
        version = Version.COVER if burst["cover"] else Version.PLAIN
        return ShotName(burst["shot"], version, is_named_burst=True)
    counted = _COUNTER.fullmatch(stem)
    return ShotName(stem) if counted is None else _counted(stem, counted)


def _counted(stem: str, match: re.Match[str]) -> ShotName:
    digits = match["counter"]
    return ShotName(stem, series=f"{match['series']}{len(digits)}", counter=int(digits))
