"""The sources of the catalog and of the configuration, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, and_, func, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from photolineage.catalog.orm import Image, Source
from photolineage.catalog.vocabulary import ImageState

SAME_SHARE = 0.5
"""Two sources count as one if they share more than this of the photos of each."""
SAMPLE = 200
"""How many photos of a source that is no longer configured are looked for in the others first."""
SAMPLE_SHARE = SAME_SHARE / 2
"""If fewer of them are found, the sources are not the same."""


_former, _current = aliased(Image), aliased(Image)


class SourceState(StrEnum):
    """Where a source stands. The values are what people read."""

    CONFIGURED = "configured"
    NOT_SCANNED = "not scanned yet"
    UNPLUGGED = "unplugged"
    REMOVED = "removed from the configuration"


@dataclass(frozen=True, slots=True)
class ListedSource:
    """A source of the configuration, of the catalog, or of both. `images` counts all, also missing ones.

    `root`: the folder in the configuration, or else the last one that was scanned.
    """

    key: str
    root: Path
    state: SourceState
    images: int
    scanned_at: datetime | None


@dataclass(frozen=True, slots=True)
class SameSources:
    """A source that is no longer configured, and a configured one with the same photos: `photos` of them."""

    former: str
    current: str
    photos: int

    def __str__(self) -> str:
        """The hint for people."""
        return (
            f"source '{self.current}' has the same {self.photos:,} photos as '{self.former}', which is no longer "
            f"configured. If you renamed it: `photolineage sources rename {self.former} {self.current}` keeps "
            f"everything that is known about them. Otherwise `photolineage sources forget {self.former}` shows what "
            "the catalog would lose."
        )


def list_sources(
    connection: Connection, configured: Mapping[str, Path], unplugged: frozenset[str]
) -> list[ListedSource]:
    """All sources in the order of their keys. `configured`: the folder of each; `unplugged`: whose folder is away."""
    rows = connection.execute(
        select(Source.key, Source.root, Source.scanned_at, func.count(Image.id))
        .outerjoin(Image, Image.source_id == Source.id)
        .group_by(Source.id, Source.key, Source.root, Source.scanned_at)
    ).all()
    known = {key: (Path(root), scanned_at, images) for key, root, scanned_at, images in rows}
    listed = []
    for key in sorted({*known, *configured}):
        root, scanned_at, images = known.get(key, (Path(), None, 0))
        if key not in configured:
            state = SourceState.REMOVED
        elif key in unplugged:
            state = SourceState.UNPLUGGED
        else:
            state = SourceState.CONFIGURED if scanned_at else SourceState.NOT_SCANNED
        listed.append(ListedSource(key, configured.get(key, root), state, images, scanned_at))
    return listed


def find_same_sources(connection: Connection, configured: Mapping[str, Path]) -> list[SameSources]:
    """The sources that seem to have been renamed in the configuration: the new one has the photos of the former.

    Photos are the same if their contents are; before the new source is read, if their paths and sizes are; and before
    it is scanned, if the folder is.
    """
    keys = {source_id: key for source_id, key in connection.execute(select(Source.id, Source.key))}  # noqa: C416
    removed = [source_id for source_id, key in keys.items() if key not in configured]
    if not removed:
        return []
    shared: dict[tuple[int, int], int] = {}
    for source_id in removed:
        sample = _sample(connection, source_id)
        found = _shared_images(connection, removed, _former.id.in_(sample), _former.id)
        if any(count > SAMPLE_SHARE * len(sample) for count in found.values()):
            shared |= _shared_images(connection, removed, _former.source_id == source_id, _current.id)
    present = _present_images(connection)
    roots = {root: key for key, root in configured.items() if key not in keys.values()}
    return [
        SameSources(keys[a], keys[b], count)
        for (a, b), count in sorted(shared.items())
        if count > SAME_SHARE * max(present.get(a, 0), present.get(b, 0))
    ] + [
        SameSources(keys[source_id], roots[Path(root)], present.get(source_id, 0))
        for source_id, root in connection.execute(select(Source.id, Source.root))
        if source_id in removed and Path(root) in roots
    ]


def _sample(connection: Connection, source_id: int) -> Sequence[int]:
    images = select(Image.id).where(Image.source_id == source_id, Image.state != ImageState.MISSING)
    return connection.execute(images.order_by(func.random()).limit(SAMPLE)).scalars().all()


def _shared_images(
    connection: Connection,
    removed: Sequence[int],
    of_former: ColumnElement[bool],
    counted: InstrumentedAttribute[int],
) -> dict[tuple[int, int], int]:
    """How many images each former source shares with each current one. `counted`: the id that is counted."""
    unread = and_(_current.content_hash.is_(None), _current.state != ImageState.FAILED)
    shared: dict[tuple[int, int], int] = {}
    for same in (
        _former.content_hash == _current.content_hash,
        and_(unread, _former.path == _current.path, _former.size_bytes == _current.size_bytes),
    ):
        rows = connection.execute(
            select(_former.source_id, _current.source_id, func.count(counted.distinct()))
            .join(_current, same)
            .where(of_former, _current.source_id.not_in(removed), _current.state != ImageState.MISSING)
            .group_by(_former.source_id, _current.source_id)
        )
        for a, b, count in rows:
            shared[a, b] = shared.get((a, b), 0) + count
    return shared


def _present_images(connection: Connection) -> dict[int, int]:
    rows = connection.execute(
        select(Image.source_id, func.count())
        .where(Image.state != ImageState.MISSING)
        .group_by(Image.source_id)
    )
    return {source_id: count for source_id, count in rows}  # noqa: C416
