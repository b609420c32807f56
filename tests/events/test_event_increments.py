"""New photos cause work only in their time ranges, and the result equals clustering everything again."""

import re
import shutil
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photolineage.events import segments
from photolineage.events.cluster import cluster_events
from photolineage.events.records import Event, EventClustering
from photolineage.settings.events import EventSettings
from tests.events.conftest import Photos
from workloads.habits import HABITS

SETTINGS = EventSettings()


def assert_same(found: EventClustering, expected: EventClustering) -> None:
    assert found.segments.equals(expected.segments)
    assert found.undated.tolist() == expected.undated.tolist()
    assert found.clock_offsets == expected.clock_offsets
    assert [described(event) for event in found.events] == [described(event) for event in expected.events]


def described(event: Event) -> dict[str, object]:
    """The event with its arrays as lists."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()
    }


def at_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    return table.take(pa.array(np.flatnonzero(rows)))


@pytest.mark.parametrize("habit", sorted(HABITS))
def test_adding_photos_equals_clustering_everything(habit: str) -> None:
    """First without a tenth of the time and a few random images; then with all images."""
    rng = np.random.default_rng(77)
    collection = HABITS[habit](rng)
    instants = collection.images["taken_at"].cast(pa.int64()).to_numpy()
    low, high = np.quantile(instants, [0.4, 0.5])
    early = ((instants < low) | (instants > high)) & (rng.random(len(instants)) > 0.002)
    before = cluster_events(
        at_rows(collection.images, early), at_rows(collection.embeddings, early), SETTINGS
    )
    again = cluster_events(collection.images, collection.embeddings, SETTINGS, previous=before.segments)
    assert_same(again, cluster_events(collection.images, collection.embeddings, SETTINGS))


def weekly_outings(photos: Photos) -> None:
    for week in range(30):
        photos.outing(168 * week, 10, look=f"scene {week % 5}")


def test_only_changed_ranges_are_clustered_again(photos: Photos) -> None:
    weekly_outings(photos)
    before = photos.cluster()
    assert before.clustered_images == 300
    photos.outing(168 * 12 + 0.5, 4, look="scene 2")
    photos.outing(168 * 40, 7)
    again = cluster_events(photos.images(), photos.embeddings(), SETTINGS, previous=before.segments)
    assert again.clustered_images == 10 + 4 + 7
    assert_same(again, photos.cluster())


def test_an_unchanged_library_needs_no_work(photos: Photos) -> None:
    weekly_outings(photos)
    before = photos.cluster()
    again = cluster_events(photos.images(), photos.embeddings(), SETTINGS, previous=before.segments)
    assert again.clustered_images == 0
    assert_same(again, before)


def test_the_segments_can_be_saved_and_loaded(photos: Photos, tmp_path: Path) -> None:
    weekly_outings(photos)
    before = photos.cluster()
    pq.write_table(before.segments, tmp_path / "segments.parquet")
    kept = pq.read_table(tmp_path / "segments.parquet")
    again = cluster_events(photos.images(), photos.embeddings(), SETTINGS, previous=kept)
    assert again.clustered_images == 0
    assert_same(again, before)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("taken_at", None),
        ("utc_offset_minutes", 60),
        ("latitude", 10.0),
        ("camera", "another"),
        ("shown_by", 55),
    ],
)
def test_a_changed_row_touches_its_range(photos: Photos, column: str, value: object) -> None:
    weekly_outings(photos)
    before = photos.cluster()
    row = photos.rows[57]
    row |= {column: row["taken_at"] + timedelta(minutes=1) if column == "taken_at" else value}
    row["longitude"] = 10.0 if column == "latitude" else None
    again = cluster_events(photos.images(), photos.embeddings(), SETTINGS, previous=before.segments)
    assert again.clustered_images == (9 if column == "shown_by" else 10)
    assert_same(again, photos.cluster())


def test_a_changed_vector_touches_its_range(photos: Photos) -> None:
    weekly_outings(photos)
    before = photos.cluster()
    photos.vectors[58] = photos.vectors[1]
    again = cluster_events(photos.images(), photos.embeddings(), SETTINGS, previous=before.segments)
    assert again.clustered_images == 10
    assert_same(again, photos.cluster())


def test_another_setting_clusters_everything_again(photos: Photos) -> None:
    weekly_outings(photos)
    before = photos.cluster()
    other = EventSettings(event_gap_hours=5.0)
    again = cluster_events(photos.images(), photos.embeddings(), other, previous=before.segments)
    assert again.clustered_images == 300


def test_a_setting_of_undated_images_or_titles_clusters_nothing_again(photos: Photos) -> None:
    weekly_outings(photos)
    before = photos.cluster()
    other = EventSettings(undated_min_confidence=0.9, title_words=("lighthouse",))
    again = cluster_events(photos.images(), photos.embeddings(), other, previous=before.segments)
    assert again.clustered_images == 0


@pytest.mark.parametrize("module", ["boundaries", "clocks", "gaps", "places", "segments", "undated"])
def test_another_constant_makes_other_fingerprints(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constants of clustering are code: the digest of the code is part of each fingerprint."""
    package = Path(shutil.copytree(Path(segments.__file__).parent, tmp_path / "events"))
    digest = segments.code_digest()
    monkeypatch.setattr(segments, "__file__", str(package / "segments.py"))
    assert segments.code_digest.__wrapped__() == digest
    source = package / f"{module}.py"
    source.write_text(re.sub(r"(?m)^([A-Z_]+ = \d)", r"\g<1>1", source.read_text(), count=1))
    assert segments.code_digest.__wrapped__() != digest


def test_another_table_is_an_error(photos: Photos) -> None:
    weekly_outings(photos)
    with pytest.raises(ValueError, match="pass the `segments` of an EventClustering"):
        cluster_events(photos.images(), photos.embeddings(), SETTINGS, previous=photos.images())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    gaps=st.lists(st.sampled_from([0.0005, 0.05, 0.4, 1.0, 3.0, 14.0, 50.0, 71.9, 72.0, 100.0]), max_size=60),
    added=st.sets(st.integers(0, 59)),
    seed=st.integers(0, 3),
)
def test_equality_holds_for_any_timeline(gaps: list[float], added: set[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    photos = Photos()
    for hours in np.cumsum(gaps):
        place = {"latitude": float(rng.choice([43.0, 44.0])), "longitude": 11.0} if rng.random() < 0.7 else {}
        photos.add(float(hours), look=str(rng.integers(3)) if rng.random() < 0.8 else None, **place)
    images, embeddings = photos.images(), photos.embeddings()
    kept = np.array([row["image_id"] - 1 not in added for row in photos.rows], dtype=bool)
    embedded = np.array([int(i) - 1 not in added for i in photos.vectors], dtype=bool)
    before = cluster_events(at_rows(images, kept), at_rows(embeddings, embedded), SETTINGS)
    again = cluster_events(images, embeddings, SETTINGS, previous=before.segments)
    assert_same(again, cluster_events(images, embeddings, SETTINGS))


def test_the_order_of_rows_does_not_matter() -> None:
    collection = HABITS["two_cameras"](np.random.default_rng(5))
    order = np.random.default_rng(6).permutation(collection.images.num_rows)
    shuffled = cluster_events(
        collection.images.take(pa.array(order)), collection.embeddings.take(pa.array(order[::-1])), SETTINGS
    )
    assert_same(shuffled, cluster_events(collection.images, collection.embeddings, SETTINGS))


def test_progress_counts_images_up_to_all(photos: Photos) -> None:
    weekly_outings(photos)
    told: list[tuple[int, int]] = []
    cluster_events(
        photos.images(), photos.embeddings(), SETTINGS, on_progress=lambda *counts: told.append(counts)
    )
    assert told[-1] == (300, 300)
