"""Whether a disk may be wiped: which of its files stand intact on another disk, and what would be lost.

The answer errs on the safe side: a copy counts only if it is there now, on another disk, and was verified lately.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, select

from photolineage.catalog.engine import database_time, reading
from photolineage.catalog.orm import Image, Source
from photolineage.catalog.verification import Copy, find_copies
from photolineage.catalog.vocabulary import ImageState
from photolineage.errors import PhotolineageError
from photolineage.media.formats import SUPPORTED_SUFFIXES
from photolineage.plain_text import counted, printable
from photolineage.steps.found_files import recorded_mtime
from photolineage.steps.left_out import copies_of_programs, kind_of
from photolineage.steps.physical_disks import physical_disks
from photolineage.steps.sidecar_names import (
    EDITS,
    KIND_OF_EDITS,
    KIND_OF_LIVE_PHOTOS,
    MOVIE,
    READ,
    live_photos,
    sidecars_of,
)
from photolineage.steps.source_jobs import find_source
from photolineage.steps.tree_walk import why_unavailable

LISTED_SHARDS: Final = 10
LISTED_FILES: Final = 5

OF_SYSTEMS: Final = frozenset(
    {".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".nomedia", ".localized"}
)
"""Files that systems write into every folder, in lower case."""

NOT_VERIFIED: Final = "not verified since it was registered"
LAST_VERIFIED: Final = "last verified"
AWAY: Final = "its disk is away"
GONE: Final = "gone since the last scan"
NO_COPY: Final = "no copy elsewhere"
NOT_IN_CATALOG: Final = "not in the catalog: new, hidden or excluded"
CHANGED: Final = "changed since the last scan"
NOT_READ: Final = "new or changed, and not registered yet"
TO_SCAN: Final = frozenset({NOT_IN_CATALOG, CHANGED, NOT_READ})
LINKS: Final = "links"


class CoverageError(PhotolineageError):
    """It cannot be told whether a source is covered; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class CopyElsewhere:
    """A file in another source with the same content. `problem`: why it does not count; None if it does."""

    source: str
    path: str
    verified_at: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class ImageOnDisk:
    """An image on the disk. `problem`: why it would be lost; None if a copy counts."""

    path: str
    copies: list[CopyElsewhere]
    problem: str | None


@dataclass(slots=True)
class OtherFiles:
    """Files of one kind that are not images: how many there are, and the first of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Coverage:
    """The answer. `not_compared`: files that are not images, by kind; whether they stand elsewhere is not known.

    `of_programs`: files of programs and systems, and links, by kind. They do not count. `unreadable`: folders that
    cannot be listed, and why. `plan`: what to do before the disk is wiped.
    """

    source: str
    root: str
    by: list[str]
    verified_within_days: int
    covered: bool = False
    images: list[ImageOnDisk] = field(default_factory=list)
    not_compared: dict[str, OtherFiles] = field(default_factory=dict)
    of_programs: dict[str, OtherFiles] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    plan: list[str] = field(default_factory=list)

    @property
    def lost(self) -> list[ImageOnDisk]:
        """The images that would be lost."""
        return [image for image in self.images if image.problem is not None]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the catalog knows of a file."""

    size_bytes: int
    mtime_ns: int
    state: ImageState
    content_hash: str | None
    failure: str


@dataclass(slots=True)
class _OnDisk:
    """What stands below the root now. `contents`: the content hash by path; `unknown`: why it is not known.

    `others`, `of_programs`: the kind and the path of each file that is not an image.
    """

    contents: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    others: list[tuple[str, str]] = field(default_factory=list)
    of_programs: list[tuple[str, str]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def find_coverage(
    engine: Engine,
    source_key: str,
    by: Sequence[str] = (),
    *,
    verified_within_days: int,
) -> Coverage:
    """Whether everything in the folder of a source also stands in the sources `by` (default: all others).

    A copy counts if it was verified within so many days. Reads no file and changes nothing. Raises UnknownSourceError,
    and CoverageError if the disk is away.
    """
    with reading(engine) as connection:
        source = find_source(connection, source_key)
        others = [key for key in connection.execute(select(Source.key)).scalars() if key != source_key]
        for key in by:
            find_source(connection, key)
        known = _known_files(connection, source.id)
        earliest = database_time(connection) - timedelta(days=verified_within_days)
    if source_key in by:
        raise CoverageError(f"--by {source_key}: a source cannot cover itself. Name another source.")
    root = Path(source.root)
    if (reason := why_unavailable(root)) is not None:
        raise CoverageError(
            f"{printable(root)}: cannot be read: {reason}. Mount the disk: files that no scan has seen count too."
        )
    found = _look_at_disk(root, known)
    coverage = Coverage(source_key, str(root), sorted(by or others), verified_within_days)
    with reading(engine) as connection:
        copies = find_copies(connection, set(found.contents.values()))
    judge = _Judge(root, frozenset(coverage.by), earliest)
    to_verify: set[str] = set()
    for path, content in found.contents.items():
        elsewhere = [copy for copy in copies.get(content, []) if copy.source in judge.by]
        judged = [(copy, judge.problem(copy)) for copy in elsewhere]
        coverage.images.append(_image(path, judged))
        if coverage.images[-1].problem is not None:
            to_verify |= {copy.shard for copy, problem in judged if _only_needs_verifying(problem)}
    coverage.images += [ImageOnDisk(path, [], reason) for path, reason in found.unknown.items()]
    coverage.images.sort(key=lambda image: os.fsencode(image.path))
    coverage.not_compared = _by_kind(found.others)
    coverage.of_programs = _by_kind(found.of_programs)
    coverage.unreadable = found.unreadable
    coverage.covered = not (coverage.lost or coverage.not_compared or coverage.unreadable)
    coverage.plan = list(_plan(coverage, sorted(to_verify)))
    return coverage


def _by_kind(files: Sequence[tuple[str, str]]) -> dict[str, OtherFiles]:
    """The files by their kinds, the most frequent kind first."""
    kinds: dict[str, OtherFiles] = defaultdict(OtherFiles)
    for kind, path in sorted(files, key=lambda one: os.fsencode(one[1])):
        kinds[kind].count += 1
        if kinds[kind].count <= LISTED_FILES:
            kinds[kind].examples.append(path)
    return dict(sorted(kinds.items(), key=lambda one: (-one[1].count, one[0])))


def _known_files(connection: Connection, source_id: int) -> Mapping[str, _Known]:
    rows = connection.execute(
        select(
            Image.path,
            Image.size_bytes,
            Image.mtime_ns,
            Image.state,
            Image.content_hash,
            Image.failure_reason,
        ).where(Image.source_id == source_id)
    ).all()
    return {
        path: _Known(size, mtime, state, content, str(reason))
        for path, size, mtime, state, content, reason in rows
    }


def _look_at_disk(root: Path, known: Mapping[str, _Known]) -> _OnDisk:
    """Every file below the root, also those that a scan leaves out. Links are not followed: they hold no content."""
    found = _OnDisk()

    def note(error: OSError) -> None:
        found.unreadable[os.path.relpath(error.filename or root, root)] = error.strerror or str(error)

    programs: dict[str, str] = {}
    for folder, below, names in os.walk(root, onerror=note):
        inside = os.path.relpath(folder, root)
        prefix = "" if inside == "." else f"{inside}/"
        for name in below:
            label = programs.get(folder) or copies_of_programs(f"{root.name}/{prefix}{name}")
            if label is not None:
                programs[os.path.join(folder, name)] = label
            if os.path.islink(os.path.join(folder, name)):
                found.of_programs.append((LINKS, f"{prefix}{name}"))
        others = []
        for name in names:
            try:
                if _sort_in(
                    found, os.path.join(folder, name), f"{prefix}{name}", known, programs.get(folder)
                ):
                    others.append(name)
            except OSError as error:
                note(error)
        found.others += [(kind, f"{prefix}{name}") for kind, name in _with_kinds(others, names)]
    return found


def _with_kinds(others: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The files of a folder that are not images, each with its kind. `names`: those of all files of the folder."""
    images = [name for name in names if os.path.splitext(name)[1].lower() in SUPPORTED_SUFFIXES]
    movies = live_photos(images, [name for name in others if name.lower().endswith(MOVIE)])
    beside = sidecars_of(images, [name for name in others if name.lower().endswith(READ)])
    sidecars = {name for of_image in beside.values() for name in of_image}
    for name in others:
        if name in sidecars:
            yield f"sidecars ({kind_of(name)})", name
        elif name in movies:
            yield KIND_OF_LIVE_PHOTOS, name
        else:
            yield KIND_OF_EDITS if name.lower().endswith(EDITS) else kind_of(name), name


def _sort_in(
    found: _OnDisk, place: str, path: str, known: Mapping[str, _Known], of_program: str | None
) -> bool:
    """Note a file below the root. Returns whether it is neither an image nor a file of a program."""
    name = os.path.basename(path)
    status = os.lstat(place)
    if os.path.islink(place):
        found.of_programs.append((LINKS, path))
    elif (row := known.get(path)) is not None:
        if (row.size_bytes, row.mtime_ns) != (status.st_size, recorded_mtime(status)):
            found.unknown[path] = CHANGED
        elif row.state == ImageState.REGISTERED and row.content_hash is not None:
            found.contents[path] = row.content_hash
        elif row.state == ImageState.FAILED:
            found.unknown[path] = f"cannot be read as an image ({row.failure}), so its content is not known"
        else:
            found.unknown[path] = NOT_READ
    elif of_program is not None:
        found.of_programs.append((of_program, path))
    elif name.lower() in OF_SYSTEMS or name.startswith("._"):
        found.of_programs.append((name if name.lower() in OF_SYSTEMS else "._*", path))
    elif os.path.splitext(name)[1].lower() in SUPPORTED_SUFFIXES:
        found.unknown[path] = NOT_IN_CATALOG
    else:
        return True
    return False


class _Judge:
    """Says which copies count."""

    def __init__(self, root: Path, by: frozenset[str], earliest: datetime) -> None:
        self.by = by
        self._real_root = os.path.realpath(root)
        self._disks = physical_disks(str(root))
        self._earliest = earliest
        self._disks_of: dict[int, frozenset[str]] = {}
        self._absence: dict[str, str] = {}

    def problem(self, copy: Copy) -> str | None:
        """Why a copy does not count; None if it does."""
        place = os.path.join(copy.root, copy.path)
        try:
            status = os.stat(place)
        except OSError:
            return self._why_absent(copy.root)
        if (status.st_size, recorded_mtime(status)) != (copy.size_bytes, copy.mtime_ns):
            return CHANGED
        real = os.path.realpath(place)
        if os.path.commonpath([real, self._real_root]) == self._real_root:
            return "inside the folder that would be wiped"
        if not self._disks.isdisjoint(self._disks_at(real, status.st_dev)):
            return "on the same disk"
        if copy.verified_at is None:
            return NOT_VERIFIED
        return None if copy.verified_at >= self._earliest else f"{LAST_VERIFIED} {copy.verified_at:%Y-%m-%d}"

    def _disks_at(self, place: str, device: int) -> frozenset[str]:
        if device not in self._disks_of:
            self._disks_of[device] = physical_disks(place)
        return self._disks_of[device]

    def _why_absent(self, root: str) -> str:
        if root not in self._absence:
            self._absence[root] = GONE if why_unavailable(Path(root)) is None else AWAY
        return self._absence[root]


def _only_needs_verifying(problem: str | None) -> bool:
    return problem is not None and problem.startswith((NOT_VERIFIED, LAST_VERIFIED))


def _image(path: str, judged: Sequence[tuple[Copy, str | None]]) -> ImageOnDisk:
    # Copies that count come first, then those that only need to be verified.
    ordered = sorted(judged, key=lambda one: (one[1] is not None, not _only_needs_verifying(one[1])))
    copies = [
        CopyElsewhere(copy.source, os.path.join(copy.root, copy.path), copy.verified_at, problem)
        for copy, problem in ordered
    ]
    if not copies:
        return ImageOnDisk(path, [], NO_COPY)
    best = copies[0]
    reason = None if best.problem is None else f"the copy in {best.source} does not count: {best.problem}"
    return ImageOnDisk(path, copies, reason)


def _plan(coverage: Coverage, to_verify: Sequence[str]) -> Iterator[str]:
    if coverage.covered:
        yield (
            f"Every image ({len(coverage.images):,}) stands on another disk, and this one has no other files of yours. "
            "You may wipe it. Photolineage deletes nothing."
        )
        return
    reasons: dict[str, int] = defaultdict(int)
    for image in coverage.lost:
        reasons[image.problem or ""] += 1
    if (unseen := sum(reasons[reason] for reason in TO_SCAN if reason in reasons)) > 0:
        left_out = (
            " Copy those that a scan leaves out (hidden, excluded) yourself."
            if reasons[NOT_IN_CATALOG]
            else ""
        )
        yield (
            f"Scan and register the source {coverage.source}: the catalog does not know {unseen:,} of its images."
            f"{left_out}"
        )
    if to_verify:
        shards = ", ".join(to_verify[:LISTED_SHARDS])
        more = f" and {len(to_verify) - LISTED_SHARDS:,} more" if len(to_verify) > LISTED_SHARDS else ""
        yield (
            f"Run verified_originals for {shards}{more} first (`photolineage ui`): the copies there were not verified "
            f"within {coverage.verified_within_days} days."
        )
    away = {copy.source for image in coverage.lost for copy in image.copies if copy.problem == AWAY}
    if away:
        yield f"Mount the disk of {', '.join(sorted(away))}: it has copies."
    left = len(coverage.lost) - unseen
    left -= sum(any(_only_needs_verifying(copy.problem) for copy in image.copies) for image in coverage.lost)
    if left > 0:
        yield f"Copy {counted(left, 'image')} to another disk: no copy that counts is known."
    if coverage.not_compared:
        kinds = ", ".join(f"{files.count:,} × {kind}" for kind, files in coverage.not_compared.items())
        yield (
            "Photolineage compares only images. Copy the other files to another disk yourself, or do without them: "
            f"{kinds}."
        )
    if coverage.unreadable:
        yield f"Look into {len(coverage.unreadable):,} folders and files that cannot be read."
    yield "Then run this command again."
