"""What the catalog knows of verified originals: when each was read again, which are rotten, and where copies are."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from photolineage.catalog.orm import Image, MlJob, Shard, Source
from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.lineage import JobKind

HASHES_PER_QUERY: Final = 500


@dataclass(frozen=True, slots=True)
class Copy:
    """A registered image with a known content. `path` is relative to the root of its source."""

    content_hash: str
    source: str
    root: str
    shard: str
    path: str
    verified_at: datetime | None
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class RottenOriginal:
    """A file whose bytes have changed at the same size and time. `verified_at`: when it was last intact, if known.

    `copies`: other files with the content that it had, the one verified last first.
    """

    path: str
    found_at: datetime
    verified_at: datetime | None
    copies: list[Copy]


def find_copies(connection: Connection, content_hashes: Collection[str]) -> Mapping[str, list[Copy]]:
    """The registered images with each of these contents that are not rotten, the one verified last first."""
    found: dict[str, list[Copy]] = defaultdict(list)
    hashes = sorted(content_hashes)
    for start in range(0, len(hashes), HASHES_PER_QUERY):
        rows = connection.execute(
            select(
                Image.content_hash,
                Source.key,
                Source.root,
                Shard.key,
                Image.path,
                Image.verified_at,
                Image.size_bytes,
                Image.mtime_ns,
            )
            .join(Shard, Shard.id == Image.shard_id)
            .join(Source, Source.id == Image.source_id)
            .where(
                Image.content_hash.in_(hashes[start : start + HASHES_PER_QUERY]),
                Image.state == ImageState.REGISTERED,
                Image.rotten_at.is_(None),
            )
            .order_by(Image.verified_at.is_(None), Image.verified_at.desc(), Image.id)
        ).all()
        for content, source, root, shard, path, verified_at, size, mtime in rows:
            if content is not None:
                found[content].append(Copy(content, source, root, shard, path, verified_at, size, mtime))
    return found


def find_rotten(connection: Connection, shard_key: str) -> list[RottenOriginal]:
    """The rotten originals of a shard, in path order."""
    rows = connection.execute(
        select(Image.path, Image.rotten_at, Image.verified_at, Image.content_hash)
        .join(Shard, Shard.id == Image.shard_id)
        .where(Shard.key == shard_key, Image.rotten_at.is_not(None), Image.state == ImageState.REGISTERED)
        .order_by(Image.path)
    ).all()
    copies = find_copies(connection, {content for *_, content in rows if content is not None})
    return [
        RottenOriginal(path, found_at, verified_at, copies.get(content or "", []))
        for path, found_at, verified_at, content in rows
        if found_at is not None
    ]


def last_verified(connection: Connection) -> Mapping[str, datetime]:
    """When each shard was last verified to its end. Shards that never were are left out."""
    rows = connection.execute(
        select(MlJob.subject, func.max(MlJob.finished_at))
        .where(MlJob.kind == JobKind.VERIFY, MlJob.state == JobState.SUCCEEDED)
        .group_by(MlJob.subject)
    )
    return {shard: at for shard, at in rows if at is not None}


def count_rotten(connection: Connection) -> Mapping[str, int]:
    """The number of rotten originals of each source. Sources without any are left out."""
    rows = connection.execute(
        select(Source.key, func.count())
        .join(Image, Image.source_id == Source.id)
        .where(Image.rotten_at.is_not(None), Image.state == ImageState.REGISTERED)
        .group_by(Source.key)
    )
    return {source: count for source, count in rows}  # noqa: C416
