"""Write the album of a model's events to a folder, or update it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, and_, func, select

from photolineage.album.content import by_month, pictures_of
from photolineage.album.folder import AlbumFolder, Changes, open_album_folder
from photolineage.album.likeness import CoverLikeness
from photolineage.album.pages import (
    EVENTS,
    MONTHS,
    OVERVIEW,
    STYLE_SHEET,
    Album,
    event_page,
    month_page,
    overview_page,
    style_sheet,
    unfinished_page,
)
from photolineage.catalog.engine import reading
from photolineage.catalog.listing import ListedEvent, list_events
from photolineage.catalog.orm import Event, EventImage, Image, Shard
from photolineage.catalog.queries import IS_EMBEDDABLE, committed_files
from photolineage.catalog.vocabulary import FileKind
from photolineage.models.registry import require_model
from photolineage.stores.previews import PreviewStore
from photolineage.stores.vector_index import VectorIndexes

COVERS_AT_ONCE = 500
"""The number of events whose covers' embeddings are read together. Each read scans the whole index."""

OnImages = Callable[[int, int], None]
"""A callback that gets the number of images done and the total."""


@dataclass(frozen=True, slots=True)
class AlbumReport:
    """The contents of the album, and the changes to its files."""

    first_page: Path
    events: int
    images: int
    pages: Changes
    pictures: Changes


def write_album(
    engine: Engine,
    previews: PreviewStore,
    indexes: VectorIndexes,
    model_key: str,
    folder: Path,
    *,
    on_pictures: OnImages,
    on_pages: OnImages,
) -> AlbumReport:
    """Write the album of a model's events to `folder`, or update it. Open its index.html in a browser.

    Unchanged files are kept. The album's files of events that no longer exist are removed, and no others. An
    interrupted run leaves a first page that says that the album is incomplete.

    Raises ModelNotLoadedError, IndexNotBuiltError and StorageError.
    """
    with reading(engine) as connection:
        model = require_model(connection, model_key)
        events = list_events(connection, model.id)[::-1]
        index = indexes.open(model_key, model.embedding_dim)
        with open_album_folder(folder.absolute(), unfinished_page(model_key)) as album_folder:
            wanted = _copy_pictures(connection, previews, model.id, album_folder, on_pictures)
            album = _album(connection, model_key, model.id, events, wanted)
            _write_pages(connection, album, events, CoverLikeness(index, model.id), album_folder, on_pages)
            pages, pictures = album_folder.remove_others(wanted)
            return AlbumReport(
                first_page=album_folder.root.path / OVERVIEW,
                events=len(events),
                images=album.image_count,
                pages=pages,
                pictures=pictures,
            )


def _copy_pictures(
    connection: Connection, previews: PreviewStore, model_id: int, folder: AlbumFolder, on_pictures: OnImages
) -> set[str]:
    """Copy the previews of all images that events show, shard by shard. Returns the content hashes of all pictures."""
    images = (
        select(Image.id, Image.content_hash)
        .join(EventImage, and_(EventImage.image_id == Image.id, EventImage.model_id == model_id))
        .where(Image.content_hash.is_not(None), Image.stack_of_id.is_(None))
    )
    total = connection.execute(select(func.count()).select_from(images.subquery())).scalar_one()
    wanted: set[str] = set()
    done = 0
    on_pictures(done, total)
    for shard_id in connection.execute(select(Shard.id).order_by(Shard.key)).scalars().all():
        rows = connection.execute(images.where(Image.shard_id == shard_id).order_by(Image.id)).all()
        if any(not folder.has_picture(row.content_hash) for row in rows):
            files = committed_files(connection, FileKind.PREVIEW, shard_id=shard_id)
            reader = previews.open([file.path for file in files])
            for row in rows:
                jpeg = None if folder.has_picture(row.content_hash) else reader.jpeg(row.id, row.content_hash)
                if jpeg is not None:
                    folder.write_picture(row.content_hash, jpeg)
        wanted |= {row.content_hash for row in rows if folder.has_picture(row.content_hash)}
        done += len(rows)
        on_pictures(done, total)
    return wanted


def _album(
    connection: Connection, model_key: str, model_id: int, events: Sequence[ListedEvent], pictures: set[str]
) -> Album:
    covers = connection.execute(
        select(Image.id, Image.content_hash)
        .join(Event, Event.cover_image_id == Image.id)
        .where(Event.model_id == model_id, Image.content_hash.is_not(None))
    )
    shown = connection.execute(
        select(func.count()).select_from(Image).where(IS_EMBEDDABLE, Image.stack_of_id.is_(None))
    ).scalar_one()
    image_count = sum(event.image_count for event in events)
    return Album(
        model_key=model_key,
        months=by_month(events),
        image_count=image_count,
        images_in_no_event=max(shown - image_count, 0),
        cover_hashes={
            image_id: content_hash for image_id, content_hash in covers if content_hash is not None
        },
        pictures=pictures,
    )


def _write_pages(
    connection: Connection,
    album: Album,
    events: Sequence[ListedEvent],
    likeness: CoverLikeness,
    folder: AlbumFolder,
    on_pages: OnImages,
) -> None:
    """Write all pages, the first page last."""
    titles = {event.id: event.title for event in events}
    done = 0
    on_pages(done, album.image_count)
    folder.write_page(STYLE_SHEET, style_sheet())
    covers: Mapping[int, NDArray[np.float32]] = {}
    for number, event in enumerate(events):
        if number % COVERS_AT_ONCE == 0:
            covers = likeness.covers(events[number : number + COVERS_AT_ONCE])
        before = events[number - 1] if number else None
        after = events[number + 1] if number + 1 < len(events) else None
        pictures = pictures_of(connection, event)
        similar = likeness.similar(connection, event, covers)
        files = connection.execute(select(func.count()).where(EventImage.event_id == event.id)).scalar_one()
        page = event_page(album, event, pictures, files, similar, titles, (before, after))
        folder.write_page(f"{EVENTS}/{event.id}.html", page)
        done += event.image_count
        on_pages(done, album.image_count)
    for month in album.months:
        folder.write_page(f"{MONTHS}/{month.key}.html", month_page(album, month))
    folder.write_page(OVERVIEW, overview_page(album))
