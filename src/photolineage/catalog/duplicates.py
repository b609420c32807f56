"""Exact duplicates: among registered images with the same content, only the one with the lowest id is embedded."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, func, select, update

from photolineage.catalog.engine import advisory_lock
from photolineage.catalog.orm import Image, Shard
from photolineage.catalog.vocabulary import ImageState

DUPLICATES_LOCK = 0x70686F746F
"""The key of the PostgreSQL lock for decisions about duplicates."""

HASHES_PER_QUERY = 500


def refresh_duplicates(connection: Connection, content_hashes: Collection[str]) -> None:
    """Let every registered image with one of these contents refer to the first image with the same content.

    If an image is no longer a duplicate, its shard gets a new revision, because the image must be embedded.
    """
    advisory_lock(connection, DUPLICATES_LOCK)
    hashes = sorted(set(content_hashes))
    for start in range(0, len(hashes), HASHES_PER_QUERY):
        _refresh(connection, hashes[start : start + HASHES_PER_QUERY])


def _refresh(connection: Connection, hashes: list[str]) -> None:
    registered = (Image.content_hash.in_(hashes), Image.state == ImageState.REGISTERED)
    first = (
        select(Image.content_hash, func.min(Image.id).label("id"))
        .where(*registered)
        .group_by(Image.content_hash)
        .subquery()
    )
    rows = connection.execute(
        select(Image.id, Image.shard_id, Image.duplicate_of_id, first.c.id)
        .join(first, first.c.content_hash == Image.content_hash)
        .where(*registered)
    ).all()
    changes = [
        (image_id, shard_id, None if first_id == image_id else first_id)
        for image_id, shard_id, duplicate_of, first_id in rows
        if duplicate_of != (None if first_id == image_id else first_id)
    ]
    if changes:
        connection.execute(
            update(Image).where(Image.id == bindparam("image")).values(duplicate_of_id=bindparam("first")),
            [{"image": image_id, "first": first_id} for image_id, _, first_id in changes],
        )
    promoted = {shard_id for _, shard_id, first_id in changes if first_id is None}
    if promoted:
        connection.execute(update(Shard).where(Shard.id.in_(promoted)).values(revision=Shard.revision + 1))
