"""Why a search finds a photo, or not: rank, scores, filters, and the answer of the approximate index."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from photolineage.explain.in_search import MOST_HITS, Question, Ranking, ranking_findings
from photolineage.search.find import find_images
from photolineage.search.query import Query, QueryError, Weighted
from photolineage.search.scope import EVERYTHING, Scope
from photolineage.stores.vector_index import Circle, live_schema
from tests.explain.conftest import explain, findings
from tests.library import Library, draw_photo

TEXT = "coloured squares"
DATED = "2024/05.jpg"


@pytest.fixture
def built(library: Library) -> Library:
    library.build()
    return library


def asking(scope: Scope = EVERYTHING, text: str = TEXT) -> Question:
    return Question(Query(texts=(Weighted(text),)), scope)


def photo(library: Library, path: str = DATED) -> str:
    return str(library.root / path)


def test_every_photo_has_the_rank_and_the_score_of_the_search(built: Library) -> None:
    hits = find_images(built.settings, built.engine, "tiny-a", asking().query, k=26).hits
    for rank in (1, 10, 11, 26):
        hit = hits[rank - 1]
        explained = explain(built, str(hit.image_id), question=asking())
        ranking = explained.ranking
        assert ranking is not None
        assert (ranking.rank, ranking.index_rank, ranking.dropped_by) == (rank, rank, ())
        assert (ranking.score, ranking.page_score) == pytest.approx((hit.score, hits[9].score), abs=1e-6)
        first, answer = explained.findings[-2:]
        assert first.state == f"rank {rank}"
        assert ("--page" in first.remedy) == (rank > 10)
        assert answer.state == "exact"
    assert (
        f"scores {hits[25].score:.4f}; the last hit of the first page scores {hits[9].score:.4f}"
        in first.reason
    )
    assert "`photolineage search … --page 3`" in first.remedy


def test_a_copy_is_found_as_the_image_that_stands_for_it(built: Library) -> None:
    copy, original = (
        explain(built, photo(built, f"2023/{name}.jpg"), question=asking()) for name in ("copy", "03")
    )
    assert copy.ranking == original.ranking
    assert copy.ranking is not None


def test_each_filter_says_whether_it_drops_the_photo(built: Library) -> None:
    year = datetime(2024, 1, 1, tzinfo=UTC)
    passing = findings(built, photo(built), question=asking(Scope(("photos",), taken_from=year)))
    assert (passing["filter: source"].state, passing["filter: since"].state) == ("yes", "yes")
    hits = find_images(
        built.settings, built.engine, "tiny-a", asking().query, scope=Scope(taken_from=year), k=26
    ).hits
    assert len(hits) < 26
    rank = [hit.image_id for hit in hits].index(built.images()[DATED].id) + 1
    assert passing["search with tiny-a"].state == f"rank {rank}"

    scope = Scope(("photos",), taken_to=year, place=Circle(43.7, 11.2, 5))
    explained = explain(built, photo(built), question=asking(scope))
    assert explained.ranking is not None
    assert explained.ranking.dropped_by == ("before", "place")
    dropped = findings(built, photo(built), question=asking(scope))
    assert dropped["filter: source"].state == "yes"
    assert (dropped["filter: before"].state, dropped["filter: before"].reason) == (
        "drops it",
        "the photo was taken 2024-06-01 12:18 UTC",
    )
    assert dropped["filter: place"].reason == "no place is known"
    without = explain(built, photo(built), question=asking()).ranking
    assert without is not None
    assert explained.ranking.rank == without.rank


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("new", "the photo is not in the catalog"),
        ("unreadable", "the index of tiny-a does not have this image"),
        ("no index", "has no vector index"),
    ],
)
def test_a_photo_that_no_search_can_find_loads_no_model(built: Library, change: str, reason: str) -> None:
    path = DATED
    if change == "new":
        path = "2025/00.jpg"
        draw_photo(built.root / path, 905)
    elif change == "unreadable":
        path = "2023/torn.jpg"
    else:
        (built.settings.home / "index/tiny-a.lance").rename(built.settings.home / "moved")
    # loading it would fail: neither the exported text half nor the folder of the model is there
    settings = built.settings.model_copy(update={"models": {}})
    explained = explain(built, photo(built, path), settings=settings, question=asking(), model_key="tiny-a")
    assert explained.ranking is None
    assert explained.findings[-1].state == "not found"
    assert reason in explained.findings[-1].reason


def test_an_unknown_filter_and_an_empty_query_are_refused(built: Library) -> None:
    with pytest.raises(QueryError, match="source 'fotos' is not in the library; closest: photos"):
        explain(built, photo(built), question=asking(Scope(("fotos",))))
    settings = built.settings.model_copy(update={"models": {}})
    with pytest.raises(QueryError, match="no model is configured"):
        explain(built, photo(built), settings=settings, question=asking())


def add_rows(library: Library, images: int) -> None:
    """Fill the index with so many more images that an approximate index is trained for it."""
    index = library.indexes.open("tiny-a", 16)
    ids = pa.array(range(1_000_000, 1_000_000 + images), pa.int64())
    files = pa.array([999] * images, pa.int64())
    more = pa.table({"image_id": ids, "embedding_file": files, "source": ["photos"] * images})
    more = pa.concat_tables([index.live_rows(), more], promote_options="default").cast(live_schema())
    drawn = np.random.default_rng(5).standard_normal((images, 16))
    vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 16)
    batch = pa.record_batch({"image_id": ids, "embedding_file": files, "vector": column})
    index.synchronize(more, lambda _files: iter([batch]))
    index.build_ann_if_outgrown()
    assert index.describe().ann_kind is not None


def test_the_answer_of_an_approximate_index_stands_beside_the_exact_one(built: Library) -> None:
    add_rows(built, 12_000)
    image_id = built.images()[DATED].id
    explained = explain(built, photo(built), question=Question(Query(image_ids=(Weighted(image_id),))))
    assert explained.ranking is not None
    assert (explained.ranking.rank, explained.ranking.index_rank) == (1, 1)
    answer = explained.findings[-1]
    assert (answer.state, answer.reason) == ("rank 1", "the exact search ranks it 1")


@pytest.mark.parametrize(("rank", "state"), [(3, "left out"), (MOST_HITS + 1, "not compared")])
def test_an_answer_without_the_photo(rank: int, state: str) -> None:
    ranking = Ranking(rank=rank, score=0.2, page_score=0.1, index_rank=None, dropped_by=())
    _, answer = ranking_findings(ranking, "tiny-a", is_exact=False)
    assert answer.state == state
    assert answer.reason.startswith(f"the exact search ranks it {rank:,}")
    assert ("maintain_indexes" in answer.remedy) == (state == "left out")
