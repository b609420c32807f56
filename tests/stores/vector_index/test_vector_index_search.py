"""What a search returns: exact scores, typed filters, folded copies, whole pages."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from photolineage.stores.vector_index import (
    Box,
    Circle,
    ImageNotIndexedError,
    IndexNotBuiltError,
    SearchFilters,
    VectorIndex,
)
from tests.stores.vector_index.conftest import START, Library

HOSTILE_NAMES = [
    "it's",
    "'; DROP TABLE image; --",
    "' OR '1'='1",
    '"quoted"',
    "back\\slash\\",
    "new\nline",
    "tab\t",
    "`tick`",
    "100%_",
    "写真 ☃ é",
    "camera) or (true",
    "",
]
QUERY = np.eye(16, dtype=np.float32)[0]


def fan(angles: list[float]) -> np.ndarray:
    """Unit vectors in one plane, at these angles in degrees from the query."""
    vectors = np.zeros((len(angles), 16))
    vectors[:, 0], vectors[:, 1] = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    return vectors.astype(np.float16)


@pytest.fixture
def synchronized(index: VectorIndex, library: Library) -> Callable[[], VectorIndex]:
    def synchronize() -> VectorIndex:
        index.synchronize(library.live(), library.read)
        return index

    return synchronize


def found(index: VectorIndex, **filters: Any) -> list[int]:
    """The images that satisfy the filters, nearest first."""
    return [hit.image_id for hit in index.search(QUERY, 100, filters=SearchFilters(**filters))]


def test_hits_are_the_nearest_with_their_cosine(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    library.commit(1, [7, 8, 9], fan([60, 0, 90]))
    library.facts[8]["stack_of"] = 1

    hits = synchronized().search(QUERY, 2)

    assert [(hit.image_id, hit.stack_of) for hit in hits] == [(8, 1), (7, None)]
    assert [hit.score for hit in hits] == pytest.approx([1, 0.5], abs=1e-3)


def test_a_query_need_not_be_of_unit_length(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    library.commit(1, [7, 8], fan([60, 0]))
    index = synchronized()
    assert [(hit.image_id, round(hit.score, 4)) for hit in index.search(5 * QUERY, 2)] == [
        (hit.image_id, round(hit.score, 4)) for hit in index.search(QUERY, 2)
    ]


def test_pages_follow_each_other(synchronized: Callable[[], VectorIndex], library: Library) -> None:
    library.commit(1, range(50))
    index = synchronized()
    whole = index.search(QUERY, 50)
    pages = [index.search(QUERY, 8, offset=offset) for offset in range(0, 50, 8)]
    assert [hit for page in pages for hit in page] == whole
    assert len(whole) == 50
    assert index.search(QUERY, 8, offset=50) == []


def test_equal_scores_are_in_the_order_of_their_images(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    library.commit(1, [5, 3, 4], fan([0, 0, 0]))
    assert found(synchronized()) == [3, 4, 5]


def test_copies_are_folded_into_the_nearest(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    library.commit(1, [1, 2, 3, 4], fan([0, 0, 10, 0]))
    library.facts[2] |= {"stack_of": 1, "source": "telephone"}
    library.facts[4]["stack_of"] = 1
    index = synchronized()
    assert found(index) == [1, 3]
    assert found(index, fold_stacks=False) == [1, 2, 4, 3]
    assert found(index, sources=("telephone",)) == [2], "a copy is found where its original is filtered out"


def test_a_page_is_full_however_many_copies_are_folded(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    library.commit(1, range(200), fan([0.0] * 190 + [20, 30, 40, 50, 60, 70, 75, 80, 85, 90]))
    for image in range(1, 190):
        library.facts[image]["stack_of"] = 0
    index = synchronized()
    assert [hit.image_id for hit in index.search(QUERY, 5)] == [0, 190, 191, 192, 193]
    assert [hit.image_id for hit in index.search(QUERY, 5, offset=5)] == [194, 195, 196, 197, 198]
    assert [hit.image_id for hit in index.search(QUERY, 5, offset=10)] == [199]


def test_sources_of_any_name_filter_exactly(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    library.commit(1, range(len(HOSTILE_NAMES)))
    for image, name in enumerate(HOSTILE_NAMES):
        library.facts[image]["source"] = name
    index = synchronized()
    for image, name in enumerate(HOSTILE_NAMES):
        assert found(index, sources=(name,)) == [image], name
    assert sorted(found(index, sources=tuple(HOSTILE_NAMES))) == list(range(len(HOSTILE_NAMES)))
    assert found(index, sources=("no such source",)) == []
    assert index.row_count() == len(HOSTILE_NAMES)


def test_a_range_of_times_is_half_open(synchronized: Callable[[], VectorIndex], library: Library) -> None:
    library.commit(1, range(6))
    library.facts[3]["taken_at"] = None
    index = synchronized()
    first, last = START + timedelta(days=1), START + timedelta(days=4)
    assert sorted(found(index, taken_from=first)) == [1, 2, 4, 5]
    assert sorted(found(index, taken_to=last)) == [0, 1, 2]
    assert sorted(found(index, taken_from=first, taken_to=last)) == [1, 2]
    assert sorted(found(index)) == [0, 1, 2, 3, 4, 5]


def test_a_time_of_another_zone_is_the_same_instant(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    library.commit(1, range(6))
    index = synchronized()
    there = timezone(timedelta(hours=13))
    assert sorted(found(index, taken_from=(START + timedelta(days=4)).astimezone(there))) == [4, 5]
    assert sorted(found(index, taken_from=(START + timedelta(days=4, microseconds=1)).astimezone(there))) == [
        5
    ]


PLACES = {
    1: (47.3769, 8.5417),  # Zürich
    2: (47.4245, 9.3767),  # St. Gallen, 63 km from Zürich
    3: (46.9480, 7.4474),  # Bern, 95 km from Zürich
    4: (-16.8, 179.9),  # Taveuni, west of the 180th meridian
    5: (-16.8, -179.9),  # and 21 km further east
    6: (90.0, 0.0),
    7: (89.9, 179.0),  # 11 km from the pole
}


@pytest.fixture
def around_the_world(synchronized: Callable[[], VectorIndex], library: Library) -> VectorIndex:
    library.commit(1, [0, *PLACES])
    for image, (latitude, longitude) in PLACES.items():
        library.facts[image] |= {"latitude": latitude, "longitude": longitude}
    return synchronized()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Circle(47.3769, 8.5417, 62), [1]),
        (Circle(47.3769, 8.5417, 64), [1, 2]),
        (Circle(47.3769, 8.5417, 100), [1, 2, 3]),
        (Circle(47.3769, 8.5417, 1e-6), [1]),
        (Circle(-16.8, 179.9, 21), [4]),
        (Circle(-16.8, 179.9, 22), [4, 5]),
        (Circle(-16.8, -179.9, 22), [4, 5]),
        (Circle(90, 0, 12), [6, 7]),
        (Circle(89.95, -1, 20), [6, 7]),
        (Circle(0, 0, 20_100), [1, 2, 3, 4, 5, 6, 7]),
        (Box(46, 7, 48, 9), [1, 3]),
        (Box(-20, 179, -10, -179), [4, 5]),
        (Box(-20, -180, -10, 179), [5]),
        (Box(-20, -180, -10, 180), [4, 5]),
        (Box(-90, -180, 90, 180), [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_places(around_the_world: VectorIndex, place: Box | Circle, expected: list[int]) -> None:
    assert sorted(found(around_the_world, place=place)) == expected


def test_the_corners_of_a_circle_do_not_empty_a_page(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    """200 nearer images lie in the corner of the bounding box; the ones of the circle are found all the same."""
    library.commit(1, range(210), fan([0.0] * 200 + [45.0] * 10))
    for image in range(210):
        library.facts[image] |= (
            {"latitude": 9.9, "longitude": 9.9} if image < 200 else {"latitude": 1, "longitude": 1}
        )
    hits = synchronized().search(QUERY, 10, filters=SearchFilters(place=Circle(0, 0, 1112)))
    assert [hit.image_id for hit in hits] == list(range(200, 210))


def test_only_named_images_are_returned(synchronized: Callable[[], VectorIndex], library: Library) -> None:
    library.commit(1, range(10))
    index = synchronized()
    assert sorted(found(index, image_ids=(3, 5, 99))) == [3, 5]
    assert found(index, image_ids=()) == []
    assert found(index, sources=()) == []


def test_filters_are_all_to_be_satisfied(synchronized: Callable[[], VectorIndex], library: Library) -> None:
    library.commit(1, range(10))
    for image in range(5):
        library.facts[image]["source"] = "telephone"
    index = synchronized()
    assert sorted(found(index, sources=("telephone",), image_ids=(3, 7), taken_from=START)) == [3]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            lambda: SearchFilters(taken_from=datetime(2024, 1, 1)),  # noqa: DTZ001
            "taken_from 2024-01-01 00:00:00: the time zone is missing",
        ),
        (lambda: SearchFilters(taken_from=START, taken_to=START), "is not before taken_to"),
        (lambda: Box(10, 0, 5, 0), "south 10 is north of north 5"),
        (lambda: Box(0, 0, 91, 0), "latitude 91"),
        (lambda: Box(0, -181, 1, 0), "longitude -181"),
        (lambda: Circle(0, 0, 0), "radius_km 0"),
        (lambda: Circle(0, 0, float("inf")), "radius_km inf"),
        (lambda: Circle(float("nan"), 0, 1), "latitude nan"),
    ],
)
def test_impossible_filters_are_refused(filters: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        filters()


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.ones(8, np.float32), r"shape \(8,\): model 'demo-clip-v1' expects 16 dimensions"),
        (np.ones((1, 16), np.float32), r"shape \(1, 16\)"),
        (np.zeros(16, np.float32), "no direction"),
        (np.full(16, np.nan, np.float32), "must be finite"),
    ],
)
def test_a_vector_without_a_direction_is_refused(
    synchronized: Callable[[], VectorIndex], library: Library, vector: np.ndarray, message: str
) -> None:
    library.commit(1, range(3))
    with pytest.raises(ValueError, match=message):
        synchronized().search(vector, 3)


@pytest.mark.parametrize(("k", "offset"), [(0, 0), (-1, 0), (5, -1)])
def test_impossible_pages_are_refused(
    synchronized: Callable[[], VectorIndex], library: Library, k: int, offset: int
) -> None:
    library.commit(1, range(3))
    with pytest.raises(ValueError, match=f"k {k}, offset {offset}"):
        synchronized().search(QUERY, k, offset=offset)


def test_an_index_that_is_not_built_is_not_searched(index: VectorIndex) -> None:
    with pytest.raises(IndexNotBuiltError):
        index.search(QUERY, 3)


def test_embeddings_come_in_the_order_asked_for(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    library.commit(1, range(5))
    index = synchronized()
    expected = np.stack([library.files[1][image] for image in (4, 0, 4)]).astype(np.float32)
    vectors = index.vectors_of([4, 0, 4])
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, expected)
    assert index.vectors_of([]).shape == (0, 16)
    with pytest.raises(ImageNotIndexedError, match=r"'demo-clip-v1': images 77, 78") as raised:
        index.vectors_of([1, 77, 78])
    assert raised.value.image_ids == (77, 78)


def test_an_exact_rank_is_the_place_in_the_exact_search(
    synchronized: Callable[[], VectorIndex], library: Library
) -> None:
    library.commit(1, range(1, 41), fan([float(angle // 2) for angle in range(40)]))  # pairs of equal scores
    for image in (5, 6, 30):
        library.facts[image]["stack_of"] = 4
    for image in range(1, 41, 3):
        library.facts[image] |= {"latitude": 43.0 + image / 100, "longitude": 11.0}
    index = synchronized()
    for filters in (
        SearchFilters(),
        SearchFilters(fold_stacks=False),
        SearchFilters(taken_from=START + timedelta(days=10), taken_to=START + timedelta(days=35)),
        SearchFilters(place=Circle(43.1, 11.0, 20)),
        SearchFilters(image_ids=tuple(range(20, 38))),
    ):
        hits = index.search(QUERY, 100, filters=filters, effort="exact")
        assert len(hits) > 3
        for place, hit in enumerate(hits, start=1):
            found = index.exact_rank(QUERY, hit.image_id, filters=filters)
            assert found is not None
            assert found.rank == place
            assert found.score == pytest.approx(hit.score, abs=1e-6)
        left_out = {*range(1, 42)} - set(found_with(index, filters))
        assert {index.exact_rank(QUERY, image, filters=filters) for image in left_out} <= {None}


def found_with(index: VectorIndex, filters: SearchFilters) -> list[int]:
    """Every image that satisfies the filters, copies too."""
    return [hit.image_id for hit in index.search(QUERY, 100, filters=replace(filters, fold_stacks=False))]
