"""Events are stored once, and an event that keeps most of its members keeps its id."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, ImageFilter
from PIL import Image as PillowImage
from sqlalchemy import Row, select

from photolineage.catalog.orm import Event, EventImage
from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.events import segments
from photolineage.lineage import JobKind
from photolineage.settings.events import EventSettings
from photolineage.steps.cluster import ClusteringReport, IndexNotReadyError, cluster_model, read_images
from photolineage.stores.event_segments import SegmentStore, segments_path
from tests.library import Library, draw_photo, flip_a_bit_of_column

WALK = Path(__file__).parents[3] / "shared/photos/exif/jpg/gps"


def encode_text(texts: list[str]) -> NDArray[np.float32]:
    drawn = np.random.default_rng(1).standard_normal((len(texts), 16)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def segments_of(library: Library) -> SegmentStore:
    return SegmentStore(library.files)


def cluster(library: Library, settings: EventSettings | None = None) -> ClusteringReport:
    return cluster_model(
        library.context(),
        library.embeddings,
        segments_of(library),
        "tiny-a",
        encode_text,
        library.settings.events if settings is None else settings,
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


def test_events_are_stored_alike_on_each_database(any_library: Library) -> None:
    any_library.build()
    created = cluster(any_library)
    before = events(any_library)
    assert len(created.matching.created) == len(before) == created.events > 1
    copies = 1  # counts with its original
    assert sum(len(images) for images in members(any_library).values()) == created.images + copies

    draw_photo(any_library.root / "2024/new.jpg", 700, taken_at=datetime(2024, 6, 1, 12, 30, tzinfo=UTC))
    any_library.build()
    cluster(any_library)

    after = events(any_library)
    assert after.keys() == before.keys()
    changed = [event_id for event_id in after if after[event_id] != before[event_id]]
    assert changed == [max(after)]
    assert after[max(after)].image_count == before[max(after)].image_count + 1


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


def stored(library: Library) -> list[tuple[Any, ...]]:
    """All that is known of each event but its id and when it changed, with its members, in the order of the start."""
    found = members(library)
    return [
        (*(value for name, value in row._mapping.items() if name not in {"id", "updated_at"}), found[row.id])
        for row in events(library).values()
    ]


def test_the_first_run_has_nothing_to_take_over(library: Library) -> None:
    library.build()
    report = cluster(library)
    assert (report.clustered, report.taken_over) == (13, 0)
    assert report.nothing_kept == "nothing was kept yet"


def test_new_photos_cause_work_on_their_days_only(clustered: Library) -> None:
    for minute in range(3):
        path = clustered.root / f"2024/new-{minute}.jpg"
        draw_photo(
            path, 700 + minute, taken_at=datetime(2024, 6, 1, 12, 30, tzinfo=UTC) + timedelta(minutes=minute)
        )
    clustered.build()
    report = cluster(clustered)
    assert (report.clustered, report.taken_over, report.nothing_kept) == (6 + 3, 7, "")
    assert report.matching.grown == (max(events(clustered)),)
    taken_over = stored(clustered)

    clustered.files.local(segments_path("tiny-a")).unlink()
    again = cluster(clustered)

    assert (again.clustered, again.taken_over) == (16, 0)
    assert stored(clustered) == taken_over


def test_nothing_new_is_no_work_and_touches_no_event(clustered: Library) -> None:
    before = events(clustered)
    report = cluster(clustered)
    assert (report.clustered, report.taken_over, report.nothing_kept) == (0, 13, "")
    assert events(clustered) == before


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flipped(path: Path) -> None:
    """One bit of a page is another: the checksum of the page tells."""
    flip_a_bit_of_column(path, "fingerprint")


def of_other_columns(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["members"]), path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (torn, "cannot be read"),
        (flipped, "cannot be read"),
        (of_other_columns, "another version wrote this file"),
    ],
)
def test_a_damaged_file_means_more_work_and_says_so(
    clustered: Library, damage: Callable[[Path], None], reason: str
) -> None:
    before = stored(clustered)
    path = clustered.files.local(segments_path("tiny-a"))
    damage(path)

    report = cluster(clustered)

    assert (report.clustered, report.taken_over) == (13, 0)
    assert report.nothing_kept.startswith(f"{path}: {reason}")
    assert stored(clustered) == before
    assert cluster(clustered).taken_over == 13


def test_a_stale_file_is_of_no_harm(clustered: Library) -> None:
    """What was kept before a day's images were gone, put back after that was clustered."""
    path = clustered.files.local(segments_path("tiny-a"))
    stale = path.read_bytes()
    for photo in sorted((clustered.root / "2023").iterdir())[:2]:
        photo.unlink()
    clustered.build()
    cluster(clustered)
    expected = stored(clustered)
    path.write_bytes(stale)

    report = cluster(clustered)

    assert (report.clustered, report.taken_over) == (5, 6)
    assert stored(clustered) == expected


def test_what_other_code_clustered_is_not_taken_over(
    clustered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "code_digest", lambda: "of another version")
    assert cluster(clustered).clustered == 13


def test_the_title_words_are_a_setting_and_cause_no_clustering(clustered: Library) -> None:
    settings = clustered.settings.events
    report = cluster(clustered, settings.model_copy(update={"title_words": ("chequered cloth",)}))
    assert report.clustered == 0
    assert [row.title for row in events(clustered).values()] == [
        "Chequered cloth · 1 Jun 2023",
        "Chequered cloth · 1 Jun 2024",
    ]
    cluster(clustered, settings.model_copy(update={"title_words": ()}))
    assert [row.title for row in events(clustered).values()] == ["1 Jun 2023", "1 Jun 2024"]


@pytest.mark.skipif(not WALK.is_dir(), reason=f"no real photos at {WALK}")
def test_a_real_walk_is_one_event(library: Library) -> None:
    for path in sorted(library.root.rglob("*.jpg")):
        path.unlink()
    photos = [Path(shutil.copy(path, library.root)) for path in sorted(WALK.glob("*.jpg"))]
    library.build()

    assert cluster(library).images == len(photos) > 0

    (event,) = events(library).values()
    assert event.image_count == len(photos)
    assert event.title.endswith(" · Arezzo · 22 Oct 2008")


def test_images_are_read_with_their_quality_and_the_folder_of_their_source(library: Library) -> None:
    awkward = os.fsdecode(b"2023/caf\xe9, line\nbreak")
    draw_photo(library.root / awkward / "a.jpg", 800)
    library.scan()
    library.register_all()
    with library.engine.connect() as connection:
        found = read_images(connection)
    rows = {row["image_id"]: row for row in found.to_pylist()}
    stored = library.images()
    assert rows.keys() == {row.id for row in stored.values() if row.state is ImageState.REGISTERED}
    for path, image in stored.items():
        if image.state is ImageState.REGISTERED:
            folder = os.path.dirname(os.fsencode(path)).decode(errors="backslashreplace")
            assert rows[image.id]["folder"] == f"{image.source_id}:{folder}"
            assert rows[image.id]["quality"] == pytest.approx(image.quality)
            assert 0 < image.quality < 1
    assert rows[stored[f"{awkward}/a.jpg"].id]["folder"].endswith(":2023/caf\\xe9, line\nbreak")


def test_the_precision_of_a_date_and_the_source_of_an_offset_are_stored(library: Library) -> None:
    scan = draw_photo(library.root / "scan.jpg", 801)
    exif = PillowImage.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "1993:08:   "
    with PillowImage.open(scan) as image:
        image.copy().save(scan, exif=exif)
    library.scan()
    library.register_all()
    stored = library.images()
    first, made = stored["2023/00.jpg"], stored["scan.jpg"]
    assert (first.taken_at_precision, first.utc_offset_source) == ("second", "stated")
    assert (made.taken_at_precision, made.utc_offset_source, made.taken_at_source) == ("month", None, "exif")
    assert made.taken_at == datetime(1993, 8, 1, 12, tzinfo=UTC)
    with library.engine.connect() as connection:
        rows = {row["image_id"]: row for row in read_images(connection).to_pylist()}
    assert rows[made.id]["taken_at_precision"] == "month"


def test_of_two_takes_the_sharp_one_is_the_cover(library: Library) -> None:
    """Four pictures of one minute are as near to the event's looks; the third is the only sharp one."""
    for path in sorted(library.root.rglob("*.jpg")):
        path.unlink()
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)
    for number in range(4):
        path = draw_photo(library.root / f"{number}.jpg", 800, taken_at=noon + timedelta(seconds=20 * number))
        with PillowImage.open(path) as picture:
            exif = picture.getexif()
            blurred = picture.filter(ImageFilter.GaussianBlur(0 if number == 2 else 1 + number / 10))
        blurred.save(path, "JPEG", quality=95, exif=exif)
    library.build()
    cluster(library)
    (event,) = events(library).values()
    assert event.cover_image_id == library.images()["2.jpg"].id


def test_an_index_must_be_built_first(library: Library) -> None:
    library.scan()
    library.register_all()
    library.embed_all()
    with pytest.raises(IndexNotReadyError, match="model 'tiny-a': materialize vector_index for it first"):
        cluster(library)
    assert library.jobs(JobKind.CLUSTER) == []
