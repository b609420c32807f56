"""The photos of a library on their disks, and a record of them in memory."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

NO_PICTURE = b"\\xff\\xd8\\xff\\xe0 this is no picture"
SEEDS = 12
"""The number of different photos, so that copies of one are frequent."""
FIRST_TAKEN = datetime(2024, 5, 1, 10, tzinfo=UTC)


EDITED = "-edited"
KEYWORDS = ("sea", "wedding")


@cache
def drawn_photo(seed: int, *, is_edited: bool = False) -> bytes:
    """A JPEG that no other seed yields, taken a quarter of an hour after the one before; each fifth a day later.

    The edited copy was taken at the same time and looks different.
    """
    camera = Image.Exif()
    taken_at = FIRST_TAKEN + timedelta(minutes=15 * seed, days=seed // 5)
    facts = camera.get_ifd(ExifTags.IFD.Exif)
    facts[ExifTags.Base.DateTimeOriginal] = f"{taken_at:%Y:%m:%d %H:%M:%S}"
    facts[ExifTags.Base.OffsetTimeOriginal] = "+00:00"
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    if is_edited:
        blocks = 255 - blocks
    jpeg = BytesIO()
    Image.fromarray(blocks).resize((96, 72), Image.Resampling.NEAREST).save(
        jpeg, "JPEG", quality=90, exif=camera
    )
    return jpeg.getvalue()


@dataclass(frozen=True, slots=True)
class Place:
    """A file: the disk of its source, and its path below the root."""

    source: str
    path: str

    @property
    def edited(self) -> "Place":
        """The place of this photo's edited copy."""
        return Place(self.source, self.path.removesuffix(".jpg") + f"{EDITED}.jpg")

    @property
    def is_edited(self) -> bool:
        """Whether the name is that of an edited copy."""
        return self.path.endswith(f"{EDITED}.jpg")

    @property
    def sidecars(self) -> "tuple[Place, Place]":
        """The places of this photo's sidecars: `x.jpg.xmp` and `x.xmp`."""
        return (
            Place(self.source, f"{self.path}.xmp"),
            Place(self.source, f"{self.path.removesuffix('.jpg')}.xmp"),
        )


def sidecar(keyword: str) -> bytes:
    """An XMP file with one keyword; damaged if the keyword is empty."""
    return (
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        b"<rdf:Description rdf:about='' xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:subject><rdf:Bag><rdf:li>"
        + keyword.encode()
        + (b"</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>" if keyword else b"")
    )


@dataclass(slots=True)
class Disk:
    """The photos and sidecars of each source, on a disk of its own. What was on a disk is kept while it is away.

    `photos`: what they contain. `keywords`: what the sidecars say. `written`: the number of the last write to each.
    `changes` counts everything that a scan may notice.
    """

    folder: Path
    sources: tuple[str, ...]
    photos: dict[Place, bytes] = field(default_factory=dict)
    keywords: dict[Place, str] = field(default_factory=dict)
    written: dict[Place, int] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    changes: int = 0
    _names: dict[str, str] = field(default_factory=dict)
    _clock: int = 0

    def __post_init__(self) -> None:
        for source in self.sources:
            self._names[source] = source
            self.root(source).mkdir(parents=True)

    def root(self, source: str) -> Path:
        """The root of a source, whether its disk is there or not."""
        return self.folder / self._names[source]

    def file(self, place: Place) -> Path:
        """The path of a file."""
        return self.root(place.source) / place.path

    def places(self) -> list[Place]:
        """The files that can be reached now, in order."""
        there = (place for place in self.photos if place.source not in self.away)
        return sorted(there, key=lambda place: (place.source, place.path))

    def write(self, place: Place, content: bytes) -> None:
        """Write a new photo, or other content into one."""
        self._write(place, content)
        self.photos[place] = content

    def write_sidecar(self, place: Place, keyword: str) -> None:
        """Write a new sidecar, or another keyword into one."""
        self._write(place, sidecar(keyword))
        self.keywords[place] = keyword

    def _write(self, place: Place, content: bytes) -> None:
        """No two writes have the same time."""
        self.changes += 1
        file = self.file(place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self._clock += 1
        at = int((FIRST_TAKEN + timedelta(days=100, seconds=self._clock)).timestamp()) * 10**9
        os.utime(file, ns=(at, at))
        self.written[place] = self._clock

    def move(self, place: Place, to: Place) -> None:
        """Rename a photo, within its source or to another one. Its sidecars stay."""
        self.changes += 1
        self.file(to).parent.mkdir(parents=True, exist_ok=True)
        self.file(place).rename(self.file(to))
        self.photos[to] = self.photos.pop(place)
        self.written[to] = self.written.pop(place)

    def delete(self, place: Place) -> None:
        """Delete a photo. Its folder and its sidecars stay."""
        self.changes += 1
        self.file(place).unlink()
        del self.photos[place], self.written[place]

    def delete_sidecar(self, place: Place) -> None:
        """Delete a sidecar."""
        self.changes += 1
        self.file(place).unlink()
        del self.keywords[place], self.written[place]

    def change_byte(self, place: Place) -> None:
        """Flip a bit of a photo, or flip it back. Its size and its time stay, as with bit rot."""
        file = self.file(place)
        time = file.stat().st_mtime_ns
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        os.utime(file, ns=(time, time))

    def shift_times(self, source: str, hours: int) -> None:
        """Change the time of each file of a source by so many hours."""
        self.changes += 1
        for file in self.root(source).rglob("*.*"):
            time = file.stat().st_mtime_ns + hours * 3600 * 10**9
            os.utime(file, ns=(time, time))

    def move_root(self, source: str) -> None:
        """Rename the root of a source."""
        before = self.root(source)
        name = self._names[source]
        self._names[source] = source if name != source else f"{source} elsewhere"
        before.rename(self.root(source))

    def last_writes(self, place: Place) -> tuple[int | None, ...]:
        """The last write to a photo, and to each of its sidecars: what a registration of the photo reads."""
        return tuple(self.written.get(one) for one in (place, *place.sidecars))

    def keywords_of(self, place: Place) -> frozenset[str]:
        """What the sidecars of a photo say."""
        return frozenset(filter(None, (self.keywords.get(one) for one in place.sidecars)))

    def unplug(self, source: str, *, leaves_mount_point: bool) -> None:
        """Take the disk of a source away. An empty folder may be left where it was mounted."""
        self.changes += 1
        self.root(source).rename(self._unplugged(source))
        if leaves_mount_point:
            self.root(source).mkdir()
        self.away.add(source)

    def plug_in(self, source: str) -> None:
        """Bring a disk back."""
        self.changes += 1
        if self.root(source).exists():
            self.root(source).rmdir()
        self._unplugged(source).rename(self.root(source))
        self.away.discard(source)

    def _unplugged(self, source: str) -> Path:
        return self.folder / f"{source} (unplugged)"
