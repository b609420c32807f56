"""A model serves only when it covers every image and its index is up to date; there is always at most one."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from catalog.engine import run_in_transaction
from catalog.models import MlModel
from pipeline.model_registry import ModelNotLoadedError, promote
from pipeline.serving import NotReadyToServeError, Readiness, assess_readiness, choose_candidate, serve
from resources.vector_index import RecallReport
from tests.library import Library, draw_photo, touch


def assess(library: Library, model_key: str = "tiny-a", recall_bar: float = 0.95) -> Readiness:
    return assess_readiness(library.engine, library.embeddings, library.indexes, model_key, recall_bar)


def serving(library: Library) -> list[str]:
    with library.engine.connect() as connection:
        rows = connection.execute(select(MlModel.key, MlModel.serving_since).where(MlModel.serving)).all()
    assert all(since is not None for _, since in rows)
    return [key for key, _ in rows]


def test_a_complete_model_is_promoted_and_another_and_back(library: Library) -> None:
    library.build("tiny-a", "tiny-b")
    first, second = assess(library, "tiny-a"), assess(library, "tiny-b")
    assert (first.embeddable, first.embedded, first.indexed, first.refusals) == (26, 26, 26, ())
    assert first.recall is not None
    assert first.recall.recall == 1.0
    assert serving(library) == []
    assert serve(library.engine, first) is None
    assert serving(library) == ["tiny-a"]
    assert serve(library.engine, second) == "tiny-a"
    assert serving(library) == ["tiny-b"]
    assert serve(library.engine, first) == "tiny-b"
    assert serving(library) == ["tiny-a"]
    assert serve(library.engine, first) == "tiny-a"


def test_a_model_that_does_not_cover_every_image_is_refused(library: Library) -> None:
    library.build()
    serve(library.engine, assess(library))
    library.embed("photos-00000", "tiny-b")
    library.index("tiny-b")
    readiness = assess(library, "tiny-b")
    assert readiness.refusals == (
        "16 of 26 images have no embedding of it: materialize the missing partitions of image_embeddings for tiny-b",
    )
    with pytest.raises(
        NotReadyToServeError, match=r"^tiny-b cannot serve: 16 of 26 images .* The serving model stays\.$"
    ):
        serve(library.engine, readiness)
    assert serving(library) == ["tiny-a"]


def test_an_index_that_was_not_built_is_refused(library: Library) -> None:
    library.scan()
    library.register_all()
    library.embed_all()
    (refusal,) = assess(library).refusals
    assert refusal.startswith("its index has 0 rows for 26 embeddings, and is out of date for 26 images: ")


def change_content(library: Library) -> None:
    draw_photo(library.root / "2024/00.jpg", 100)
    touch(library.root / "2024/00.jpg")


def replace_one_image(library: Library) -> None:
    (library.root / "2024/00.jpg").unlink()
    draw_photo(library.root / "2024/13.jpg", 100)


@pytest.mark.parametrize(("change", "images"), [(change_content, 1), (replace_one_image, 2)])
def test_an_index_with_the_right_number_of_wrong_rows_is_refused(
    library: Library, change: Callable[[Library], None], images: int
) -> None:
    library.build()
    change(library)
    library.scan()
    library.register_all()
    library.embed_all()
    readiness = assess(library)
    assert readiness.refusals == (
        (
            f"its index has 26 rows for 26 embeddings, and is out of date for {images} images: "
            "materialize vector_index for tiny-a"
        ),
    )
    library.index()
    assert assess(library).refusals == ()


def test_a_recall_below_the_bar_is_refused_with_both_figures(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources.vector_index import VectorIndex

    library.build()
    measure = VectorIndex.recall_at_k

    def measure_low(index: VectorIndex) -> RecallReport:
        return replace(measure(index), recall=0.9)

    monkeypatch.setattr(VectorIndex, "recall_at_k", measure_low)
    assert assess(library).refusals == ("its recall@10 is 0.900, below the bar of 0.95 (recall_bar)",)
    assert assess(library, recall_bar=0.9).refusals == ()


def test_a_model_that_was_never_loaded_is_refused(library: Library) -> None:
    with pytest.raises(ModelNotLoadedError, match="model 'tiny-a' has no embeddings yet"):
        assess(library)


def test_a_promotion_that_fails_leaves_the_former_model_serving(library: Library) -> None:
    library.build("tiny-a", "tiny-b")
    serve(library.engine, assess(library, "tiny-a"))

    def promote_and_fail(connection: object) -> None:
        promote(connection, "tiny-b")  # type: ignore[arg-type]
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        run_in_transaction(library.engine, promote_and_fail)
    assert serving(library) == ["tiny-a"]


def test_the_candidate_is_the_wanted_model_else_the_serving_one_else_the_first_loaded(
    library: Library,
) -> None:
    keys = ["tiny-a", "tiny-b"]
    with pytest.raises(NotReadyToServeError, match="no model has embeddings yet"):
        choose_candidate(library.engine, keys, None)
    library.embedder("tiny-b")
    assert choose_candidate(library.engine, keys, None) == "tiny-b"
    library.embedder("tiny-a")
    assert choose_candidate(library.engine, keys, None) == "tiny-a"
    run_in_transaction(library.engine, lambda connection: promote(connection, "tiny-b"))
    assert choose_candidate(library.engine, keys, None) == "tiny-b"
    assert choose_candidate(library.engine, keys, "tiny-a") == "tiny-a"
    with pytest.raises(
        NotReadyToServeError, match=r"model 'tiny-c' is not configured\. Valid: tiny-a, tiny-b"
    ):
        choose_candidate(library.engine, keys, "tiny-c")
