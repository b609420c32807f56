"""The stacks in the catalog: computed from the registered images, and written where they differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, exists, or_, select, update
from sqlalchemy.orm import aliased

from photolineage.catalog.engine import one_transaction
from photolineage.catalog.orm import Image, Source
from photolineage.catalog.queries import SHOWN_ID
from photolineage.catalog.vocabulary import ImageState, TakenAtPrecision, TakenAtSource
from photolineage.stacks.rules import Link, Place, StackFile, assemble, find_links, rank

_CAMERA_TIMES: Final = frozenset({TakenAtSource.EXIF, TakenAtSource.GPS})
_TO_THE_SECOND: Final = frozenset({None, TakenAtPrecision.SECOND})
_ROWS_PER_BATCH: Final = 10_000


@dataclass(frozen=True, slots=True)
class StackChange:
    """An image that gets another place in a stack, or, with None, that shows itself from now on."""

    image_id: int
    place: Place | None


def find_changed_stacks(connection: Connection) -> list[StackChange]:
    """The images whose stacks in the catalog are not those that the rules give, in the order of their ids.

    The result depends only on the registered images. At any time, at most the files of one folder and of the folders
    above it are in memory.
    """
    links: list[Link] = []
    ranks: dict[int, Any] = {}
    for source_id in connection.execute(select(Source.id).order_by(Source.id)).scalars().all():
        for folder in _folders(connection, source_id):
            files = {row.id: _stack_file(row) for row in folder}
            found = list(find_links(list(files.values())))
            links += found
            linked = {image for link in found for image in (link.one, link.other)}
            for file in files.values():
                if file.image_id in linked:
                    ranks[file.image_id] = min(rank(file), ranks.get(file.image_id, rank(file)))
    places = assemble(links, ranks)
    copies = connection.execute(
        select(Image.id, Image.duplicate_of_id).where(
            Image.state == ImageState.REGISTERED, Image.duplicate_of_id.is_not(None)
        )
    )
    original_of = {image_id: original for image_id, original in copies if original in places}
    wanted = places | {image_id: places[original] for image_id, original in original_of.items()}
    stored = connection.execute(
        select(Image.id, Image.stack_of_id, Image.stack_rule).where(
            or_(Image.stack_of_id.is_not(None), Image.stack_rule.is_not(None))
        )
    ).all()
    before = {row.id: (row.stack_of_id, row.stack_rule) for row in stored}
    changed = {
        image_id for image_id, place in wanted.items() if before.get(image_id) != (place.shown, place.rule)
    }
    return [
        StackChange(image_id, wanted.get(image_id))
        for image_id in sorted(changed | (before.keys() - wanted.keys()))
    ]


def store_stacks(connection: Connection, changes: Sequence[StackChange]) -> None:
    """Write these changes. One that names an image that is gone is left out: the next computation finds it again."""
    shown = aliased(Image)
    alone = [{"image": change.image_id} for change in changes if change.place is None]
    stacked = [
        {"image": change.image_id, "shown": change.place.shown, "rule": change.place.rule}
        for change in changes
        if change.place is not None
    ]
    this = Image.id == bindparam("image")
    if alone:
        connection.execute(update(Image).where(this).values(stack_of_id=None, stack_rule=None), alone)
    if stacked:
        connection.execute(
            update(Image)
            .where(this, exists().where(shown.id == bindparam("shown")))
            .values(
                stack_of_id=bindparam("shown"), stack_rule=bindparam("rule", type_=Image.stack_rule.type)
            ),
            stacked,
        )


def stack_of(connection: Connection, image_id: int) -> list[Row[Any]]:
    """The images of an image's stack, the one that shows first, then by path: all columns, and the source's key.

    Empty if the image is in no stack. Copies are left out.
    """
    shown = connection.execute(select(SHOWN_ID).where(Image.id == image_id)).scalar_one()
    stack = connection.execute(
        select(Image.__table__, Source.key.label("source"), Source.root.label("root"))
        .join(Source, Source.id == Image.source_id)
        .where(
            or_(Image.id == shown, Image.stack_of_id == shown),
            Image.duplicate_of_id.is_(None),
            Image.state == ImageState.REGISTERED,
        )
        .order_by(Image.id != shown, Image.path)
    ).all()
    return list(stack) if len(stack) > 1 else []


def _folders(connection: Connection, source_id: int) -> Iterator[list[Any]]:
    """The registered images of a source, folder by folder.

    In the order of the paths, everything below a folder comes together. So a folder is complete when a path follows
    that is not below it.
    """
    statement = (
        select(
            Image.id,
            Image.path,
            Image.duplicate_of_id,
            Image.format,
            Image.taken_at,
            Image.taken_at_source,
            Image.taken_at_precision,
            Image.utc_offset_minutes,
            Image.camera,
            Image.perceptual_hash,
            Image.width,
            Image.height,
            Image.quality,
            Image.truncated,
        )
        .where(Image.source_id == source_id, Image.state == ImageState.REGISTERED)
        .order_by(Image.path)
    )
    entered: list[tuple[str, list[Any]]] = [("", [])]
    with one_transaction(connection):
        rows = connection.execute(statement, execution_options={"yield_per": _ROWS_PER_BATCH})
        for row in rows:
            folder = row.path[: row.path.rfind("/") + 1]
            while entered[-1][0] and not folder.startswith(entered[-1][0]):
                yield entered.pop()[1]
            if entered[-1][0] != folder:
                entered.append((folder, []))
            entered[-1][1].append(row)
    for _, files in entered:
        yield files


def camera_time(image: Any) -> datetime | None:
    """The time that the camera wrote into the file of an image's row; None if there is none to the second."""
    is_exact = image.taken_at_source in _CAMERA_TIMES and image.taken_at_precision in _TO_THE_SECOND
    return image.taken_at if is_exact else None


def _stack_file(row: Row[Any]) -> StackFile:
    return StackFile(
        image_id=row.duplicate_of_id or row.id,
        name=row.path.rpartition("/")[2],
        format=row.format,
        taken_at=camera_time(row),
        has_offset=row.utc_offset_minutes is not None,
        camera=row.camera,
        perceptual_hash=row.perceptual_hash,
        pixels=(row.width or 0) * (row.height or 0),
        quality=row.quality or 0.0,
        is_damaged=row.truncated,
    )
