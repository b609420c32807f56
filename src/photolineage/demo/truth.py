"""What is true of a rendered library: the event, scene, instant and place of every file."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict


class ImageKind(StrEnum):
    """What a file of the library is there for."""

    PHOTO = "photo"
    BURST = "burst"
    DUPLICATE = "duplicate"
    SCREENSHOT = "screenshot"
    CORRUPT = "corrupt"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventTruth(_Record):
    """An occasion at which photos were taken. `start` and `end` are its first and last true instants, in UTC."""

    id: str
    title: str
    place: str
    start: datetime
    end: datetime


class ImageTruth(_Record):
    """One file. `path` is relative to the library, with forward slashes; `taken_at` is the true instant in UTC.

    A screenshot and a corrupt file belong to no event and show no scene. Latitude and longitude are in degrees,
    whether or not the camera wrote them; `camera` is make and model.
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
    """Everything true of a library. `digest` is the SHA-256 of all its files, in path order."""

    version: int
    digest: str
    events: tuple[EventTruth, ...]
    images: tuple[ImageTruth, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The truth stored in a JSON file. Raises `OSError` or pydantic's `ValidationError`."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """Store the truth as indented JSON; the file appears whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
