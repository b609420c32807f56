"""Stacks from the disk to the search, the events and the album: one shows, all are kept."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from photolineage.album.content import pictures_of
from photolineage.catalog.engine import write_transaction
from photolineage.catalog.listing import list_events
from photolineage.catalog.orm import Image
from photolineage.catalog.queries import find_model
from photolineage.catalog.vocabulary import WrittenField
from photolineage.checks.stores import check_events
from photolineage.explain.answer import explain_photo
from photolineage.media.written import Written
from photolineage.search.by_notes import list_images
from photolineage.search.find import find_images
from photolineage.search.query import Query, Weighted
from photolineage.search.scope import Scope
from photolineage.steps.cluster import cluster_model
from photolineage.steps.forget_source import SourceStores, forget_source
from photolineage.steps.index import build_index, maintain_index
from photolineage.steps.store_notes import store_notes
from photolineage.stores.event_segments import SegmentStore
from tests.library import Library, draw_photo
from tests.shots import draw_shot
from tests.steps.sources import configured_as, forget

NOON = datetime(2024, 7, 20, 12, tzinfo=UTC)


def with_stacks(library: Library) -> Library:
    """The library with an edited copy, a burst of three and one more photo, indexed."""
    for path, look, minutes in (
        ("trip/IMG_0001.jpg", 1, 0),
        ("trip/IMG_0001-bearbeitet.jpg", 1, 0),
        ("trip/IMG_0002.jpg", 2, 5),
        ("trip/IMG_0003.jpg", 2, 5),
        ("trip/IMG_0004.jpg", 2, 5),
        ("trip/IMG_0005.jpg", 3, 10),
    ):
        draw_shot(library.root / path, look, NOON + timedelta(minutes=minutes))
    library.build()
    return library


@pytest.fixture
def stacked(library: Library) -> Library:
    return with_stacks(library)


def behind(library: Library) -> dict[str, str]:
    """What is behind which image, by path."""
    images = library.images()
    path_of = {image.id: path for path, image in images.items()}
    return {
        path: path_of[image.stack_of_id] for path, image in images.items() if image.stack_of_id is not None
    }


def burst_of(library: Library) -> tuple[str, set[str]]:
    """The path that the burst shows, and the others."""
    burst = {f"trip/IMG_000{number}.jpg" for number in (2, 3, 4)}
    others = {path for path in behind(library) if path in burst}
    (shown,) = burst - others
    assert {behind(library)[path] for path in others} == {shown}
    return shown, others


def test_the_index_knows_the_stacks_and_computes_them_once(any_library: Library) -> None:
    stacked = with_stacks(any_library)
    assert behind(stacked).pop("trip/IMG_0001.jpg") == "trip/IMG_0001-bearbeitet.jpg"
    assert len(burst_of(stacked)[1]) == 2
    assert len(behind(stacked)) == 3
    assert stacked.index().restacked == 0


def test_a_search_shows_one_image_of_each_stack(stacked: Library) -> None:
    images = stacked.images()
    shown, others = burst_of(stacked)
    for path in (shown, *others):
        query = Query(image_ids=(Weighted(images[path].id),))
        found = find_images(stacked.settings, stacked.engine, "tiny-a", query, k=100).hits
        assert found[0].image_id == images[shown].id
        assert found[0].score == pytest.approx(1, abs=1e-3)
        assert {file.name for file in found[0].stack} == {path.rpartition("/")[2] for path in others}
        assert len({hit.image_id for hit in found}) == len(found) == 26 + 6 - 3


def test_a_search_without_words_lists_a_stack_once(stacked: Library) -> None:
    shown, others = burst_of(stacked)
    images = stacked.images()
    with stacked.engine.begin() as connection:
        rating = Written(WrittenField.RATING, "5", "XMP")
        store_notes(connection, {images[path].id: [rating] for path in (*others, "trip/IMG_0001.jpg")})
    found = list_images(stacked.settings, stacked.engine, "tiny-a", Scope(least_rating=5))
    assert [hit.path.relative_to(stacked.root).as_posix() for hit in found.hits] == [
        shown,
        "trip/IMG_0001-bearbeitet.jpg",
    ]


def test_the_exact_rank_of_an_image_is_that_of_its_stack(stacked: Library) -> None:
    images = stacked.images()
    index = stacked.indexes.open("tiny-a", 16)
    shown, others = burst_of(stacked)
    vector = index.vectors_of([images[others.pop()].id])[0]
    hits = [hit.shown_id for hit in index.search(vector, 100, effort="exact")]
    for path in (shown, "trip/IMG_0001.jpg", "trip/IMG_0001-bearbeitet.jpg", "trip/IMG_0005.jpg"):
        exact = index.exact_rank(vector, images[path].id)
        assert exact is not None
        assert exact.rank == hits.index(images[path].stack_of_id or images[path].id) + 1


def test_events_count_a_stack_once(stacked: Library) -> None:
    cluster(stacked)
    with stacked.engine.connect() as connection:
        model = find_model(connection, "tiny-a")
        assert model is not None
        events = list_events(connection, model.id)
        (trip,) = [event for event in events if event.starts_at.date() == NOON.date()]
        pictures = pictures_of(connection, trip)
        findings = check_events(connection, "tiny-a", stacked.settings.events)
    shown, _ = burst_of(stacked)
    expected = ["IMG_0001-bearbeitet.jpg", shown.rpartition("/")[2], "IMG_0005.jpg"]
    assert trip.image_count == 3
    assert trip.cover_image_id not in {image.id for image in stacked.images().values() if image.stack_of_id}
    assert [picture.file_name for picture in pictures] == expected
    assert findings.problems == ()


def test_a_copy_of_a_hidden_image_is_counted_with_its_stack(stacked: Library) -> None:
    _, others = burst_of(stacked)
    hidden = others.pop()
    (stacked.root / "elsewhere").mkdir()
    (stacked.root / "elsewhere/again.jpg").write_bytes((stacked.root / hidden).read_bytes())
    stacked.build()
    assert behind(stacked)["elsewhere/again.jpg"] == behind(stacked)[hidden]
    cluster(stacked)
    with stacked.engine.connect() as connection:
        assert check_events(connection, "tiny-a", stacked.settings.events).problems == ()


def test_the_stack_changes_with_its_files(stacked: Library) -> None:
    (stacked.root / "trip/IMG_0001-bearbeitet.jpg").unlink()
    (stacked.root / "trip/IMG_0003.jpg").unlink()  # what is left has a gap in its numbers
    stacked.build()
    assert behind(stacked) == {}
    live = stacked.indexes.open("tiny-a", 16).live_rows()
    assert live["stack_of"].null_count == len(live)


def test_stacks_are_computed_only_after_a_registration(any_library: Library) -> None:
    stacked = with_stacks(any_library)
    before = behind(stacked)

    def restacked(**options: Any) -> int:
        """How many images a build puts into their stacks, after somebody took all of them out. 0: it computes none."""
        with write_transaction(stacked.engine) as connection:
            connection.execute(update(Image).values(stack_of_id=None))
        context = stacked.context()
        return build_index(context, stacked.embeddings, stacked.indexes, **options).restacked

    stacked.embed_all("tiny-b")
    assert restacked(model_key="tiny-a") == 0
    assert restacked(model_key="tiny-b") == 0
    assert restacked(model_key="tiny-a", rebuild=True) == len(before)
    assert behind(stacked) == before
    draw_photo(stacked.root / "new.jpg", 9)
    stacked.scan()
    assert restacked(model_key="tiny-a") == len(before)
    stacked.register_all()
    stacked.embed_all()
    maintain_index(stacked.context(), stacked.indexes, "tiny-a")
    assert restacked(model_key="tiny-a") == len(before)
    assert restacked(model_key="tiny-a") == 0


def test_why_names_the_stack_and_the_rule(stacked: Library) -> None:
    def stack_row(path: str) -> str:
        (photo,) = explain_photo(stacked.settings, stacked.engine, path)
        (row,) = [finding for finding in photo.findings if finding.stage == "stack"]
        return f"{row.state}: {row.reason}"

    edited = stacked.images()["trip/IMG_0001-bearbeitet.jpg"].id
    assert stack_row("trip/IMG_0001.jpg") == (
        "in a stack: an edited copy and its original: searches, events and albums show "
        f"image {edited}, photos: trip/IMG_0001-bearbeitet.jpg"
    )
    assert stack_row("trip/IMG_0001-bearbeitet.jpg") == (
        "+1: it shows instead of photos: trip/IMG_0001.jpg (an edited copy and its original)"
    )
    assert stack_row("trip/IMG_0005.jpg").startswith("none")


def test_a_source_with_stacks_can_be_forgotten(stacked: Library) -> None:
    stores = SourceStores(stacked.embeddings, stacked.indexes)
    forget_source(stacked.context(), stores, "photos")
    with stacked.engine.connect() as connection:
        assert connection.execute(select(Image.id)).first() is None


def test_a_stack_that_loses_what_it_shows_with_a_source_shows_another_photo(
    library: Library, tmp_path: Path
) -> None:
    draw_shot(library.root / "trip/IMG_0001-edited.jpg", 1, NOON)
    original = draw_shot(library.root / "trip/IMG_0001.jpg", 1, NOON)
    library.build()
    backup = tmp_path / "backup"
    draw_shot(backup / "trip/IMG_0001-edited.jpg", 1, NOON, width=384)
    shutil.copy(original, backup / "trip/IMG_0001.jpg")
    library = configured_as(library, backup=backup)
    library.build()
    forget(library, "backup")
    with library.engine.connect() as connection:
        shown = select(Image.id).where(Image.path == "trip/IMG_0001-edited.jpg").scalar_subquery()
        assert connection.execute(select(Image.path).where(Image.stack_of_id == shown)).scalars().all() == [
            "trip/IMG_0001.jpg"
        ]


def cluster(library: Library) -> None:
    cluster_model(
        library.context(),
        library.embeddings,
        SegmentStore(library.files),
        "tiny-a",
        lambda texts: np.full((len(texts), 16), 0.25, np.float32),
        library.settings.events,
    )
