"""Finds the photo that somebody asks for: by its id, or by a path below any source."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from photolineage.catalog.orm import Image, Shard, Source
from photolineage.errors import PhotolineageError
from photolineage.plain_text import printable
from photolineage.settings import Settings
from photolineage.settings.sections import SourceSettings

CLOSEST_SOURCES = 3


class UnknownPhotoError(PhotolineageError):
    """Nothing can be said about what was asked for. The message says how to ask."""


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A source of the configuration or of the catalog. `settings` is None if it is not configured any more.

    `id` and `scanned_at` are None before its first scan.
    """

    key: str
    root: Path
    settings: SourceSettings | None
    id: int | None = None
    scanned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A path below a source, relative to its root, and the image's row with the key of its shard, if it has one."""

    source: KnownSource
    path: str
    image: Row[Any] | None

    @property
    def file(self) -> Path:
        """The path of the file on the disk."""
        return self.source.root / self.path


def known_sources(settings: Settings, connection: Connection) -> list[KnownSource]:
    """The sources of the configuration, and those that only the catalog knows."""
    rows = connection.execute(select(Source.key, Source.root, Source.id, Source.scanned_at)).all()
    scanned = {key: (source_id, at) for key, _, source_id, at in rows}
    configured = [
        KnownSource(key, source.root, source, *scanned.get(key, (None, None)))
        for key, source in settings.sources.items()
    ]
    former = [
        KnownSource(key, Path(root), None, source_id, at)
        for key, root, source_id, at in rows
        if key not in settings.sources
    ]
    return configured + former


def find_places(
    connection: Connection, sources: Sequence[KnownSource], asked: str, folder: Path | None
) -> list[Place]:
    """Where the photo is: one place for each source that contains it, none if no source does.

    `asked` is the id of an image, or a path. A relative path is looked for in `folder`, then below each source.
    Raises UnknownPhotoError.
    """
    if asked.isdecimal():
        return [_place_of_id(connection, sources, int(asked))]
    if not asked or "\0" in asked:
        raise UnknownPhotoError(f"'{printable(asked)}' names no photo. Give the path of a photo, or its id")
    path = Path(asked).expanduser()
    if folder is not None or path.is_absolute():
        absolute = Path(os.path.abspath((folder or Path()) / path))
        places = list(_places_below(connection, sources, absolute))
        if path.is_absolute() or any(_is_somewhere(place) for place in places) or absolute.exists():
            return places
    below = [
        place
        for source in sources
        for place in _places_below(connection, [source], Path(os.path.abspath(source.root / path)))
        if _is_somewhere(place)
    ]
    if not below:
        where = f"in {printable(folder)} or below any source" if folder else "below any source"
        raise UnknownPhotoError(
            f"{printable(path)}: there is no such file {where}. Give the whole path of the photo"
        )
    return below


def absolute_path(asked: str, folder: Path | None) -> Path:
    """The path that somebody asks for, for an answer about a file below no source."""
    return Path(os.path.abspath((folder or Path()) / Path(asked).expanduser()))


def closest_sources(sources: Sequence[KnownSource], path: Path) -> str:
    """The sources whose roots share most folders with a path, to show; empty if there are none."""

    def shared(source: KnownSource) -> int:
        return len(Path(os.path.commonpath([source.root, path])).parts)

    nearest = sorted(sources, key=shared, reverse=True)[:CLOSEST_SOURCES]
    return ", ".join(f"{source.key} ({printable(source.root)})" for source in nearest)


def find_image(connection: Connection, image_id: int) -> Row[Any] | None:
    """The row of an image, with the key of its shard as `shard` and of its source as `source`."""
    return connection.execute(_images().where(Image.id == image_id)).one_or_none()


def _images() -> Any:
    return (
        select(Image.__table__, Shard.key.label("shard"), Source.key.label("source"))
        .join(Shard, Shard.id == Image.shard_id)
        .join(Source, Source.id == Image.source_id)
    )


def _place_of_id(connection: Connection, sources: Sequence[KnownSource], image_id: int) -> Place:
    image = find_image(connection, image_id) if image_id < 2**63 else None
    if image is None:
        raise UnknownPhotoError(
            f"image {image_id} is not in the catalog. `photolineage search` shows the ids of images. "
            f"For a file with this name, give ./{image_id}"
        )
    (source,) = [source for source in sources if source.id == image.source_id]
    return Place(source, image.path, image)


def _places_below(connection: Connection, sources: Sequence[KnownSource], path: Path) -> Iterator[Place]:
    for source in sources:
        paths = _paths_below(source.root, path)
        places = [Place(source, below, _image_at(connection, source, below)) for below in paths]
        known = [place for place in places if place.image is not None]
        yield from (known or places)[:1]


def _paths_below(root: Path, path: Path) -> list[str]:
    """The paths relative to the root by which a scan can have found the file, also through links."""
    real_root = os.path.realpath(root)
    prefixes = [*reversed(path.parents), path]
    below = [path.relative_to(prefix) for prefix in prefixes if os.path.realpath(prefix) == real_root]
    real = Path(os.path.realpath(path))
    if real.is_relative_to(real_root):
        below.append(real.relative_to(real_root))
    return list(dict.fromkeys("" if one == Path() else one.as_posix() for one in below))


def _image_at(connection: Connection, source: KnownSource, path: str) -> Row[Any] | None:
    if source.id is None:
        return None
    found: Row[Any] | None = connection.execute(
        _images().where(Image.source_id == source.id, Image.path == path)
    ).one_or_none()
    return found


def _is_somewhere(place: Place) -> bool:
    return place.image is not None or os.path.lexists(place.file)
