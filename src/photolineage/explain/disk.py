"""What the disk says about a photo: its file, and the folder of its source."""

import errno
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from photolineage.catalog.orm import MlJob
from photolineage.catalog.vocabulary import JobState
from photolineage.explain.findings import YES, Finding, moment
from photolineage.explain.places import KnownSource
from photolineage.lineage import JobKind
from photolineage.plain_text import printable
from photolineage.steps.tree_walk import why_unavailable

FILE: Final = "file"
SOURCE: Final = "source"
THERE: Final = "there"
NO_FILE: Final = "no file"
AWAY: Final = "away"
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def file_finding(file: Path) -> Finding:
    """What is at this path on the disk now."""
    try:
        status = file.stat()
    except OSError as error:
        return _unreachable(file, error)
    if stat.S_ISREG(status.st_mode):
        changed = datetime.fromtimestamp(status.st_mtime, UTC)
        return Finding(FILE, THERE, f"{status.st_size:,} bytes, changed {moment(changed)}")
    kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "of another kind")
    return Finding(FILE, NO_FILE, f"this is {kind}, and only files are read", "Give the path of a photo.")


def _unreachable(file: Path, error: OSError) -> Finding:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Finding(
            FILE,
            "no permission",
            error.strerror or "",
            "Let the user that runs Photolineage read the folder.",
        )
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
        if os.path.islink(file):
            target = printable(os.readlink(file))
            return Finding(
                FILE, "a broken link", f"it leads to {target}, which is not there", "Mend the link."
            )
        return Finding(FILE, "not there", "there is no file at this path now")
    return Finding(FILE, "unreadable", error.strerror or str(error), "Look at the disk.")


def source_finding(connection: Connection, source: KnownSource) -> Finding:
    """Whether the source is configured, and whether its disk is there. If not: since when."""
    root = printable(source.root)
    if source.settings is None:
        return Finding(
            SOURCE,
            "not configured",
            f"the source {source.key} ({root}) is in the catalog, but not in the configuration",
            f"Put [sources.{source.key}] back into the configuration.",
        )
    reason = why_unavailable(source.root)
    if reason is None:
        return Finding(SOURCE, YES, f"below the source {source.key} ({root})")
    since = _failing_since(connection, source.key)
    noticed = f"; its scans have failed since {moment(since)}" if since else ""
    return Finding(
        SOURCE,
        AWAY,
        f"the source {source.key} ({root}) cannot be read: {reason}{noticed}. Its images are kept as they are",
        "Mount the disk, and scan again.",
    )


def _failing_since(connection: Connection, source_key: str) -> datetime | None:
    """The start of the first failed scan after the last successful one; None if the last one succeeded."""
    scans = (MlJob.kind == JobKind.SCAN, MlJob.subject == source_key)
    succeeded = select(func.coalesce(func.max(MlJob.id), 0)).where(*scans, MlJob.state == JobState.SUCCEEDED)
    return connection.execute(
        select(func.min(MlJob.started_at)).where(
            *scans, MlJob.state == JobState.FAILED, MlJob.id > succeeded.scalar_subquery()
        )
    ).scalar_one()
