"""Verifying a shard: reading its originals again, to find those whose bytes have changed on the disk (bit rot).

A file is rotten if its size and time are those of the catalog, and its content is not. A file with another size or time
was changed by somebody: the next scan finds it. A file that cannot be read is neither.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Row, bindparam, func, select, update

from photolineage.catalog.engine import database_time, reading
from photolineage.catalog.leases import Lease
from photolineage.catalog.orm import Image, MlJob
from photolineage.catalog.queries import find_shard, materialized_versions, shard_keys
from photolineage.catalog.verification import RottenOriginal, last_verified
from photolineage.catalog.vocabulary import FailureReason, ImageState, JobState
from photolineage.lineage import JobKind
from photolineage.media.errors import UnreadableImageError
from photolineage.media.original import hash_content
from photolineage.media.regular_file import open_regular_file
from photolineage.plain_text import printable
from photolineage.steps.found_files import recorded_mtime
from photolineage.steps.jobs import JobContext, StopRequest, running_job
from photolineage.steps.progress import OnProgress, Progress, ignore_progress
from photolineage.steps.tree_walk import require_source

CHECKPOINT_SECONDS: Final = 10.0
ROUND_LIMIT: Final = timedelta(days=7)
"""A round that a kill interrupted begins anew after this time."""
SUSPECT_REASONS: Final = frozenset({FailureReason.VANISHED, FailureReason.UNREADABLE})
"""Reasons that may concern a whole disk: it is looked at before the file is reported."""

RegisteredImage = Row[int, str, int, int, str | None, datetime | None, datetime | None]
"""Id, path, size, time, content hash, and when it was verified and found rotten."""


@dataclass(slots=True)
class VerificationReport:
    """What one run did to a shard, in images.

    `total`: all registered images; earlier runs of this round have verified `resumed` of them. `changed`: files with
    another size or time than in the catalog. `unreadable`: by path, why a file could not be read.
    """

    total: int = 0
    resumed: int = 0
    verified: int = 0
    rotten: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    read_bytes: int = 0
    seconds: float = 0.0

    @property
    def megabytes_per_second(self) -> float:
        """The rate of this run, with its waits."""
        return self.read_bytes / 1e6 / max(self.seconds, 1e-6)

    @property
    def done(self) -> int:
        """The images that this run has looked at."""
        return self.verified + len(self.rotten) + len(self.changed) + len(self.unreadable)


class _Outcome(Enum):
    INTACT = auto()
    ROTTEN = auto()
    CHANGED = auto()
    UNREADABLE = auto()


@dataclass(frozen=True, slots=True)
class _Verified:
    image: RegisteredImage
    outcome: _Outcome
    reason: str = ""


class _RateLimit:
    """Counts the bytes that are read, and waits so that they are at most so many in a second."""

    def __init__(self, bytes_per_second: float) -> None:
        self.read_bytes = 0
        self._bytes_per_second = bytes_per_second
        self._next_at = time.monotonic()

    def __call__(self, size: int) -> None:
        self.read_bytes += size
        now = time.monotonic()
        self._next_at = max(self._next_at, now) + size / self._bytes_per_second
        time.sleep(self._next_at - now)


def verify_shard(
    context: JobContext,
    shard_key: str,
    *,
    megabytes_per_second: float,
    checkpoint_images: int,
    on_progress: OnProgress = ignore_progress,
) -> VerificationReport:
    """Read the registered originals of a shard again, and record which are intact and which are rotten.

    A run continues the round that a kill interrupted. Raises SourceUnavailableError if the whole source cannot be read,
    and InterruptedAtCheckpointError if the process was asked to end.
    """
    started = time.monotonic()
    with reading(context.engine) as connection:
        shard = find_shard(connection, shard_key)
    report = VerificationReport()
    limit = _RateLimit(megabytes_per_second * 1e6)
    with (
        StopRequest() as stop,
        running_job(context, JobKind.VERIFY, shard_key, input_version=str(shard.revision)) as lease,
    ):
        with reading(context.engine) as connection:
            registered = _registered_images(connection, shard.id)
            began = _round_began(connection, shard_key)
        pending = [image for image in registered if not _is_verified(image, began)]
        report.total = len(registered)
        report.resumed = report.total - len(pending)
        require_source(Path(shard.root))
        lease.begin(total=report.total, resumed=report.resumed)
        on_progress(Progress(report.resumed, report.total, 0, report.resumed))
        verified = (_verify(shard.root, image, limit) for image in pending)
        while checkpoint := _next_checkpoint(verified, checkpoint_images):
            _commit(lease, checkpoint, report)
            done = report.resumed + report.done
            on_progress(Progress(done, report.total, len(report.unreadable), report.resumed))
            stop.raise_if_asked(done, report.total)
    report.read_bytes = limit.read_bytes
    report.seconds = time.monotonic() - started
    return report


def find_due(connection: Connection, source_key: str, every: timedelta) -> list[str]:
    """The registered shards of a source that were not verified to the end for so long, the longest first."""
    verified = last_verified(connection)
    registered = materialized_versions(connection, JobKind.REGISTER)
    earliest = database_time(connection) - every
    never = datetime.min.replace(tzinfo=UTC)
    last = {shard: verified.get(shard, never) for shard in shard_keys(connection, [source_key])}
    return sorted(
        (shard for shard in last if shard in registered and last[shard] <= earliest),
        key=lambda shard: last[shard],
    )


def describe_copy(rotten: RottenOriginal) -> str:
    """Which intact copy of a rotten file to restore it from, one that is there now if there is any."""
    there = [copy for copy in rotten.copies if os.path.lexists(os.path.join(copy.root, copy.path))]
    copy = next(iter([*there, *rotten.copies]), None)
    if copy is None:
        return "No other file in the library has its content: restore it from a backup."
    verified = f"verified {copy.verified_at:%Y-%m-%d}" if copy.verified_at else "not verified yet"
    away = "" if there else "; its disk is away now"
    place = printable(os.path.join(copy.root, copy.path))
    return f"Restore it from {place} (source {copy.source}, {verified}{away})."


def _registered_images(connection: Connection, shard_id: int) -> Sequence[RegisteredImage]:
    return connection.execute(
        select(
            Image.id,
            Image.path,
            Image.size_bytes,
            Image.mtime_ns,
            Image.content_hash,
            Image.verified_at,
            Image.rotten_at,
        )
        .where(Image.shard_id == shard_id, Image.state == ImageState.REGISTERED)
        .order_by(Image.path)
    ).all()


def _round_began(connection: Connection, shard_key: str) -> datetime:
    """What was verified after this time need not be read again: an earlier run of the same round has read it."""
    last: datetime | None = connection.execute(
        select(func.max(MlJob.finished_at)).where(
            MlJob.kind == JobKind.VERIFY, MlJob.subject == shard_key, MlJob.state == JobState.SUCCEEDED
        )
    ).scalar_one()
    earliest = database_time(connection) - ROUND_LIMIT
    return earliest if last is None else max(last, earliest)


def _is_verified(image: RegisteredImage, began: datetime) -> bool:
    return any(at is not None and at > began for at in (image.verified_at, image.rotten_at))


def _next_checkpoint(verified: Iterator[_Verified], size: int) -> list[_Verified]:
    checkpoint: list[_Verified] = []
    until = time.monotonic() + CHECKPOINT_SECONDS
    for one in verified:
        checkpoint.append(one)
        if len(checkpoint) >= size or time.monotonic() >= until:
            break
    return checkpoint


def _verify(root: str, image: RegisteredImage, on_read: Callable[[int], None]) -> _Verified:
    path = os.path.join(root, image.path)
    try:
        found = _hash_unless_changed(path, image, on_read)
        if found not in (None, image.content_hash):
            # An error of the cable or of the memory is not on the disk: the next read returns other bytes.
            again = _hash_unless_changed(path, image, on_read)
            if again not in (None, found):
                raise UnreadableImageError(
                    FailureReason.UNREADABLE,
                    "two reads returned different bytes. Check the disk, its cable and the memory",
                )
            found = again
    except UnreadableImageError as error:
        if error.reason in SUSPECT_REASONS:
            require_source(Path(root))
        return _Verified(image, _Outcome.UNREADABLE, str(error))
    if found is None:
        return _Verified(image, _Outcome.CHANGED)
    return _Verified(image, _Outcome.INTACT if found == image.content_hash else _Outcome.ROTTEN)


def _hash_unless_changed(path: str, image: RegisteredImage, on_read: Callable[[int], None]) -> str | None:
    """The content hash of a file; None if its size or time is not the known one, before or after it was read."""
    with open_regular_file(path) as (descriptor, status):
        if not _is_as_known(status, image):
            return None
        found = hash_content(descriptor, on_read)
        return found if _is_as_known(os.fstat(descriptor), image) else None


def _is_as_known(status: os.stat_result, image: RegisteredImage) -> bool:
    return (status.st_size, recorded_mtime(status)) == (image.size_bytes, image.mtime_ns)


def _commit(lease: Lease, checkpoint: Sequence[_Verified], report: VerificationReport) -> None:
    by_outcome = {outcome: [one for one in checkpoint if one.outcome is outcome] for outcome in _Outcome}

    def write(connection: Connection) -> None:
        now = database_time(connection)
        # Images that a scan or a registration has changed meanwhile are left out.
        unchanged = update(Image).where(
            Image.id == bindparam("image"),
            Image.state == ImageState.REGISTERED,
            Image.content_hash == bindparam("content"),
            Image.size_bytes == bindparam("size"),
            Image.mtime_ns == bindparam("mtime"),
        )
        for outcome, statement in (
            (_Outcome.INTACT, unchanged.values(verified_at=now, rotten_at=None)),
            (_Outcome.ROTTEN, unchanged.values(rotten_at=now)),
        ):
            images = [one.image for one in by_outcome[outcome]]
            if images:
                connection.execute(
                    statement,
                    [
                        {
                            "image": image.id,
                            "content": image.content_hash,
                            "size": image.size_bytes,
                            "mtime": image.mtime_ns,
                        }
                        for image in images
                    ],
                )

    lease.commit(write, done=len(checkpoint), failed=len(by_outcome[_Outcome.UNREADABLE]))
    report.verified += len(by_outcome[_Outcome.INTACT])
    report.rotten += [one.image.path for one in by_outcome[_Outcome.ROTTEN]]
    report.changed += [one.image.path for one in by_outcome[_Outcome.CHANGED]]
    report.unreadable.update({one.image.path: one.reason for one in by_outcome[_Outcome.UNREADABLE]})
