"""Scanning a source: comparing its files with the catalog in one pass.

A scan finds new, changed, missing and returned files. Both sides are streams in path order, so memory does not grow
with the library. Unchanged files are skipped by the thousand; the others are compared one by one. Each batch is one
short transaction. A killed scan loses nothing: the next scan finds the rest.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, func, insert, select, update

from photolineage.catalog.engine import DATABASE_TIME, database_time, reading, run_in_transaction
from photolineage.catalog.leases import Lease
from photolineage.catalog.orm import MlJob, Source
from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.media.errors import UnreadableImageError
from photolineage.media.formats import SUPPORTED_SUFFIXES
from photolineage.media.regular_file import open_regular_file
from photolineage.settings import SourceSettings
from photolineage.steps.absences import any_is_left_out, find_places_away, place_of
from photolineage.steps.found_files import FileRun, FoundFile
from photolineage.steps.known_files import KnownImage, is_as_known, known_images
from photolineage.steps.lookahead import map_ahead
from photolineage.steps.progress import OnProgress, Progress, ignore_progress
from photolineage.steps.scanned_files import ScannedFiles, commit_scanned
from photolineage.steps.time_shift import TimeShift, find_time_shift, has_known_sidecars, has_known_time
from photolineage.steps.tree_walk import SourceUnavailableError, TreeWalk

BATCH_FILES = 2_000
COMMIT_INTERVAL_S = 1.0


@dataclass(slots=True)
class ScanReport:
    """What a scan found, in images. `moved`: images that were found under another path.

    `changed`: images whose file changed, or one of their sidecars. `sidecars`: how many sidecars images have.

    The rows of images at and below `unreadable` places (with the reasons), and in folders and links on unmounted disks
    (`away`, with the number of images), were not changed. `passed_over` counts by kind what a source contains besides.
    `retimed`: unchanged images whose file has another time. `time_shift` says how it differs and why nothing is read.
    """

    files: int = 0
    new: int = 0
    changed: int = 0
    missing: int = 0
    moved: int = 0
    returned: int = 0
    unchanged: int = 0
    sidecars: int = 0
    retimed: int = 0
    time_shift: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)
    away: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)


def ensure_source(engine: Engine, key: str, root: Path) -> int:
    """The id of the source. Creates its row, or updates the root in it."""

    def ensure(connection: Connection) -> int:
        known = connection.execute(select(Source.id).where(Source.key == key)).scalar_one_or_none()
        if known is not None:
            connection.execute(update(Source).where(Source.id == known).values(root=str(root)))
            return known
        created: int = connection.execute(
            insert(Source).values(key=key, root=str(root), created_at=DATABASE_TIME).returning(Source.id)
        ).scalar_one()
        return created

    return run_in_transaction(engine, ensure)


def walk_of(source: SourceSettings) -> TreeWalk:
    """The walk that finds the images of a source, as its settings say."""
    return TreeWalk(
        source.root,
        SUPPORTED_SUFFIXES,
        source.exclude,
        source.hidden,
        source.follow_links,
        source.leave_out_copies,
    )


def scan_source(
    lease: Lease,
    source_id: int,
    walk: TreeWalk,
    *,
    shard_capacity: int,
    on_progress: OnProgress = ignore_progress,
) -> ScanReport:
    """Update the catalog's rows of a source from its files.

    Raises SourceUnavailableError, and marks nothing as missing, if the root cannot be read.
    """
    report = ScanReport()
    batch = ScannedFiles()
    missing: list[KnownImage] = []
    committed_files = 0
    committed_at = time.monotonic()
    shift = find_time_shift(lease, source_id, walk.root)

    def commit() -> None:
        nonlocal batch, committed_files, committed_at
        commit_scanned(lease, source_id, batch, shard_capacity, files=report.files - committed_files)
        batch, committed_files, committed_at = ScannedFiles(), report.files, time.monotonic()
        on_progress(Progress(report.files, None))

    for differing in _compare(lease.engine, source_id, walk.runs(), report):
        for known, found in differing:
            _sort_into(batch, missing, report, walk.root, known, found, shift)
            if len(batch) >= BATCH_FILES:
                commit()
        if time.monotonic() - committed_at >= COMMIT_INTERVAL_S:
            commit()
    commit()
    # Only a complete walk shows which images are missing.
    missing_paths = [image.path for image in missing]
    _refuse_empty_root(walk, report, missing_paths)
    report.unreadable = walk.unreadable
    report.sidecars = walk.sidecars_found
    report.passed_over = dict(walk.passed_over.most_common())
    report.time_shift = shift.describe(report.retimed) if shift is not None and report.retimed else ""
    report.away = find_places_away(
        walk, missing_paths, files=report.files, scanned_since=_last_success_began(lease)
    )
    left = {*report.unreadable, *report.away}
    gone = [image for image in missing if place_of(image.path, left) is None]
    for start in range(0, len(gone), BATCH_FILES):
        part = ScannedFiles(missing=gone[start : start + BATCH_FILES])
        report.moved += commit_scanned(lease, source_id, part, shard_capacity, files=0)
    report.missing = len(gone) - report.moved
    lease.commit(
        lambda connection: connection.execute(
            update(Source)
            .where(Source.id == source_id)
            .values(scanned_at=DATABASE_TIME, passed_over=json.dumps(report.passed_over))
        ),
        done=0,
    )
    lease.settle_total(report.files)
    on_progress(Progress(report.files, report.files))
    return report


def _refuse_empty_root(walk: TreeWalk, report: ScanReport, missing: list[str]) -> None:
    """Raise SourceUnavailableError if the root looks like the mount point of an unplugged disk.

    Such a folder is empty, except for files that a NAS or a backup left in it.
    """
    if missing and not report.files and "" in walk.empty_folders and not any_is_left_out(walk, missing):
        raise SourceUnavailableError(
            f"{walk.root}: this folder is empty (except for hidden or excluded files), but the catalog has "
            f"{len(missing)} images in it. Mount the disk; no image was marked as missing. If the images are really "
            "gone, put any file into the folder and scan again."
        )


def _last_success_began(lease: Lease) -> datetime | None:
    """When the last successful scan of this source began, by this host's clock, as the folders' times are.

    None before the first.
    """
    succeeded = select(func.max(MlJob.started_at)).where(
        MlJob.kind == lease.kind, MlJob.subject == lease.subject, MlJob.state == JobState.SUCCEEDED
    )
    with reading(lease.engine) as connection:
        began = connection.execute(succeeded).scalar_one()
        return began and began + (datetime.now(UTC) - database_time(connection))


def _compare(
    engine: Engine, source_id: int, runs: Iterator[FileRun], report: ScanReport
) -> Iterator[Iterator[tuple[KnownImage | None, FoundFile | None]]]:
    """The pairs that `_merge` makes of each run of files. Runs that match the catalog give no pairs."""
    reached = ""
    # The database compares one run while the next is read from the disk.
    for run, is_known in map_ahead(
        lambda item: (item[0], is_as_known(engine, source_id, item[0], after=item[1])),
        _each_after_the_last(runs),
        threads=1,
        ahead=2,
    ):
        if is_known:
            report.files += len(run)
            report.unchanged += len(run)
            yield iter(())
        else:
            yield _merge(known_images(engine, source_id, reached, run.paths[-1]), run.files())
        reached = run.paths[-1]
    yield _merge(known_images(engine, source_id, reached, None), iter(()))


def _each_after_the_last(runs: Iterator[FileRun]) -> Iterator[tuple[FileRun, str]]:
    """Each run with the last path of the run before it."""
    reached = ""
    for run in runs:
        yield run, reached
        reached = run.paths[-1]


def _merge(
    known: Iterator[KnownImage], found: Iterator[FoundFile]
) -> Iterator[tuple[KnownImage | None, FoundFile | None]]:
    """Pairs of a row and a file with the same path. One half is None if only the other exists."""
    image, file = next(known, None), next(found, None)
    while image is not None or file is not None:
        if file is None or (image is not None and os.fsencode(image.path) < os.fsencode(file.path)):
            yield image, None
            image = next(known, None)
        elif image is None or os.fsencode(file.path) < os.fsencode(image.path):
            yield None, file
            file = next(found, None)
        else:
            yield image, file
            image, file = next(known, None), next(found, None)


def _sort_into(
    batch: ScannedFiles,
    missing: list[KnownImage],
    report: ScanReport,
    root: Path,
    known: KnownImage | None,
    found: FoundFile | None,
    shift: TimeShift | None,
) -> None:
    if found is None:
        if known is not None and known.state != ImageState.MISSING:
            missing.append(known)
        return
    report.files += 1
    if known is None:
        batch.new.append(found)
        report.new += 1
    elif (
        known.size_bytes != found.size_bytes
        or not has_known_time(known, found, shift)
        or not has_known_sidecars(known, found, shift)
    ):
        batch.changed.append((known, found))
        report.changed += 1
    elif known.state == ImageState.MISSING or (known.had_vanished and _opens(root / found.path)):
        batch.returned.append((known, found))
        report.returned += 1
    elif (known.mtime_ns, known.sidecars or "") != (found.mtime_ns, found.sidecars):
        batch.retimed.append((known, found))
        report.retimed += 1
    else:
        report.unchanged += 1


def _opens(path: Path) -> bool:
    """Whether the file can be opened. Some network file systems list deleted files."""
    try:
        with open_regular_file(path):
            return True
    except UnreadableImageError:
        return False
