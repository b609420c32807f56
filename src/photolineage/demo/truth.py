"""The truth about a drawn library: the event, scene, time and place of every file."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict


class ImageKind(StrEnum):
    """The purpose of a file in the library."""

    PHOTO = "photo"
    BURST = "burst"
    DUPLICATE = "duplicate"
    SCREENSHOT = "screenshot"
    CORRUPT = "corrupt"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventTruth(_Record):
    """An occasion with photos. `start` and `end` are the true times of its first and last photo, in UTC."""

    id: str
    title: str
    place: str
    start: datetime
    end: datetime


class ImageTruth(_Record):
    """One file. `path` is relative to the library, with forward slashes. `taken_at` is the true time in UTC.

    `event` and `scene` are None for screenshots and corrupt files. Latitude and longitude are in degrees, even if the
    camera did not write them. `camera` is make and model.
    """

    path: str
    kind: ImageKind
    event: str | None
    scene: str | None
    caption: str
    taken_at: datetime
    latitude: float | None
    longitude: float | None
    camera: str | None


class LibraryTruth(_Record):
    """The truth about a library. `digest` is the SHA-256 over all its files in order of their paths."""

    version: int
    digest: str
    events: tuple[EventTruth, ...]
    images: tuple[ImageTruth, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the truth from a JSON file. Raises OSError or pydantic's ValidationError."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """Write the truth as indented JSON. The file is complete or does not appear."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
