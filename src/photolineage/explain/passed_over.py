"""Why a scan passes a path over. The rules are those of `photolineage.steps.tree_walk.TreeWalk`."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePosixPath
from typing import Final

from pathspec import GitIgnoreSpec

from photolineage.media.formats import SUPPORTED_SUFFIXES
from photolineage.plain_text import printable
from photolineage.settings.sections import SourceSettings
from photolineage.steps.left_out import (
    NO_ENDING,
    begins_like_an_image,
    copies_of_programs,
    is_hidden,
    kind_of,
)
from photolineage.steps.sidecar_names import EDITS, READ
from photolineage.steps.tree_walk import is_followed

_VIDEOS: Final = frozenset(
    (".3gp", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv")
)
_FORMATS: Final = ", ".join(sorted(SUPPORTED_SUFFIXES))


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Why a scan passes a path over, and what to change."""

    state: str
    reason: str
    remedy: str


def why_passed_over(path: str, source_key: str, source: SourceSettings) -> PassedOver | None:
    """Why a scan of the source passes over the file at this path below its root; None if nothing leaves it out.

    The first reason on the way from the root is the one that counts.
    """
    rules = _Rules(
        source_key, source, os.path.realpath(source.root), GitIgnoreSpec.from_lines(source.exclude)
    )
    folders = [f"{folder}/" for folder in list(accumulate(path.split("/"), "{}/{}".format))[:-1]]
    reasons = (reason for one in (*folders, path) for reason in rules.why_left_out(one) if reason is not None)
    return next(reasons, None) or (None if _is_unnamed_image(source, path) else why_unsupported(path))


def _is_unnamed_image(source: SourceSettings, path: str) -> bool:
    """Whether the file's name has no suffix, and its first bytes are those of an image."""
    folder, _, name = path.rpartition("/")
    if kind_of(name) != NO_ENDING:
        return False
    with suppress(OSError):  # the answer says elsewhere that the file is not there
        descriptor = os.open(source.root / folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return begins_like_an_image(name, descriptor)
        finally:
            os.close(descriptor)
    return False


@dataclass(frozen=True, slots=True)
class _Rules:
    """What leaves out a file or a folder of a source, whatever is above it. The path of a folder ends with a slash."""

    source_key: str
    source: SourceSettings
    real_root: str
    excluded: GitIgnoreSpec

    def why_left_out(self, path: str) -> Iterator[PassedOver | None]:
        yield self._why_hidden(PurePosixPath(path).name)
        yield self._why_link(path.rstrip("/"))
        yield self._why_copies(path)
        yield self._why_excluded(path)

    def _why_hidden(self, name: str) -> PassedOver | None:
        if not is_hidden(name, hidden=self.source.hidden):
            return None
        if self.source.hidden:
            return PassedOver(
                "hidden", f"macOS writes {printable(name)} beside a file", "Look for the file of that name."
            )
        return PassedOver(
            "hidden",
            f"the name {printable(name)} begins with a dot",
            f"To read hidden files and folders, set sources.{self.source_key}.hidden = true.",
        )

    def _why_link(self, path: str) -> PassedOver | None:
        link = os.path.join(self.source.root, path)
        follow = self.source.follow_links
        if not os.path.islink(link) or is_followed(link, self.real_root, follow):
            return None
        setting = f"sources.{self.source_key}.follow_links"
        return PassedOver(
            "behind a link",
            f"{printable(path)} is a link to {printable(os.readlink(link))}, and {setting} is '{follow}'",
            f"Set {setting} = 'all', or add the folder as a source of its own.",
        )

    def _why_copies(self, path: str) -> PassedOver | None:
        if not self.source.leave_out_copies or not path.endswith("/"):
            return None
        if copies_of_programs(f"{self.source.root.name}/{path.rstrip('/')}") is None:
            return None
        return PassedOver(
            "copies of a program",
            f"programs keep thumbnails, snapshots or deleted files in folders like {printable(path)}",
            f"To read them all the same, set sources.{self.source_key}.leave_out_copies = false.",
        )

    def _why_excluded(self, path: str) -> PassedOver | None:
        found = self.excluded.check_file(path)
        if not found.include or found.index is None:
            return None
        return PassedOver(
            "excluded",
            f"{printable(path)} matches the pattern '{printable(self.source.exclude[found.index])}' of "
            f"sources.{self.source_key}.exclude",
            "Remove or narrow the pattern, and scan again.",
        )


def why_unsupported(path: str) -> PassedOver | None:
    """Why a scan does not read a file with this path, going by its suffix; None if it does."""
    name = path.rpartition("/")[2]
    suffix = name[name.rfind(".") :].lower()
    if suffix in SUPPORTED_SUFFIXES:
        return None
    if suffix in READ:
        return PassedOver(
            "no image",
            f"{printable(suffix)} is the suffix of sidecars: what is written in one is read with its image",
            "Ask for the image. If its row `registered` is older than the sidecar, scan again.",
        )
    if suffix == EDITS:
        return PassedOver(
            "passed over",
            f"{printable(suffix)} is the suffix of the edits that Apple keeps beside a photo. They are not applied",
            "Export the edited photo to have it, too.",
        )
    if suffix in _VIDEOS:
        return PassedOver(
            "passed over",
            f"{printable(suffix)} is the suffix of videos, which are not read",
            "If this is the movie of a live photo, ask for the photo of the same name.",
        )
    return PassedOver(
        "passed over",
        f"{printable(suffix)} is not a format that is read" if "." in name else "the name has no suffix",
        f"Photolineage reads {_FORMATS}. Convert the photo, or give the file its right suffix.",
    )
