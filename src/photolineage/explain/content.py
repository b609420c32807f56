"""What the catalog knows about a photo's content: whether and how it was read, its time, place, copies and stack."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from photolineage.catalog.listing import local_time
from photolineage.catalog.notes import Note, notes_of
from photolineage.catalog.orm import Image, Source
from photolineage.catalog.vocabulary import ImageState, StackRule, TakenAtSource, WrittenField
from photolineage.explain.findings import YES, Finding, moment, work_left
from photolineage.explain.places import Place, find_image
from photolineage.lineage import JobKind
from photolineage.media.written_time import parse_written_time
from photolineage.plain_text import printable
from photolineage.stacks.stored import stack_of

LISTED_COPIES = 5
LISTED_NOTES = 20
LONGEST_NOTE = 200
LISTED_IN_STACK = 5
_RULES: Final = {
    StackRule.EDITED: "an edited copy and its original",
    StackRule.SAME_SHOT: "one shot in several files",
    StackRule.BURST: "a burst",
}
_DATED_FROM: Final = {
    TakenAtSource.SIDECAR: "a sidecar",
    TakenAtSource.EXIF: "the camera's time in the file (EXIF)",
    TakenAtSource.GPS: "the GPS time in the file",
    TakenAtSource.EMBEDDED: "what is written in the file besides EXIF",
    TakenAtSource.FILE_NAME: "the name of the file",
    TakenAtSource.FILE_TIME: "the file's modification time, which may be the time of a copy",
}


def content_findings(connection: Connection, place: Place, image: Row[Any]) -> Iterator[Finding]:
    """Shard, reading, time, place, copies and stack of an image in the catalog."""
    yield Finding("shard", image.shard, f"image {image.id}")
    yield _registered(connection, image)
    if image.state in {ImageState.REGISTERED, ImageState.MISSING} and image.content_hash is not None:
        notes = notes_of(connection, image.id)
        yield _taken(place, image, notes)
        yield _where(image, notes)
        yield from _notes(notes)
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


def _taken(place: Place, image: Row[Any], notes: Sequence[Note]) -> Finding:
    if image.taken_at is None or image.taken_at_source is None:
        return Finding("taken", "unknown")
    local = local_time(image.taken_at, image.utc_offset_minutes)
    reason = f"from {_DATED_FROM[image.taken_at_source]}"
    reason += "".join(f": {_provenance(note)}" for note in notes if note.field is WrittenField.TIME)
    if image.utc_offset_minutes is not None:
        return Finding("taken", f"{local:%Y-%m-%d %H:%M %z}", reason)
    zone = f" ({place.source.settings.time_zone})" if place.source.settings else ""
    if _is_without_zone(image, notes):
        reason += f". It names no time zone, so the one of the source{zone} was assumed"
    return Finding("taken", moment(image.taken_at), reason)


def _is_without_zone(image: Row[Any], notes: Sequence[Note]) -> bool:
    """Whether the time names no time zone. It has no offset."""
    written = [parse_written_time(note.value) for note in notes if note.field is WrittenField.TIME]
    if image.taken_at_source in {TakenAtSource.SIDECAR, TakenAtSource.EMBEDDED}:
        return any(time is not None and time.time.tzinfo is None for time in written)
    return image.taken_at_source in {TakenAtSource.EXIF, TakenAtSource.FILE_NAME}


def _where(image: Row[Any], notes: Sequence[Note]) -> Finding:
    if image.latitude is None or image.longitude is None:
        return Finding("place", "unknown", "neither the file nor a sidecar has a position")
    found = f"{image.latitude:.5f} {image.longitude:.5f}"
    reasons = [f"in the time zone {image.time_zone}"] if image.time_zone else []
    for note in notes:
        if note.field is WrittenField.POSITION:
            latitude, longitude = map(float, note.value.split()[:2])
            if f"{latitude:.5f} {longitude:.5f}" == found:
                reasons.append(f"from {_provenance(note)}")
    return Finding("place", found, ", ".join(reasons))


def _notes(notes: Sequence[Note]) -> Iterator[Finding]:
    """What people wrote, and where: one row for each field."""
    for field in WrittenField:
        if field in (WrittenField.TIME, WrittenField.POSITION):
            continue
        found = [note for note in notes if note.field is field]
        if field is WrittenField.PROBLEM:
            for note in found:
                reason = f"{_provenance(note)}: {printable(note.value)}. The photo was read without it"
                yield Finding(
                    "written", "unreadable", reason, "Repair or remove what is damaged, and scan again."
                )
        elif found:
            values = ", ".join(printable(_shortened(note.value)) for note in found[:LISTED_NOTES])
            more = ", …" if len(found) > LISTED_NOTES else ""
            origins = ", ".join(dict.fromkeys(_provenance(note) for note in found))
            stage = "named place" if field is WrittenField.PLACE else str(field)
            yield Finding(stage, "written", f"{values}{more} (from {origins})")


def _provenance(note: Note) -> str:
    """The field of a note, and the file in which it is."""
    return f"{printable(note.key)} in {'the file' if note.origin is None else printable(note.origin)}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_NOTE else f"{text[: LONGEST_NOTE - 1]}…"


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
