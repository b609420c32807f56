"""What people wrote about images: found again by what it says, whatever the case of its letters."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from photolineage.catalog.orm import Image, ImageNote
from photolineage.catalog.vocabulary import WrittenField
from photolineage.plain_text import folded

NAMED: Final = frozenset((WrittenField.KEYWORD, WrittenField.PERSON, WrittenField.PLACE, WrittenField.RATING))
"""The fields with short values, which are found by the whole value."""
TOLD: Final = frozenset((WrittenField.TITLE, WrittenField.DESCRIPTION))
"""The fields with texts, which are found by a part of it."""
IDS_PER_QUERY: Final = 500
LONGEST_NAME: Final = 200
"""Letters of a name, as far as names are compared."""

Note = Row[WrittenField, str, str, str | None]
"""Field, value, key and origin."""


def name_of(value: str) -> str:
    """A short value as it is compared."""
    return folded(value)[:LONGEST_NAME]


def is_named(field: WrittenField, values: Collection[str]) -> ColumnElement[bool]:
    """The condition for a note of this field that has one of these values."""
    return (ImageNote.field == field) & ImageNote.name.in_(sorted(set(map(name_of, values))))


def is_rated(least: int) -> ColumnElement[bool]:
    """The condition for a rating of at least so many stars."""
    return is_named(WrittenField.RATING, [str(stars) for stars in range(least, 6)])


def says(texts: Collection[str]) -> ColumnElement[bool]:
    """The condition for a note with one of these texts in it."""
    said = [folded(text) for text in texts]
    return or_(
        *(
            column.contains(text, autoescape=True)
            for text in said
            for column in (ImageNote.name, ImageNote.text)
        )
    )


def images_with(connection: Connection, condition: ColumnElement[bool]) -> frozenset[int]:
    """The ids of the images that have such a note. A copy counts as the image that is embedded instead of it."""
    rows = connection.execute(
        select(func.coalesce(Image.duplicate_of_id, Image.id))
        .join(ImageNote, ImageNote.image_id == Image.id)
        .where(condition)
    )
    return frozenset(rows.scalars())


def notes_of(connection: Connection, image_id: int) -> Sequence[Note]:
    """What people wrote about an image, in the order of its files."""
    return connection.execute(
        select(ImageNote.field, ImageNote.value, ImageNote.key, ImageNote.origin)
        .where(ImageNote.image_id == image_id)
        .order_by(ImageNote.id)
    ).all()


def fields_of(connection: Connection, image_ids: Sequence[int]) -> dict[int, frozenset[WrittenField]]:
    """Which fields of each of these images have a value. Images without any are left out."""
    fields: dict[int, set[WrittenField]] = defaultdict(set)
    for begin in range(0, len(image_ids), IDS_PER_QUERY):
        these = ImageNote.image_id.in_(image_ids[begin : begin + IDS_PER_QUERY])
        for image_id, field in connection.execute(
            select(ImageNote.image_id, ImageNote.field).where(these).distinct()
        ):
            fields[image_id].add(field)
    return {image_id: frozenset(found) for image_id, found in fields.items()}


def names_in_use(connection: Connection, field: WrittenField, most: int = 10_000) -> list[str]:
    """The values that images have in this field, the most common first."""
    return list(
        connection.execute(
            select(func.min(ImageNote.value))
            .where(ImageNote.field == field)
            .group_by(ImageNote.name)
            .order_by(func.count().desc(), ImageNote.name)
            .limit(most)
        ).scalars()
    )
