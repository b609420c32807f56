"""Storing what people wrote about images that were just read, in place of what was stored about them before."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from photolineage.catalog.notes import NAMED, TOLD, name_of
from photolineage.catalog.orm import Image, ImageNote
from photolineage.media.written import Written
from photolineage.plain_text import folded

_IDS_PER_QUERY: Final = 500


def store_notes(connection: Connection, written: Mapping[int, Sequence[Written]]) -> None:
    """Replace the notes of these images. Images that another process has deleted since are left out."""
    images = sorted(written)
    for start in range(0, len(images), _IDS_PER_QUERY):
        part = images[start : start + _IDS_PER_QUERY]
        connection.execute(delete(ImageNote).where(ImageNote.image_id.in_(part)))
        if any(written[image] for image in part):
            there = connection.execute(
                select(Image.id).where(Image.id.in_(part)).order_by(Image.id)
            ).scalars()
            rows = [row for image in there for row in _rows(image, written[image])]
            if rows:
                connection.execute(insert(ImageNote), rows)


def sidecar_names(sidecars: str | None) -> tuple[str, ...]:
    """The names in `Image.sidecars`, the most trustworthy first. None of them leads to another folder."""
    parts = sidecars.split("//") if sidecars else []
    names = (part.split("/", 1)[0] for part in parts)
    return tuple(name for name in names if name and name not in (os.curdir, os.pardir) and "\0" not in name)


def _rows(image_id: int, written: Sequence[Written]) -> Iterator[dict[str, Any]]:
    for one in written:
        yield {
            "image_id": image_id,
            "field": one.field,
            "value": one.value,
            "name": name_of(one.value) if one.field in NAMED else None,
            "text": folded(one.value) if one.field in TOLD else None,
            "key": one.key,
            "origin": one.origin or None,
        }
