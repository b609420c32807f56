"""The approximate index, compaction and what they are measured by."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from photolineage.stores.vector_index import AnnAction, SearchEffort, SearchFilters, VectorIndex
from photolineage.stores.vector_index.maintenance import ann_index
from tests.stores.vector_index.conftest import Library

LEAST = SearchEffort(probes=1, refine_factor=1)
ENOUGH = 12_000


def clustered(count: int, dim: int) -> np.ndarray:
    """Unit vectors about 200 centres."""
    random = np.random.default_rng(5)
    vectors = random.standard_normal((200, dim))[random.integers(0, 200, count)]
    vectors += 0.5 * random.standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture
def large(library: Library, index: VectorIndex) -> VectorIndex:
    """An index of `ENOUGH` images in one file, every third of them from a second source."""
    library.commit(1, range(ENOUGH), clustered(ENOUGH, 16))
    for image in range(0, ENOUGH, 3):
        library.facts[image]["source"] = "telephone"
    index.synchronize(library.live(), library.read)
    return index


def test_a_small_table_is_searched_exactly(library: Library, index: VectorIndex) -> None:
    library.commit(1, range(9_999))
    index.synchronize(library.live(), library.read)
    report = index.build_ann_if_outgrown()
    assert (report.action, report.kind, report.rows, report.trained_rows) == (
        AnnAction.NOT_NEEDED,
        None,
        9_999,
        None,
    )
    assert index.describe().ann_kind is None


def test_an_index_is_built_once_and_again_when_it_is_outgrown(library: Library, large: VectorIndex) -> None:
    built = large.build_ann_if_outgrown()
    assert (built.action, built.kind, built.rows, built.trained_rows) == (
        AnnAction.BUILT, "IvfRq", ENOUGH, ENOUGH,
    )  # fmt: skip
    assert large.describe().ann_rows == ENOUGH

    kept = large.build_ann_if_outgrown()
    assert (kept.action, kept.rows, kept.trained_rows) == (AnnAction.KEPT, ENOUGH, ENOUGH)

    library.commit(2, range(ENOUGH, 2 * ENOUGH))
    large.synchronize(library.live(), library.read)
    assert large.build_ann_if_outgrown().action is AnnAction.KEPT
    library.commit(3, [2 * ENOUGH])
    large.synchronize(library.live(), library.read)
    again = large.build_ann_if_outgrown()
    assert (again.action, again.trained_rows) == (AnnAction.BUILT, 2 * ENOUGH + 1)
    assert large.describe().ann_rows == 2 * ENOUGH + 1
    assert [index.name for index in large._open().list_indices()].count(f"vector_ann_{ENOUGH}") == 0


def test_of_two_approximate_indices_the_outgrown_is_dropped(large: VectorIndex) -> None:
    """A kill between the making of an index and the dropping of the former leaves both."""
    from lancedb.index import IvfRq

    large._open().create_index("vector", config=IvfRq(distance_type="cosine"), name="vector_ann_5000")
    large._open().create_index("vector", config=IvfRq(distance_type="cosine"), name=f"vector_ann_{ENOUGH}")
    report = large.build_ann_if_outgrown()
    assert (report.action, report.trained_rows) == (AnnAction.KEPT, ENOUGH)
    names = [index.name for index in large._open().list_indices() if index.columns == ["vector"]]
    assert names == [f"vector_ann_{ENOUGH}"]


def test_rows_that_are_not_in_the_approximate_index_yet_are_found(
    library: Library, large: VectorIndex
) -> None:
    large.build_ann_if_outgrown()
    library.commit(2, range(ENOUGH, ENOUGH + 50))
    library.remove([0])
    large.synchronize(library.live(), library.read)

    for image in (ENOUGH, ENOUGH + 49):
        assert large.search(large.vectors_of([image])[0], 1)[0].image_id == image
    removed = library.files[1][0].astype(np.float32)
    assert 0 not in [hit.image_id for hit in large.search(removed, 20)]

    description = large.describe()
    assert (description.rows, description.ann_rows) == (ENOUGH + 49, ENOUGH - 1)
    large.compact()
    assert large.describe().ann_rows == ENOUGH + 49


def test_changed_facts_leave_the_approximate_index_whole(library: Library, large: VectorIndex) -> None:
    large.build_ann_if_outgrown()
    for image in range(100):
        library.facts[image]["source"] = "scanner"
    large.synchronize(library.live(), library.read)
    assert large.describe().ann_rows == ENOUGH
    hits = large.search(
        library.files[1][7].astype(np.float32), 100, filters=SearchFilters(sources=("scanner",))
    )
    assert sorted(hit.image_id for hit in hits) == list(range(100))
    assert hits[0].image_id == 7


def test_recall_is_measured_against_every_row(large: VectorIndex) -> None:
    exact = large.recall_at_k(k=10, sample=50, seed=1)
    assert (exact.k, exact.sample, exact.recall) == (10, 50, 1.0)
    large.build_ann_if_outgrown()
    good = large.recall_at_k(k=10, sample=50, seed=1)
    assert 0.95 <= good.recall <= 1.0
    assert 0 < good.p50_ms <= good.p95_ms
    assert large.recall_at_k(k=10, sample=50, seed=1, effort=LEAST).recall < 0.95


def test_recall_agrees_with_numpy(library: Library, large: VectorIndex) -> None:
    """The figure, recomputed from the files by another way, on an index that was made to lose some."""
    large.build_ann_if_outgrown()
    vectors = np.stack([library.files[1][image] for image in range(ENOUGH)]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sample = np.random.default_rng(3).choice(np.arange(ENOUGH), size=40, replace=False)
    found = 0
    for image in sample.tolist():
        cosines = vectors @ vectors[image]
        cosines[image] = -2
        truth = set(np.argsort(-cosines)[:10].tolist())
        hits = large.search(
            library.files[1][image].astype(np.float32),
            11,
            filters=SearchFilters(fold_stacks=False),
            effort=LEAST,
        )
        found += len(truth & set([hit.image_id for hit in hits if hit.image_id != image][:10]))
    assert large.recall_at_k(k=10, sample=40, seed=3, effort=LEAST).recall == pytest.approx(
        found / 400, abs=0.01
    )


@pytest.mark.parametrize(("images", "sample"), [(0, 0), (1, 1), (5, 5)])
def test_recall_of_a_tiny_table(library: Library, index: VectorIndex, images: int, sample: int) -> None:
    if images:
        library.commit(1, range(images))
    index.synchronize(library.live(), library.read)
    report = index.recall_at_k(k=10)
    assert (report.recall, report.sample) == (1.0, sample)


def test_compaction_merges_fragments_and_deletes_old_versions(
    library: Library,
    make_index: Callable[..., VectorIndex],
    stored_rows: Callable[..., list[dict[str, object]]],
) -> None:
    index = make_index()
    for file in range(8):
        library.commit(file, range(10 * file, 10 * file + 10))
        index.synchronize(library.live(), library.read)
    library.remove(range(20))
    index.synchronize(library.live(), library.read)

    report = index.compact()

    assert (report.fragments_before, report.fragments_after) == (6, 1)
    assert report.bytes_after < report.bytes_before
    assert report.bytes_after == index.describe().bytes
    assert len(index._open().list_versions()) == 1
    assert stored_rows() == library.expected_rows()


def test_versions_are_kept_for_readers(library: Library, tmp_path: Path) -> None:
    index = VectorIndex(tmp_path / "kept", "clip", 16, keep_versions_for=timedelta(hours=1))
    for file in range(3):
        library.commit(file, [file])
        index.synchronize(library.live(), library.read)
    index.compact()
    assert len(index._open().list_versions()) >= 4


def test_compaction_of_what_is_compact_changes_nothing(large: VectorIndex) -> None:
    large.build_ann_if_outgrown()
    large.compact()
    version = large._open().version
    large.compact()
    assert large._open().version == version


def test_what_a_killed_writer_left_is_swept(library: Library, index: VectorIndex) -> None:
    library.commit(1, range(5))
    index.synchronize(library.live(), library.read)
    orphan = index.directory / "demo-clip-v1.lance" / "data" / "0123456789abcdef.lance"
    orphan.write_bytes(b"half of a file")
    index.compact()
    assert not orphan.exists()
    assert index.row_count() == 5


def test_the_description_is_that_of_the_table(large: VectorIndex) -> None:
    description = large.describe()
    on_disk = sum(path.stat().st_size for path in large.directory.rglob("*") if path.is_file())
    assert (description.rows, description.fragments, description.bytes) == (ENOUGH, 1, on_disk)
    assert str(description.schema.field("vector").type) == "fixed_size_list<item: halffloat>[16]"
    assert ann_index(large._open()) is None
