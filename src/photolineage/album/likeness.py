"""Find pictures of other events that resemble an event's cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from photolineage.catalog.listing import ListedEvent
from photolineage.catalog.orm import EventImage, Image
from photolineage.stores.vector_index import ImageNotIndexedError, SearchFilters, VectorIndex

SIMILAR_PICTURES = 6
CANDIDATES = 24  # before the event, and as many after it: several of them are often from one event
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SimilarPicture:
    """A picture of another event. `score` is its cosine with the cover."""

    image_id: int
    content_hash: str
    event_id: int
    score: float


@dataclass(frozen=True, slots=True)
class CoverLikeness:
    """Finds images that resemble an event's cover and were taken before or after the event."""

    index: VectorIndex
    model_id: int

    def covers(self, events: Sequence[ListedEvent]) -> dict[int, NDArray[np.float32]]:
        """The embeddings (dim,) of the events' covers, by image id. Covers that are not in the index are left out.

        Raises IndexNotBuiltError.
        """
        wanted = sorted({event.cover_image_id for event in events if event.cover_image_id is not None})
        try:
            vectors = self.index.vectors_of(wanted)
        except ImageNotIndexedError as error:
            wanted = [image_id for image_id in wanted if image_id not in error.image_ids]
            vectors = self.index.vectors_of(wanted)
        return dict(zip(wanted, vectors, strict=True))

    def similar(
        self, connection: Connection, event: ListedEvent, covers: Mapping[int, NDArray[np.float32]]
    ) -> list[SimilarPicture]:
        """The pictures that resemble the cover most, best first: at most one of each other event.

        The result is empty if the cover is not in `covers`.
        """
        cover = None if event.cover_image_id is None else covers.get(event.cover_image_id)
        if cover is None:
            return []
        begin, end = event.starts_at.astimezone(UTC), event.ends_at.astimezone(UTC)
        hits = [
            hit
            for filters in (SearchFilters(taken_to=begin), SearchFilters(taken_from=end + _INSTANT))
            for hit in self.index.search(cover, CANDIDATES, filters=filters)
        ]
        score = {hit.shown_id: hit.score for hit in hits}
        rows = connection.execute(
            select(Image.id, Image.content_hash, EventImage.event_id)
            .join(EventImage, EventImage.image_id == Image.id)
            .where(
                EventImage.model_id == self.model_id,
                EventImage.event_id != event.id,
                Image.id.in_(score),
                Image.content_hash.is_not(None),
            )
        )
        found = [SimilarPicture(image_id, digest or "", of, score[image_id]) for image_id, digest, of in rows]
        best: dict[int, SimilarPicture] = {}
        for picture in sorted(found, key=lambda picture: (-picture.score, picture.image_id)):
            best.setdefault(picture.event_id, picture)
        return list(best.values())[:SIMILAR_PICTURES]
