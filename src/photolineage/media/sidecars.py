"""Read the files beside an image in which programs keep what people wrote: XMP, and the JSON of Google Takeout.

Such a file is opened like an original: only a regular file of a limited size, and never with a wait. Whatever is wrong
with it, the image is read all the same, and the reason is a statement about the image.
"""

import html
import json
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Any, Final

from photolineage.catalog.vocabulary import WrittenField
from photolineage.media.errors import UnreadableImageError
from photolineage.media.place import as_place
from photolineage.media.regular_file import open_regular_file
from photolineage.media.written import BrokenMetadataError, Written, position, written
from photolineage.media.xmp import MAX_XMP_BYTES, read_xmp

XMP_SUFFIX: Final = ".xmp"
JSON_SUFFIX: Final = ".json"
MAX_SIDECAR_BYTES: Final = MAX_XMP_BYTES
"""4 MiB: XMP with the strokes of a retouched photo has up to 2 MB, and Takeout's JSON has a few KB."""
_MOST_LEVELS: Final = 32
_MOST_PEOPLE: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STRING_OR_BRACKET: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
FAVORITE: Final = "favorite"
"""The keyword of a photo with a star in Google Photos. It is no rating: Google Photos has no number of stars."""
_TAKEOUT_KEYS: Final = frozenset(("photoTakenTime", "creationTime", "geoData", "googlePhotosOrigin"))
"""A file without any of these is the JSON of another program."""


def read_sidecars(folder: str, names: Sequence[str]) -> list[tuple[str, list[Written]]]:
    """What each sidecar says, with its name, in the same order."""
    return [(name, _read(os.path.join(folder, name))) for name in names]


def _read(path: str) -> list[Written]:
    try:
        data = _bytes_of(path)
        if PurePath(path).suffix.lower() == JSON_SUFFIX:
            return list(read_takeout(data))
        return read_xmp(data)
    except BrokenMetadataError as error:
        return list(written(WrittenField.PROBLEM, str(error), "sidecar"))


def _bytes_of(path: str) -> bytes:
    try:
        with open_regular_file(path) as (descriptor, status):
            if status.st_size > MAX_SIDECAR_BYTES:
                raise BrokenMetadataError(
                    f"{status.st_size:,} bytes exceed the limit of {MAX_SIDECAR_BYTES:,} for a sidecar"
                )
            data = b""
            while len(data) <= MAX_SIDECAR_BYTES and (more := os.read(descriptor, MAX_SIDECAR_BYTES + 1)):
                data += more
    except UnreadableImageError as error:
        raise BrokenMetadataError(f"{error.reason}: {error.detail}") from error
    except OSError as error:
        raise BrokenMetadataError(error.strerror or str(error)) from error
    if not data.strip(b"\0 \r\n\t"):
        raise BrokenMetadataError("the file is empty")
    return data[:MAX_SIDECAR_BYTES]


def read_takeout(data: bytes) -> Iterator[Written]:
    """What Google Photos knows about an image, from the JSON that Google Takeout writes beside it.

    Its `title` is the name of the file, so it is left out. Raises BrokenMetadataError.
    """
    facts = _json(data)
    if not isinstance(facts, dict) or _TAKEOUT_KEYS.isdisjoint(facts):
        return
    yield from written(WrittenField.DESCRIPTION, _unescaped(facts.get("description")), "Takeout description")
    people = facts.get("people")
    for person in people[:_MOST_PEOPLE] if isinstance(people, list) else ():
        if isinstance(person, dict):
            yield from written(WrittenField.PERSON, _unescaped(person.get("name")), "Takeout people[].name")
    if facts.get("favorited") is True:
        yield from written(WrittenField.KEYWORD, FAVORITE, "Takeout favorited")
    time = _time(facts.get("photoTakenTime"))
    if time is not None:
        yield from written(WrittenField.TIME, time.isoformat(), "Takeout photoTakenTime")
    for key in ("geoData", "geoDataExif"):
        place = facts.get(key)
        if isinstance(place, dict):
            latitude, longitude, altitude = (_number(place.get(name)) for name in _COORDINATES)
            if latitude is not None and longitude is not None:
                yield from position(as_place(latitude, longitude, altitude or None), f"Takeout {key}")


_COORDINATES: Final = ("latitude", "longitude", "altitude")


def _json(data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenMetadataError("the JSON is not valid UTF-8") from error
    levels = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        sign = match[0]
        levels += (sign in "[{") - (sign in "]}")
        if levels > _MOST_LEVELS:
            raise BrokenMetadataError(f"the JSON has more than {_MOST_LEVELS} levels")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenMetadataError(f"the JSON is damaged: {error}") from error


def _unescaped(text: object) -> str:
    """The text. Takeout writes an apostrophe as `&#39;`."""
    return html.unescape(text) if isinstance(text, str) else ""


def _time(value: object) -> datetime | None:
    seconds = value.get("timestamp") if isinstance(value, dict) else None
    try:
        return _EPOCH + timedelta(seconds=int(str(seconds)[:20]))
    except (ValueError, OverflowError):
        return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e6 else None
