"""What people wrote about an image, with the file and the field from which it comes. Nothing of it is trusted."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from photolineage.catalog.vocabulary import WrittenField
from photolineage.media.place import Place, as_place
from photolineage.plain_text import folded

LONGEST_TEXT: Final = 10_000
"""Letters of one text. A longer one is cut."""
MOST_WRITTEN: Final = 1_000
"""Texts of one image. More are left out."""
_LISTS: Final = (WrittenField.KEYWORD, WrittenField.PERSON, WrittenField.PLACE, WrittenField.PROBLEM)
"""The fields that have all values of all files. Another field has one value: that of the first file which gives it."""
_JOINERS: Final = "\u200c\u200d"
"""Letters that shape their neighbours: Persian words and combined emoji need them."""
_POSITION_DIGITS: Final = 7
"""Of a degree: about a centimetre."""
_RATINGS: Final = range(-1, 6)


class BrokenMetadataError(Exception):
    """What is written in or beside an image cannot be read. The message says why."""


@dataclass(frozen=True, slots=True)
class Written:
    """One value that somebody wrote about an image.

    `origin` is the name of the sidecar, or empty if it is in the image's own file. `key` names the field in it, e.g.
    `XMP dc:subject` or `Takeout people[].name`. A rating is a number from -1 to 5; a time is one that
    `parse_written_time` reads; a position has two or three numbers, separated by spaces.
    """

    field: WrittenField
    value: str
    key: str
    origin: str = ""


def written(field: WrittenField, text: object, key: str) -> Iterable[Written]:
    """The statement, if the text says anything. Control characters are removed, and line breaks become spaces."""
    value = plain(text) if isinstance(text, str) else ""
    if field is WrittenField.RATING:
        value = _rating(value)
    if value:
        yield Written(field, value, key)


def plain(text: str) -> str:
    """The text on one line, without control characters, in its most common encoding, and cut if it is too long."""
    kept = (
        letter if letter.isprintable() or letter in _JOINERS else " " if letter.isspace() else ""
        for letter in text[: 2 * LONGEST_TEXT]
    )
    return unicodedata.normalize("NFC", " ".join("".join(kept).split()))[:LONGEST_TEXT]


def combined(files: Iterable[tuple[str, Sequence[Written]]]) -> tuple[Written, ...]:
    """What is written in several files, each with its origin, the most trustworthy file first.

    Each value is kept once, and of a field that has one value only the first. Times are all kept: which of them is
    right is seen elsewhere.
    """
    kept: dict[tuple[WrittenField, str], Written] = {}
    for origin, statements in files:
        for one in statements:
            found = (one.field, _told_apart_by(one, origin))
            if found not in kept and len(kept) < MOST_WRITTEN:
                kept[found] = replace(one, origin=origin)
    return tuple(kept.values())


def _told_apart_by(one: Written, origin: str) -> str:
    if one.field is WrittenField.PROBLEM:
        return f"{origin} {one.value}"
    if one.field is WrittenField.TIME:
        return f"{origin} {one.key}"
    return folded(one.value) if one.field in _LISTS else ""


def position(place: Place | None, key: str) -> Iterable[Written]:
    """The statement of a position."""
    if place is not None:
        numbers = (place.latitude, place.longitude, place.altitude_m)
        value = " ".join(str(round(number, _POSITION_DIGITS)) for number in numbers if number is not None)
        yield Written(WrittenField.POSITION, value, key)


def place_in(statements: Iterable[Written]) -> tuple[Written, Place] | None:
    """The first position, with the statement."""
    for one in statements:
        if one.field is WrittenField.POSITION:
            latitude, longitude, *altitude = map(float, one.value.split())
            place = as_place(latitude, longitude, altitude[0] if altitude else None)
            return (one, place) if place is not None else None
    return None


def _rating(text: str) -> str:
    """The rating as a whole number. Empty for 0, which means that nobody rated the image."""
    try:
        stars = round(float(text))
    except (ValueError, OverflowError):
        return ""
    return str(stars) if stars in _RATINGS and stars else ""
