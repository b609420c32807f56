"""Times of files that have all shifted, as on exFAT and FAT disks, which store local time rounded to two seconds.

After a change to daylight saving time, each file of such a disk seems to have changed an hour earlier or later. A copy
on such a disk has rounded times. Without this module, a scan would take every file for changed, and the next run would
read the whole disk and embed nothing new.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Row, bindparam, func, select, update

from photolineage.catalog.engine import reading
from photolineage.catalog.leases import Lease
from photolineage.catalog.orm import Image, MlJob, Shard
from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.media.errors import UnreadableImageError
from photolineage.media.original import hash_content
from photolineage.media.regular_file import open_regular_file
from photolineage.steps.found_files import FoundFile, recorded_mtime
from photolineage.steps.known_files import KnownImage

SAMPLED_FILES: Final = 200
SAMPLED_SHARDS: Final = 20
COMPARED_FILES: Final = 20
"""How many files of the sample are read, to compare their content with the catalog."""
NEARLY_ALL: Final = 0.9

STEP_NS: Final = 15 * 60 * 10**9
"""Time zones differ by quarter hours: India by half an hour, Nepal by three quarters."""
LONGEST_SHIFT_NS: Final = 26 * 3600 * 10**9
"""From UTC-12 to UTC+14."""
ROUNDING_NS: Final = 2 * 10**9
"""FAT stores every second second."""

SampledImage = Row[str, int, int, str | None]
"""Path, size, time and content hash."""


@dataclass(frozen=True, slots=True)
class TimeShift:
    """All times of a source differ by `shift_ns` from those in the catalog, give or take `rounding_ns`.

    `compared`: how many files were read, and have the content that the catalog has.
    """

    shift_ns: int
    rounding_ns: int
    compared: int

    def explains(self, known_ns: int, found_ns: int) -> bool:
        """Whether the time of a file differs by nothing else from the one in the catalog."""
        return abs(found_ns - known_ns - self.shift_ns) <= self.rounding_ns

    def describe(self, files: int) -> str:
        """A message that says how the times of `files` files differ, and why they are not read again."""
        rounded = "by at most 2 s" if self.rounding_ns else ""
        shifted = ""
        if self.shift_ns:
            later = "later" if self.shift_ns > 0 else "earlier"
            shifted = f"by {str(timedelta(seconds=abs(self.shift_ns) // 10**9))[:-3]} h ({later})"
        return (
            f"{files:,} files: their times differ {' and '.join(filter(None, (shifted, rounded)))} from those in the "
            "catalog, as after a change to daylight saving time on an exFAT or FAT disk. Their sizes are the same, and "
            f"so is the content of {self.compared} of them, so they are not read again."
        )


def find_time_shift(lease: Lease, source_id: int, root: Path) -> TimeShift | None:
    """By how much the times of nearly all files of a source differ from the catalog; None if no shift explains it.

    A sample decides: sizes must be the same, and so must the content of some files. If the last scan was killed, it may
    have recorded the new times of some files already.
    """
    with reading(lease.engine) as connection:
        sample = _sample(connection, source_id)
        continues = _last_scan_was_cut_short(connection, lease)
    shifted: dict[int, list[tuple[SampledImage, int]]] = defaultdict(list)
    found = as_known = 0
    for image in sample:
        try:
            status = os.stat(root / image.path)
        except OSError:
            continue
        found += 1
        delta = recorded_mtime(status) - image.mtime_ns
        if status.st_size != image.size_bytes:
            continue
        if not delta:
            as_known += 1
        elif (shift := _nearest_shift(delta)) is not None:
            shifted[shift].append((image, delta))
    if not shifted:
        return None
    shift, images = max(shifted.items(), key=lambda item: len(item[1]))
    # A file whose time needs no rounding is as it was, but most files must differ.
    fits_unchanged = continues or (shift == 0 and 2 * len(images) >= found)
    if len(images) + (as_known if fits_unchanged else 0) < NEARLY_ALL * found:
        return None
    compared = _compare_content(root, [image for image, _ in images])
    if not compared:
        return None
    is_exact = all(delta == shift for _, delta in images)
    return TimeShift(shift, 0 if is_exact else ROUNDING_NS, compared)


def has_known_time(known: KnownImage, found: FoundFile, shift: TimeShift | None) -> bool:
    """Whether a file has the time of its row, except for the shift."""
    return known.mtime_ns == found.mtime_ns or (
        shift is not None and shift.explains(known.mtime_ns, found.mtime_ns)
    )


def has_known_sidecars(known: KnownImage, found: FoundFile, shift: TimeShift | None) -> bool:
    """Whether an image has the sidecars of its row, with their sizes and, except for the shift, their times."""
    if (known.sidecars or "") == found.sidecars:
        return True
    before, now = (known.sidecars or "").split("//"), found.sidecars.split("//")
    return (
        shift is not None
        and len(before) == len(now)
        and all(_is_shifted(was, is_now, shift) for was, is_now in zip(before, now, strict=True))
    )


def _is_shifted(known_sidecar: str, found_sidecar: str, shift: TimeShift) -> bool:
    """Whether two states of a sidecar (name, size and time) differ by nothing but the shift."""
    known, found = known_sidecar.rpartition("/"), found_sidecar.rpartition("/")
    try:
        return known[0] == found[0] and shift.explains(int(known[2]), int(found[2]))
    except ValueError:  # the row is damaged, so the sidecar is read again
        return False


def record_new_times(connection: Connection, images: Sequence[tuple[KnownImage, FoundFile]]) -> None:
    """Record the times of files that are otherwise unchanged. What another run has recorded meanwhile stays."""
    if images:
        connection.execute(
            update(Image)
            .where(Image.id == bindparam("image"), Image.mtime_ns == bindparam("known"))
            .values(mtime_ns=bindparam("found"), sidecars=bindparam("beside")),
            [
                {
                    "image": known.id,
                    "known": known.mtime_ns,
                    "found": file.mtime_ns,
                    "beside": file.sidecars or None,
                }
                for known, file in images
            ],
        )


def _sample(connection: Connection, source_id: int) -> Sequence[SampledImage]:
    """Registered images from all over a source."""
    shards = connection.execute(
        select(Shard.id, Shard.image_count).where(Shard.source_id == source_id).order_by(Shard.number)
    ).all()
    chosen = shards[:: -(-len(shards) // SAMPLED_SHARDS) or 1]
    step = max(sum(count for _, count in chosen) // SAMPLED_FILES, 1)
    return connection.execute(
        select(Image.path, Image.size_bytes, Image.mtime_ns, Image.content_hash)
        .where(
            Image.shard_id.in_([shard_id for shard_id, _ in chosen]),
            Image.state == ImageState.REGISTERED,
            Image.id % step == 0,
        )
        .order_by(Image.path)
    ).all()


def _last_scan_was_cut_short(connection: Connection, lease: Lease) -> bool:
    last = (
        select(func.max(MlJob.id))
        .where(MlJob.kind == lease.kind, MlJob.subject == lease.subject, MlJob.id < lease.job_id)
        .scalar_subquery()
    )
    state = connection.execute(select(MlJob.state).where(MlJob.id == last)).scalar_one_or_none()
    return state not in (None, JobState.SUCCEEDED)


def _nearest_shift(delta_ns: int) -> int | None:
    shift = round(delta_ns / STEP_NS) * STEP_NS
    fits = abs(delta_ns - shift) <= ROUNDING_NS and abs(shift) <= LONGEST_SHIFT_NS
    return shift if fits else None


def _compare_content(root: Path, images: Sequence[SampledImage]) -> int:
    """How many of some of the images were read and have the known content. 0 if any has another."""
    compared = 0
    for image in images[:: -(-len(images) // COMPARED_FILES)]:
        try:
            with open_regular_file(root / image.path) as (descriptor, _status):
                found = hash_content(descriptor)
        except UnreadableImageError:
            continue
        if found != image.content_hash:
            return 0
        compared += 1
    return compared
