"""What the catalog knows of a source's files: row by row, or compared with a whole run of files at once."""

import os
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    LargeBinary,
    Row,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    true,
    type_coerce,
)

from photolineage.catalog.engine import reading
from photolineage.catalog.orm import Image
from photolineage.catalog.vocabulary import FailureReason, ImageState
from photolineage.steps.found_files import FileRun

CATALOG_PAGE = 5_000

KnownImage = Row[int, int, str, int, int, ImageState, str | None, bool, str | None]
"""Id, shard id, path, size, time, state, content hash, whether its file had vanished when it was read, and sidecars."""

_BETWEEN_PATHS = "//"
"""A separator that no path contains, begins with or ends with."""
_BETWEEN_SIDECARS = "///"
"""A separator that the sidecars of no image contain, begin with or end with."""

HAD_VANISHED = and_(Image.state == ImageState.FAILED, Image.failure_reason == FailureReason.VANISHED)
"""The condition for an image whose file was missing when it was to be read."""


def is_as_known(engine: Engine, source_id: int, run: FileRun, *, after: str) -> bool:
    """Whether the catalog's files after the path `after`, up to the run's last path, are exactly those of the run.

    Paths, sizes, times and sidecars are compared. Missing images are ignored, and a file that had vanished never
    matches. The database joins each column to one text: most files are unchanged, so this is several times faster than
    fetching rows.
    """
    files = (
        select(
            type_coerce(Image.path, LargeBinary).label("path"),
            Image.size_bytes,
            case((~HAD_VANISHED, Image.mtime_ns)).label("mtime_ns"),
            type_coerce(Image.sidecars, LargeBinary).label("sidecars"),
        )
        .where(
            Image.source_id == source_id,
            Image.state != ImageState.MISSING,
            Image.path > after,
            Image.path <= run.paths[-1],
        )
        .order_by(Image.path)
        .subquery()
    )
    joined = _joined_by_sqlite if engine.dialect.name == "sqlite" else _joined_by_postgresql
    # Joining takes longer than counting, and most folders have no sidecars.
    sidecars: ColumnElement[Any] = func.count(files.c.sidecars)
    expected: bytes | int = 0
    if any(run.sidecars):
        sidecars = joined(func.coalesce(files.c.sidecars, literal(b"", LargeBinary)), _BETWEEN_SIDECARS)
        expected = os.fsencode(_BETWEEN_SIDECARS.join(run.sidecars))
    with reading(engine) as connection:
        known = connection.execute(
            select(
                func.aggregate_strings(cast(files.c.mtime_ns, Text), ","),
                func.aggregate_strings(cast(files.c.size_bytes, Text), ","),
                joined(files.c.path, _BETWEEN_PATHS),
                sidecars,
            )
        ).one()
    return tuple(known) == (
        ",".join(map(str, run.mtimes_ns)),
        ",".join(map(str, run.sizes_bytes)),
        os.fsencode(_BETWEEN_PATHS.join(run.paths)),
        expected,
    )


def _joined_by_sqlite(column: ColumnElement[bytes], separator: str) -> ColumnElement[bytes]:
    return cast(func.group_concat(column, separator), LargeBinary)


def _joined_by_postgresql(column: ColumnElement[bytes], separator: str) -> ColumnElement[bytes]:
    return func.string_agg(column, literal(separator.encode(), LargeBinary), type_=LargeBinary)


def known_images(engine: Engine, source_id: int, after: str, through: str | None) -> Iterator[KnownImage]:
    """The images of a source with paths after `after`, up to `through` (None: all), in path order, page by page."""
    up_to = true() if through is None else Image.path <= through
    while True:
        with reading(engine) as connection:
            page = connection.execute(
                select(
                    Image.id,
                    Image.shard_id,
                    Image.path,
                    Image.size_bytes,
                    Image.mtime_ns,
                    Image.state,
                    Image.content_hash,
                    HAD_VANISHED.label("had_vanished"),
                    Image.sidecars,
                )
                .where(Image.source_id == source_id, Image.path > after, up_to)
                .order_by(Image.path)
                .limit(CATALOG_PAGE)
            ).all()
        yield from page
        if len(page) < CATALOG_PAGE:
            return
        after = page[-1].path
