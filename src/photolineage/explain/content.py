"""What the catalog knows about a photo's content: whether and how it was read, its time, place, copies and stack."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from photolineage.catalog.listing import local_time
from photolineage.catalog.orm import Image, ImageState, Source
from photolineage.catalog.vocabulary import StackRule, TakenAtSource
from photolineage.explain.findings import YES, Finding, moment, work_left
from photolineage.explain.places import Place, find_image
from photolineage.lineage import JobKind
from photolineage.plain_text import printable
from photolineage.stacks.stored import stack_of

LISTED_COPIES = 5
LISTED_IN_STACK = 5
_RULES: Final = {
    StackRule.EDITED: "an edited copy and its original",
    StackRule.SAME_SHOT: "one shot in several files",
    StackRule.BURST: "a burst",
}
_DATED_FROM: Final = {
    TakenAtSource.EXIF: "the camera's time in the file (EXIF)",
    TakenAtSource.GPS: "the GPS time in the file",
    TakenAtSource.FILE_NAME: "the name of the file",
    TakenAtSource.FILE_TIME: "the file's modification time, which may be the time of a copy",
}


def content_findings(connection: Connection, place: Place, image: Row[Any]) -> Iterator[Finding]:
    """Shard, reading, time, place, copies and stack of an image in the catalog."""
    yield Finding("shard", image.shard, f"image {image.id}")
    yield _registered(connection, image)
    if image.state in {ImageState.REGISTERED, ImageState.MISSING} and image.content_hash is not None:
        yield _taken(place, image)
        yield _where(image)
        yield _copies(connection, image)
        yield _stack(connection, image)


def _registered(connection: Connection, image: Row[Any]) -> Finding:
    stage = "registered"
    match image.state:
        case ImageState.DISCOVERED:
            return work_left(connection, stage, JobKind.REGISTER, image.shard)
        case ImageState.FAILED:
            return Finding(
                stage,
                "unreadable",
                f"{image.failure_reason}: {image.failure_detail}",
                "Repair or replace the file: a changed file is read again. If the file is sound, run `photolineage run "
                f"--retry-failed`, or materialize the partition {image.shard} of registered_images with "
                "`retry_failed: true`.",
            )
        case ImageState.MISSING if image.content_hash is None:
            return Finding(stage, "no", "the file went missing before it was read")
    facts = f"read {moment(image.registered_at)}: {image.format}, {image.width} × {image.height}"
    if image.camera:
        facts += f", {printable(image.camera)}"
    if image.truncated:
        facts += ". The file ends early: only its first part was decoded"
    return Finding(stage, YES if image.state == ImageState.REGISTERED else "kept", facts)


def _taken(place: Place, image: Row[Any]) -> Finding:
    if image.taken_at is None or image.taken_at_source is None:
        return Finding("taken", "unknown")
    local = local_time(image.taken_at, image.utc_offset_minutes)
    reason = f"from {_DATED_FROM[image.taken_at_source]}"
    if image.utc_offset_minutes is not None:
        return Finding("taken", f"{local:%Y-%m-%d %H:%M %z}", reason)
    zone = f" ({place.source.settings.time_zone})" if place.source.settings else ""
    if image.taken_at_source in {TakenAtSource.EXIF, TakenAtSource.FILE_NAME}:
        reason += f". It names no time zone, so the one of the source{zone} was assumed"
    return Finding("taken", moment(image.taken_at), reason)


def _where(image: Row[Any]) -> Finding:
    if image.latitude is None or image.longitude is None:
        return Finding("place", "unknown", "the file has no GPS position")
    zone = f"in the time zone {image.time_zone}" if image.time_zone else ""
    return Finding("place", f"{image.latitude:.5f} {image.longitude:.5f}", zone)


def _copies(connection: Connection, image: Row[Any]) -> Finding:
    stage = "copies"
    if image.duplicate_of_id is not None:
        original = find_image(connection, image.duplicate_of_id)
        path = f", {original.source}: {printable(original.path)}" if original else ""
        return Finding(
            stage,
            "a copy",
            f"it has the same content as image {image.duplicate_of_id}{path}. That one is embedded, and searches show "
            "this path beside it",
        )
    copies = (Image.duplicate_of_id == image.id, Image.state == ImageState.REGISTERED)
    count = connection.execute(select(func.count()).select_from(Image).where(*copies)).scalar_one()
    if not count:
        return Finding(stage, "none", "no other registered image has the same content")
    rows = connection.execute(
        select(Source.key, Image.path)
        .join(Source, Source.id == Image.source_id)
        .where(*copies)
        .order_by(Image.id)
        .limit(LISTED_COPIES)
    )
    paths = [f"{key}: {printable(path)}" for key, path in rows]
    return Finding(stage, str(count), ", ".join(paths) + (", …" if count > LISTED_COPIES else ""))


def _stack(connection: Connection, image: Row[Any]) -> Finding:
    stage = "stack"
    stack = stack_of(connection, image.id)
    if not stack:
        return Finding(stage, "none", "no other photo is of the same shot, as of the newest index")
    shown, others = stack[0], stack[1:]
    if shown.id not in (image.id, image.duplicate_of_id):
        rule = _RULES[image.stack_rule]
        where = f"image {shown.id}, {shown.source}: {printable(shown.path)}"
        return Finding(stage, "in a stack", f"{rule}: searches, events and albums show {where}")
    paths = [
        f"{one.source}: {printable(one.path)} ({_RULES[one.stack_rule]})" for one in others[:LISTED_IN_STACK]
    ]
    more = ", …" if len(others) > LISTED_IN_STACK else ""
    return Finding(stage, f"+{len(others)}", f"it shows instead of {', '.join(paths)}{more}")
