"""The photos of a library on their disks, and a record of them in memory."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from photolineage.media import content_hash

NO_PICTURE = b"\\xff\\xd8\\xff\\xe0 this is no picture"
FIRST_TAKEN = datetime(2024, 5, 1, 10, tzinfo=UTC)


@cache
def drawn_photo(seed: int) -> bytes:
    """A JPEG that no other seed yields, taken a quarter of an hour after the one before; each fifth a day later."""
    camera = Image.Exif()
    taken_at = FIRST_TAKEN + timedelta(minutes=15 * seed, days=seed // 5)
    facts = camera.get_ifd(ExifTags.IFD.Exif)
    facts[ExifTags.Base.DateTimeOriginal] = f"{taken_at:%Y:%m:%d %H:%M:%S}"
    facts[ExifTags.Base.OffsetTimeOriginal] = "+00:00"
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    jpeg = BytesIO()
    Image.fromarray(blocks).resize((96, 72), Image.Resampling.NEAREST).save(
        jpeg, "JPEG", quality=90, exif=camera
    )
    return jpeg.getvalue()


@dataclass(frozen=True, slots=True)
class Place:
    """A file: the folder that is the root of its source, and its path below it."""

    source: str
    path: str


@dataclass(slots=True)
class Disk:
    """The photos of each source below one folder. `photos` is what they contain; it is kept while a disk is away."""

    folder: Path
    sources: tuple[str, ...]
    photos: dict[Place, bytes] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    _clock: int = 0

    def __post_init__(self) -> None:
        for source in self.sources:
            self.root(source).mkdir(parents=True)

    def root(self, source: str) -> Path:
        """The root of a source, whether its disk is there or not."""
        return self.folder / source

    def places(self) -> list[Place]:
        """The files that can be reached now, in order."""
        there = (place for place in self.photos if place.source not in self.away)
        return sorted(there, key=lambda place: (place.source, place.path))

    def write(self, place: Place, content: bytes) -> None:
        """Write a new file, or other content into one. No two writes have the same time."""
        file = self.root(place.source) / place.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self._clock += 1
        at = int((FIRST_TAKEN + timedelta(days=100, seconds=self._clock)).timestamp()) * 10**9
        os.utime(file, ns=(at, at))
        self.photos[place] = content

    def move(self, place: Place, to: Place) -> None:
        """Rename a file, within its source or to another one."""
        target = self.root(to.source) / to.path
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.root(place.source) / place.path).rename(target)
        self.photos[to] = self.photos.pop(place)

    def delete(self, place: Place) -> None:
        """Delete a file. Its folder stays."""
        (self.root(place.source) / place.path).unlink()
        del self.photos[place]

    def unplug(self, source: str, *, leaves_mount_point: bool) -> None:
        """Take the disk of a source away. An empty folder may be left where it was mounted."""
        self.root(source).rename(self._unplugged(source))
        if leaves_mount_point:
            self.root(source).mkdir()
        self.away.add(source)

    def plug_in(self, source: str) -> None:
        """Bring a disk back."""
        if self.root(source).exists():
            self.root(source).rmdir()
        self._unplugged(source).rename(self.root(source))
        self.away.discard(source)

    def contents(self) -> Mapping[str, list[Place]]:
        """The files that can be reached, by the hash of their content."""
        places: dict[str, list[Place]] = {}
        for place in self.places():
            places.setdefault(content_hash(self.photos[place]), []).append(place)
        return places

    def _unplugged(self, source: str) -> Path:
        return self.folder / f"{source} (unplugged)"


def counted(contents: Mapping[str, list[Place]]) -> Counter[str]:
    """How many files have each content."""
    return Counter({content: len(places) for content, places in contents.items()})
