"""Events are stored once, and an event that keeps most of its members keeps its id."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Row, select

from catalog.models import Event, EventImage, JobKind, JobState
from pipeline.clustering import ClusteringReport, IndexNotReadyError, cluster_model
from tests.library import Library


def encode_text(texts: list[str]) -> NDArray[np.float32]:
    drawn = np.random.default_rng(1).standard_normal((len(texts), 16)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def cluster(library: Library) -> ClusteringReport:
    return cluster_model(
        library.context(), library.embeddings, "tiny-a", encode_text, library.settings.events
    )


def events(library: Library) -> dict[int, Row[Any]]:
    with library.engine.connect() as connection:
        return {row.id: row for row in connection.execute(select(Event.__table__).order_by(Event.starts_at))}


def members(library: Library) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    with library.engine.connect() as connection:
        for event_id, image_id in connection.execute(select(EventImage.event_id, EventImage.image_id)):
            found.setdefault(event_id, set()).add(image_id)
    return found


@pytest.fixture
def clustered(library: Library) -> Library:
    """The photos with an EXIF time are a minute or two apart on 1 June of 2023 and of 2024."""
    for number in range(13):
        for year in (2023, 2024):
            path = library.root / f"{year}/{number:02}.jpg"
            if (number + 13 * (year - 2023)) % 2:
                path.unlink()
    for name in ("copy.jpg", "torn.jpg"):
        (library.root / "2023" / name).unlink()
    library.build()
    cluster(library)
    return library


def ids(library: Library, prefix: str) -> set[int]:
    return {row.id for path, row in library.images().items() if path.startswith(prefix)}


def test_each_day_is_one_event(clustered: Library) -> None:
    found = events(clustered)
    assert [event.starts_at.isoformat() for event in found.values()] == [
        "2023-06-01T12:00:00+00:00",
        "2024-06-01T12:14:00+00:00",
    ]
    assert [event.image_count for event in found.values()] == [7, 6]
    first, second = found
    assert members(clustered) == {first: ids(clustered, "2023"), second: ids(clustered, "2024")}
    assert all(event.cover_image_id in members(clustered)[event.id] for event in found.values())
    assert all(event.title for event in found.values())
    (job,) = clustered.jobs(JobKind.CLUSTER)
    assert (job.state, job.done, job.total) == (JobState.SUCCEEDED, 13, 13)


def test_clustering_again_keeps_every_event(clustered: Library) -> None:
    before, former = events(clustered), members(clustered)
    report = cluster(clustered)
    assert (report.events, report.images) == (2, 13)
    assert report.matching.vanished == ()
    assert set(events(clustered)) == set(before)
    assert members(clustered) == former


def test_an_event_that_loses_an_image_keeps_its_id(clustered: Library) -> None:
    first, second = events(clustered)
    (clustered.root / "2023/00.jpg").unlink()
    clustered.build()
    cluster(clustered)
    after = events(clustered)
    assert list(after) == [first, second]
    assert after[first].image_count == 6
    assert members(clustered) == {first: ids(clustered, "2023") - {1}, second: ids(clustered, "2024")}


def test_an_event_whose_images_are_all_gone_vanishes(clustered: Library) -> None:
    first, second = events(clustered)
    for path in (clustered.root / "2023").iterdir():
        path.unlink()
    clustered.build()
    report = cluster(clustered)
    assert tuple(report.matching.vanished) == (first,)
    assert list(events(clustered)) == [second]
    assert members(clustered) == {second: ids(clustered, "2024")}


def test_an_index_must_be_built_first(library: Library) -> None:
    library.scan()
    library.register_all()
    library.embed_all()
    with pytest.raises(IndexNotReadyError, match="model 'tiny-a': materialize vector_index for it first"):
        cluster(library)
    assert library.jobs(JobKind.CLUSTER) == []
