"""Whether a scan saw a photo, when, and why not."""

import os
from typing import Any, Final

from sqlalchemy import Connection, Row

from photolineage.catalog.listing import newest_job
from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.explain.disk import AWAY, NO_FILE, THERE
from photolineage.explain.findings import NOT_YET, YES, Finding, moment, work_left
from photolineage.explain.passed_over import why_passed_over
from photolineage.explain.places import KnownSource, Place
from photolineage.lineage import JobKind
from photolineage.plain_text import printable
from photolineage.steps.found_files import recorded_mtime
from photolineage.steps.tree_walk import why_unavailable

SCAN: Final = "scan"


def scan_finding(connection: Connection, place: Place, on_disk: Finding) -> Finding:
    """Whether a scan saw the photo, when, and why not. `on_disk` is the finding about its file."""
    source, image = place.source, place.image
    left_out = why_passed_over(place.path, source.key, source.settings) if source.settings else None
    if image is None and on_disk.state == NO_FILE:
        return Finding(SCAN, "passed over", "only files become images")
    if left_out is not None:
        counts = "" if image is None else _fate_of_left_out(image)
        return Finding(SCAN, left_out.state, left_out.reason + counts, left_out.remedy)
    if image is None:
        return _never_seen(connection, place, on_disk)
    if image.state == ImageState.MISSING:
        return _missing(source, is_back=on_disk.state == THERE)
    return _seen(place, image, on_disk)


def _fate_of_left_out(image: Row[Any]) -> str:
    if image.state == ImageState.MISSING:
        return "; the image counts as missing"
    return "; the next scan counts the image as missing"


def _missing(source: KnownSource, *, is_back: bool) -> Finding:
    reason = f"the last complete scan ({moment(source.scanned_at)}) did not find the file"
    if is_back:
        return Finding(SCAN, "missing", f"{reason}. It is back", _scan_again(source))
    remedy = "Put it back, and scan again. What was computed for it is kept, and is still valid."
    return Finding(SCAN, "missing", reason, remedy)


def _seen(place: Place, image: Row[Any], on_disk: Finding) -> Finding:
    """About an image that is not missing in the catalog; its file may be gone from the disk since."""
    source = place.source
    seen = f"found {moment(image.discovered_at)}; the last complete scan was {moment(source.scanned_at)}"
    if on_disk.state == THERE:
        status = place.file.stat()
        mtime_ns = recorded_mtime(status)
        if (status.st_size, mtime_ns) == (image.size_bytes, image.mtime_ns):
            return Finding(SCAN, YES, seen)
        return Finding(SCAN, "changed", f"{seen}. The file has changed since", _scan_again(source))
    if why_unavailable(source.root) is not None:
        return Finding(SCAN, AWAY, f"{seen}. The disk is away, and the image is kept as it was")
    if (folder := _empty_folder_above(place)) is not None:
        reason = (
            f"{seen}. {printable(folder)} is an empty folder or a broken link, as after unplugging a disk. Scans keep "
            "its images as they were, unless they were deleted in it"
        )
        return Finding(SCAN, AWAY, reason, "Mount the disk, and scan again.")
    return Finding(SCAN, "gone", f"{seen}. The next scan marks the image as missing", "Put the file back.")


def _never_seen(connection: Connection, place: Place, on_disk: Finding) -> Finding:
    """About a path that the catalog does not know, and that no rule leaves out."""
    source = place.source
    if on_disk.state != THERE:
        return Finding(SCAN, "never seen", "no scan has found a file at this path")
    if source.settings is None:
        return Finding(SCAN, "never seen", "a source that is not configured is not scanned")
    scan = newest_job(connection, JobKind.SCAN, source.key)
    if scan is None or scan.state != JobState.SUCCEEDED:
        return work_left(connection, SCAN, JobKind.SCAN, source.key)
    began = moment(scan.started_at)
    if place.file.stat().st_ctime >= scan.started_at.timestamp():
        return Finding(SCAN, NOT_YET, f"the file is newer than the last scan ({began})", _scan_again(source))
    reason = (
        f"the last scan ({began}) did not record it. A scan enters a folder once: it may have come to this one "
        "through a link, under another path. Or the configuration of the source has changed since"
    )
    return Finding(SCAN, "not recorded", reason, _scan_again(source))


def _scan_again(source: KnownSource) -> str:
    return (
        f"Materialize the partition {source.key} of source_files, or run `photolineage run`. The sensor "
        "stale_partitions does it automatically."
    )


def _empty_folder_above(place: Place) -> str | None:
    """The innermost folder above the file, below the root, if it is empty or a broken link."""
    folder = place.path.rpartition("/")[0]
    while folder:
        path = place.source.root / folder
        if os.path.lexists(path):
            return folder if not path.exists() or why_unavailable(path) == "it is empty" else None
        folder = folder.rpartition("/")[0]
    return None
