"""Registering a shard: reading each original once, for its facts and its preview, and unreadable ones on request."""

import itertools
import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, Row, bindparam, case, exists, func, insert, null, select, update

from photolineage.catalog.column_types import PosixPath
from photolineage.catalog.duplicates import refresh_duplicates
from photolineage.catalog.engine import DATABASE_TIME, database_time, reading, run_in_transaction
from photolineage.catalog.leases import Lease
from photolineage.catalog.moves import reunite_moved_images
from photolineage.catalog.orm import Image, MlJob, Shard, ShardFile, Source
from photolineage.catalog.queries import ShardRow, find_shard
from photolineage.catalog.vocabulary import FailureReason, FileKind, ImageState
from photolineage.lineage import JobKind
from photolineage.media import OriginalImage, UnreadableImageError, read_original
from photolineage.media.written import Written
from photolineage.steps.compact import FileSet, compact
from photolineage.steps.jobs import JobContext, StopRequest, running_job
from photolineage.steps.lookahead import map_ahead, until
from photolineage.steps.lost_files import find_lost_previews, forget_lost_files
from photolineage.steps.progress import OnProgress, Progress, ignore_progress
from photolineage.steps.store_notes import sidecar_names, store_notes
from photolineage.steps.sweep import sweep_shard
from photolineage.steps.tree_walk import require_source
from photolineage.stores.previews import Preview, PreviewStore

LOOK_AHEAD_PER_THREAD = 4

SUSPECT_REASONS = frozenset({FailureReason.VANISHED, FailureReason.UNREADABLE})
"""Reasons that may concern a whole disk: the source is checked before the image is recorded as failed."""

PendingImage = Row[int, str, int, int, str | None, ImageState, bool, str | None]


@dataclass(slots=True)
class RegistrationReport:
    """What one run did to a shard, in images. `registered` to `failed` count the whole shard.

    `truncated`: images whose file is damaged; their readable part was decoded. `moved`: new files that turned out to
    be missing images of the source, from this or another shard. `compacted`: preview files that were replaced by one
    file with their current rows.
    """

    read: int = 0
    read_bytes: int = 0
    checkpoints: int = 0
    compacted: int = 0
    registered: int = 0
    duplicates: int = 0
    truncated: int = 0
    failed: int = 0
    moved: int = 0
    resumed: int = 0
    seconds: float = 0.0
    preview_bytes: int = 0
    failures: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Reading:
    pending: PendingImage
    outcome: OriginalImage | UnreadableImageError


def register_shard(
    context: JobContext,
    previews: PreviewStore,
    shard_key: str,
    *,
    time_zone: str,
    checkpoint_images: int,
    checkpoint_seconds: float,
    on_progress: OnProgress = ignore_progress,
) -> RegistrationReport:
    """Read the new and changed images of a shard, and those whose previews are lost, one checkpoint at a time.

    The row of an unreadable image records the reason. Raises SourceUnavailableError if the whole source cannot be
    read, and InterruptedAtCheckpointError if the process was asked to end.
    """
    started = time.monotonic()
    with reading(context.engine) as connection:
        shard = find_shard(connection, shard_key)
    report = RegistrationReport()
    with (
        StopRequest() as stop,
        running_job(context, JobKind.REGISTER, shard_key, input_version=str(shard.revision)) as lease,
    ):
        with reading(context.engine) as connection:
            lost = find_lost_previews(connection, previews, shard.id)
            pending = _pending_images(connection, shard.id, lost.image_ids)
            _count_states(connection, shard.id, report)
        if lost.image_ids:
            require_source(Path(shard.root))
        report.resumed = report.registered - len(lost.image_ids) + report.failed
        total = report.resumed + len(pending)
        lease.begin(total=total, resumed=report.resumed, failed=report.failed)
        files = FileSet(FileKind.PREVIEW, shard.id)
        sweep_shard(lease, files, previews.files, previews.folder(shard_key))
        on_progress(Progress(report.resumed, total, report.failed, report.resumed))
        threads = (os.cpu_count() or 1) + 1  # one decodes while another gets its next file
        with closing(
            map_ahead(
                lambda image: _read(shard.root, image, time_zone),
                pending,
                threads=threads,
                ahead=LOOK_AHEAD_PER_THREAD * threads,
            )
        ) as readings:
            while True:
                soon = until(time.monotonic() + checkpoint_seconds, readings)
                checkpoint = _next_checkpoint(soon, checkpoint_images, report, total, on_progress)
                if not checkpoint:
                    break
                _commit(lease, previews, shard, checkpoint, report)
                stop.raise_if_asked(report.resumed + report.read, total)
        if lost.file_ids:
            lease.commit(partial(forget_lost_files, file_ids=lost.file_ids), done=0)
        report.compacted = _compact(lease, previews, shard, files, checkpoint_images)
    with reading(context.engine) as connection:
        _count_states(connection, shard.id, report)
    report.seconds = time.monotonic() - started
    return report


def _compact(
    lease: Lease, previews: PreviewStore, shard: ShardRow, files: FileSet, checkpoint_images: int
) -> int:
    name = f"{lease.job_id:08d}-compacted"
    return compact(
        lease,
        files,
        previews.read_identities,
        lambda rows: previews.rewrite(shard.key, name, rows),
        rows_per_file=checkpoint_images,
    )


def _next_checkpoint(
    readings: Iterator[_Reading], size: int, report: RegistrationReport, total: int, on_progress: OnProgress
) -> list[_Reading]:
    checkpoint: list[_Reading] = []
    failed = sum(report.failures.values())
    for one in itertools.islice(readings, size):
        checkpoint.append(one)
        failed += isinstance(one.outcome, UnreadableImageError)
        done = report.resumed + report.read + len(checkpoint)
        on_progress(Progress(done, total, failed, report.resumed))
    return checkpoint


def _pending_images(
    connection: Connection, shard_id: int, without_preview: Collection[int]
) -> list[PendingImage]:
    """The new and changed images, and those without a preview. The latter remain registered while they are read."""
    chosen = set(without_preview)
    states = [ImageState.DISCOVERED, *([ImageState.REGISTERED] if chosen else [])]
    images = connection.execute(
        select(
            Image.id,
            Image.path,
            Image.size_bytes,
            Image.mtime_ns,
            Image.content_hash,
            Image.state,
            Image.registered_at.is_(None).label("is_new"),
            Image.sidecars,
        )
        .where(Image.shard_id == shard_id, Image.state.in_(states))
        .order_by(Image.path)
    )
    return [image for image in images if image.state == ImageState.DISCOVERED or image.id in chosen]


def _count_states(connection: Connection, shard_id: int, report: RegistrationReport) -> None:
    kinds = (Image.state, Image.failure_reason, Image.duplicate_of_id.is_not(None), Image.truncated)
    rows = connection.execute(select(*kinds, func.count()).where(Image.shard_id == shard_id).group_by(*kinds))
    report.registered = report.duplicates = report.truncated = report.failed = 0
    report.failures.clear()
    for state, reason, is_duplicate, is_truncated, count in rows:
        if state == ImageState.REGISTERED:
            report.registered += count
            report.duplicates += count if is_duplicate else 0
            report.truncated += count if is_truncated else 0
        elif state == ImageState.FAILED:
            report.failed += count
            report.failures[str(reason)] += count


def _read(root: str, image: PendingImage, time_zone: str) -> _Reading:
    path = os.path.join(root, image.path)
    try:
        sidecars = sidecar_names(image.sidecars)
        return _Reading(image, read_original(path, assumed_time_zone=time_zone, sidecars=sidecars))
    except UnreadableImageError as error:
        if error.reason in SUSPECT_REASONS:
            require_source(Path(root))
        return _Reading(image, error)


def _commit(
    lease: Lease,
    previews: PreviewStore,
    shard: ShardRow,
    checkpoint: list[_Reading],
    report: RegistrationReport,
) -> None:
    readable = [
        Preview(reading.pending.id, reading.outcome.content_hash, reading.outcome.preview)
        for reading in checkpoint
        if isinstance(reading.outcome, OriginalImage)
    ]
    path, size = "", 0
    if readable:
        path, size = previews.write(shard.key, f"{lease.job_id:08d}-{report.checkpoints:04d}", readable)

    def write(connection: Connection) -> int:
        if readable:
            connection.execute(
                insert(ShardFile).values(
                    kind=FileKind.PREVIEW,
                    shard_id=shard.id,
                    job_id=lease.job_id,
                    path=path,
                    row_count=len(readable),
                    size_bytes=size,
                    committed_at=DATABASE_TIME,
                )
            )
        _settle(connection, checkpoint)
        store_notes(connection, {reading.pending.id: _written(reading.outcome) for reading in checkpoint})
        new = [reading.pending.id for reading in checkpoint if reading.pending.is_new]
        moved = reunite_moved_images(connection, new)
        former = {reading.pending.content_hash for reading in checkpoint} - {None}
        refresh_duplicates(connection, {preview.content_hash for preview in readable} | former)
        if any(_has_changed_unseen(reading) for reading in checkpoint):
            connection.execute(update(Shard).where(Shard.id == shard.id).values(revision=Shard.revision + 1))
        return moved

    failed = len(checkpoint) - len(readable)
    report.moved += lease.commit(write, done=len(checkpoint), failed=failed)
    report.read += len(checkpoint)
    report.checkpoints += 1
    report.preview_bytes += size
    report.read_bytes += sum(
        reading.outcome.size_bytes for reading in checkpoint if isinstance(reading.outcome, OriginalImage)
    )
    report.failures.update(
        reading.outcome.reason for reading in checkpoint if isinstance(reading.outcome, UnreadableImageError)
    )


def _has_changed_unseen(reading: _Reading) -> bool:
    """Whether the content of a registered image has changed without a scan noticing."""
    return reading.pending.state == ImageState.REGISTERED and (
        isinstance(reading.outcome, UnreadableImageError)
        or reading.outcome.content_hash != reading.pending.content_hash
    )


def _settle(connection: Connection, checkpoint: list[_Reading]) -> None:
    """Record what was read. Images that a scan has marked as changed or missing since are left out."""
    registered_at = database_time(connection)
    statement = update(Image).where(
        Image.id == bindparam("pending_id"),
        Image.state == bindparam("pending_state"),
        Image.size_bytes == bindparam("pending_size_bytes"),
        Image.mtime_ns == bindparam("pending_mtime_ns"),
        Image.sidecars.is_not_distinct_from(bindparam("pending_sidecars", type_=PosixPath())),
    )
    same_content = Image.content_hash == bindparam("read_content")
    registered = statement.values(
        embedded_models=case((same_content, Image.embedded_models), else_=0),
        verified_at=case((same_content, Image.verified_at), else_=null()),
        rotten_at=None,
    )
    read = [
        _settled(reading) | {"registered_at": registered_at, "read_content": reading.outcome.content_hash}
        for reading in checkpoint
        if isinstance(reading.outcome, OriginalImage)
    ]
    if read:
        connection.execute(registered, read)
    failed = [
        _settled(reading) for reading in checkpoint if isinstance(reading.outcome, UnreadableImageError)
    ]
    if failed:
        connection.execute(statement, failed)


def _settled(reading: _Reading) -> dict[str, object]:
    return {
        "pending_id": reading.pending.id,
        "pending_state": reading.pending.state,
        "pending_size_bytes": reading.pending.size_bytes,
        "pending_mtime_ns": reading.pending.mtime_ns,
        "pending_sidecars": reading.pending.sidecars,
        **_facts(reading.outcome),
    }


def _written(outcome: OriginalImage | UnreadableImageError) -> tuple[Written, ...]:
    return outcome.written if isinstance(outcome, OriginalImage) else ()


def _facts(outcome: OriginalImage | UnreadableImageError) -> dict[str, object]:
    if isinstance(outcome, UnreadableImageError):
        return {
            "state": ImageState.FAILED,
            "failure_reason": outcome.reason,
            "failure_detail": outcome.detail,
            "content_hash": None,
            "duplicate_of_id": None,
        }
    return {
        "state": ImageState.REGISTERED,
        "failure_reason": None,
        "failure_detail": None,
        "content_hash": outcome.content_hash,
        "format": outcome.format,
        "width": outcome.width,
        "height": outcome.height,
        "orientation": outcome.orientation,
        "truncated": outcome.truncated,
        "lost_share": outcome.lost_share,
        "taken_at": outcome.taken_at,
        "taken_at_source": outcome.taken_at_source,
        "taken_at_precision": outcome.taken_at_precision,
        "utc_offset_minutes": outcome.utc_offset_minutes,
        "utc_offset_source": outcome.utc_offset_source,
        "time_zone": outcome.time_zone,
        "latitude": outcome.latitude,
        "longitude": outcome.longitude,
        "altitude_m": outcome.altitude_m,
        "camera": outcome.camera,
        "quality": outcome.quality,
        "perceptual_hash": outcome.perceptual_hash,
        "duplicate_of_id": None,
    }


def find_shards_with_failures(connection: Connection, source_keys: Sequence[str]) -> list[str]:
    """The keys of the shards of these sources that have unreadable images, in order."""
    failed = exists().where(Image.shard_id == Shard.id, Image.state == ImageState.FAILED)
    return list(
        connection.execute(
            select(Shard.key)
            .join(Source, Source.id == Shard.source_id)
            .where(Source.key.in_(source_keys), failed)
            .order_by(Shard.key)
        ).scalars()
    )


def read_failures_again(engine: Engine, shard_key: str, *, asked_by: str) -> int:
    """Let the next registration of a shard read its unreadable images again. Returns their number.

    If there are any, the shard gets a new revision, so that a kill does not lose the request. Does nothing if a
    registration of the run `asked_by` has already begun, so that one run does not read the images twice.
    """

    def forget(connection: Connection) -> int:
        shard = find_shard(connection, shard_key)
        begun = select(MlJob.id).where(
            MlJob.kind == JobKind.REGISTER, MlJob.subject == shard_key, MlJob.run_id == asked_by
        )
        if connection.execute(begun.limit(1)).first() is not None:
            return 0
        forgotten = connection.execute(
            update(Image)
            .where(Image.shard_id == shard.id, Image.state == ImageState.FAILED)
            .values(state=ImageState.DISCOVERED)
        ).rowcount
        if forgotten:
            connection.execute(update(Shard).where(Shard.id == shard.id).values(revision=Shard.revision + 1))
        return forgotten

    return run_in_transaction(engine, forget)
