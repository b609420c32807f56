"""Queries as vectors, and what a person is told beside the hits.

The index is a real one. The encoder is an arithmetic one, so that what must come out can be said exactly: a text is
the sum of its words' axes, an image the axis of its most frequent colour channel.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from photolineage.search.query import (
    OUTDATED,
    Encoders,
    Query,
    QueryError,
    SearchResult,
    Weighted,
    query_vector,
    search,
)
from photolineage.stores.vector_index import (
    ImageNotIndexedError,
    IndexNotBuiltError,
    SearchFilters,
    VectorIndex,
    live_schema,
)

AXES = {"beach": 0, "people": 1, "night": 2, "a": 3, "photo": 4, "of": 5, "drawing": 6}
DIM = 8
WORDS_READ = 6


class WordEncoder:
    """Reads `WORDS_READ` words; `texts` are the texts that it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts.extend(texts)
        vectors = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split()[:WORDS_READ]:
                vectors[row, AXES.get(word, DIM - 1)] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        channels = [int(np.asarray(image).mean(axis=(0, 1)).argmax()) for image in images]
        return np.eye(DIM, dtype=np.float32)[channels]

    def truncates(self, text: str) -> bool:
        return len(text.split()) > WORDS_READ


LIBRARY: dict[int, list[float]] = {1: [1, 0, 0], 2: [1, 1, 0], 3: [0, 1, 0], 4: [0, 0, 1], 5: [1, 0, 0.5]}
"""Images by how much of a beach, of people and of the night is in them."""


@pytest.fixture
def empty_index(tmp_path: Path) -> VectorIndex:
    return VectorIndex(tmp_path, "words", DIM)


@pytest.fixture
def index(empty_index: VectorIndex) -> VectorIndex:
    vectors = np.zeros((len(LIBRARY), DIM))
    vectors[:, :3] = np.array(list(LIBRARY.values()))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    live = pa.Table.from_pylist(
        [{"image_id": image, "source": "camera", "embedding_file": 7} for image in LIBRARY],
        schema=live_schema(),
    )

    def read(files: Sequence[int]) -> Iterator[pa.RecordBatch]:
        assert list(files) == [7]
        values = pa.array(vectors.astype(np.float16).ravel())
        yield pa.record_batch(
            {
                "image_id": pa.array(list(LIBRARY)),
                "embedding_file": pa.array([7] * len(LIBRARY)),
                "vector": pa.FixedSizeListArray.from_arrays(values, DIM),
            }
        )

    empty_index.synchronize(live, read)
    return empty_index


@pytest.fixture
def ask(index: VectorIndex) -> Callable[..., SearchResult]:
    def asked(query: Query, **settings: Any) -> SearchResult:
        return search(index, WORDS, query, has_embeddings=True, **settings)

    return asked


def texts(**weights: float) -> tuple[Weighted[str], ...]:
    return tuple(Weighted(text.replace("_", " "), weight) for text, weight in weights.items())


def no_encoder() -> WordEncoder:
    raise AssertionError("the encoder was made")


WORDS = Encoders(WordEncoder, WordEncoder)
NO_MODEL = Encoders(no_encoder, no_encoder)


def test_by_text(ask: Callable[..., SearchResult]) -> None:
    result = ask(Query(texts=texts(beach=1)), k=3)
    assert [(hit.image_id, round(hit.score, 3)) for hit in result.hits] == [(1, 1.0), (5, 0.894), (2, 0.707)]
    assert result.notes == ()


def test_a_negative_weight_asks_for_the_unlike(ask: Callable[..., SearchResult]) -> None:
    ids = [hit.image_id for hit in ask(Query(texts=texts(beach=1, people=-1)), k=5).hits]
    assert ids == [1, 5, 2, 4, 3]
    assert [hit.image_id for hit in ask(Query(texts=texts(people=-1)), k=5).hits][-1] == 3


def test_weights_say_how_much_a_part_counts(ask: Callable[..., SearchResult]) -> None:
    assert ask(Query(texts=texts(beach=0.2, night=1)), k=1).hits[0].image_id == 4
    assert ask(Query(texts=texts(beach=1, night=0.5)), k=1).hits[0].image_id == 5
    assert ask(Query(texts=texts(beach=3, people=3)), k=1).hits[0].image_id == 2


def test_by_an_image_of_the_library_without_an_encoder(index: VectorIndex) -> None:
    result = search(index, NO_MODEL, Query(image_ids=(Weighted(5),)), has_embeddings=True, k=2)
    assert [hit.image_id for hit in result.hits] == [5, 1]


def test_by_an_image_file(ask: Callable[..., SearchResult], tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (0, 200, 10)).save(tmp_path / "green.png")
    assert ask(Query(image_files=(Weighted(tmp_path / "green.png"),)), k=1).hits[0].image_id == 3


def test_parts_of_every_kind_add_up(index: VectorIndex, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (0, 200, 10)).save(tmp_path / "green.png")
    query = Query(
        texts=(Weighted("beach", 2.0), Weighted("night", -0.5)),
        image_files=(Weighted(tmp_path / "green.png", -1.0),),
        image_ids=(Weighted(4, 3.0),),
    )
    vector, notes = query_vector(index, WORDS, query)
    expected = np.array([2, -1, 2.5, 0, 0, 0, 0, 0]) / np.linalg.norm([2, -1, 2.5])
    np.testing.assert_allclose(vector, expected, atol=1e-6)
    assert vector.dtype == np.float32
    assert notes == []


def test_a_text_is_the_mean_over_the_templates(index: VectorIndex) -> None:
    encoder = WordEncoder()
    templates = ("a photo of {}", "{}", "drawing {}")
    vector, _ = query_vector(
        index, Encoders(lambda: encoder, no_encoder), Query(texts=texts(beach=1)), templates
    )
    assert encoder.texts == ["a photo of beach", "beach", "drawing beach"]
    mean = np.zeros(DIM)
    mean[0] = 0.5 + 1 + np.sqrt(0.5)
    mean[[3, 4, 5]] = 0.5
    mean[6] = np.sqrt(0.5)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


@pytest.mark.parametrize("text", ["{}", "{0.__class__}", "'; DROP TABLE image; --", "写真\n☃", "%s", "\\"])
def test_a_text_reaches_the_model_as_it_is(index: VectorIndex, text: str) -> None:
    encoder = WordEncoder()
    query_vector(
        index, Encoders(lambda: encoder, no_encoder), Query(texts=(Weighted(text),)), ("a photo of {}",)
    )
    assert encoder.texts == [f"a photo of {text}"]


@pytest.mark.parametrize("template", ["a photo", "{} and {}", ""])
def test_a_template_without_one_place_for_the_text_is_refused(
    ask: Callable[..., SearchResult], template: str
) -> None:
    with pytest.raises(QueryError, match=r"prompt template .* must contain \{\} exactly once"):
        ask(Query(texts=texts(beach=1)), templates=(template,))


def test_no_templates_are_refused(ask: Callable[..., SearchResult]) -> None:
    with pytest.raises(QueryError, match="prompt templates: the list is empty"):
        ask(Query(texts=texts(beach=1)), templates=())


def test_a_text_that_is_too_long_is_cut_and_said(ask: Callable[..., SearchResult]) -> None:
    result = ask(Query(texts=(Weighted("beach beach beach beach beach beach night night night"),)), k=1)
    assert result.hits[0].image_id == 1
    assert result.notes == (
        "the text 'beach beach beach beach beach beach nig…' is too long for the model: its end is ignored",
    )


def test_pages_and_filters_reach_the_index(ask: Callable[..., SearchResult]) -> None:
    query = Query(texts=texts(beach=1))
    assert [hit.image_id for hit in ask(query, k=2, page=2).hits] == [2, 3]
    assert ask(query, k=2, page=4).hits == ()
    assert [hit.image_id for hit in ask(query, filters=SearchFilters(image_ids=(3, 5))).hits] == [5, 3]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query, "the query is empty"),
        (lambda: Query(texts=texts(beach=1, _=1)), "the text is empty"),
        (lambda: Query(texts=(Weighted(""),)), "the text is empty"),
        (lambda: Query(texts=(Weighted("beach", 0),)), "weight 0 of 'beach'"),
        *(
            (
                lambda weight=weight: Query(image_ids=(Weighted(4, float(weight)),)),
                r"weight \S+ of 4: give a number from 0\.01 to 100, or the same below 0",
            )
            for weight in (
                "nan",
                "-nan",
                "inf",
                "-inf",
                "1e400",
                "1e38",
                "-1e38",
                "100.1",
                "-0.0",
                "1e-40",
                "0.009",
            )
        ),
    ],
)
def test_a_query_that_asks_for_nothing_is_refused(query: Callable[[], Query], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        query()


def test_parts_that_cancel_each_other_are_refused(ask: Callable[..., SearchResult]) -> None:
    with pytest.raises(QueryError, match="cancel each other"):
        ask(Query(texts=texts(beach=1), image_ids=(Weighted(1, -1.0),)))


@pytest.mark.parametrize(("k", "page"), [(0, 1), (10, 0), (10, -1)])
def test_a_page_that_cannot_be_is_refused(ask: Callable[..., SearchResult], k: int, page: int) -> None:
    with pytest.raises(QueryError, match=f"page {page} of {k} hits"):
        ask(Query(texts=texts(beach=1)), k=k, page=page)


def test_an_image_that_does_not_open_is_named(ask: Callable[..., SearchResult], tmp_path: Path) -> None:
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    with pytest.raises(QueryError, match=r"cannot open image file .*torn\.jpg"):
        ask(Query(image_files=(Weighted(tmp_path / "torn.jpg"),)))
    with pytest.raises(QueryError, match=r"cannot open image file .*none\.jpg \(.*No such file"):
        ask(Query(image_files=(Weighted(tmp_path / "none.jpg"),)))


def test_an_image_that_is_not_in_the_index_is_named(ask: Callable[..., SearchResult]) -> None:
    with pytest.raises(ImageNotIndexedError, match="images 99"):
        ask(Query(image_ids=(Weighted(1), Weighted(99))))


def test_an_encoder_of_another_model_is_refused(index: VectorIndex) -> None:
    class WiderEncoder(WordEncoder):
        def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.eye(12, dtype=np.float32)[: len(texts)]

    with pytest.raises(QueryError, match=r"vectors of shape \(12,\), but the index of model 'words' has 8"):
        search(index, Encoders(WiderEncoder, no_encoder), Query(texts=texts(beach=1)), has_embeddings=True)


def test_an_index_that_is_not_built_is_an_error(empty_index: VectorIndex) -> None:
    with pytest.raises(IndexNotBuiltError, match="photolineage run --model words"):
        search(empty_index, NO_MODEL, Query(texts=texts(beach=1)), has_embeddings=True)


def test_an_empty_library_has_no_hits(empty_index: VectorIndex) -> None:
    query = Query(texts=texts(beach=1))
    unbuilt = search(empty_index, NO_MODEL, query, has_embeddings=False)
    assert unbuilt == SearchResult((), ("model 'words' has no embeddings yet",))
    empty_index.synchronize(live_schema().empty_table(), lambda files: iter(()))
    assert search(empty_index, NO_MODEL, query, has_embeddings=False) == SearchResult(())


def test_an_index_older_than_its_embeddings_answers_and_says_so(index: VectorIndex) -> None:
    result = search(index, WORDS, Query(texts=texts(beach=1)), has_embeddings=True, is_outdated=True, k=1)
    assert [hit.image_id for hit in result.hits] == [1]
    assert result.notes == (OUTDATED,)


def test_a_query_by_image_id_imports_no_torch(index: VectorIndex) -> None:
    program = f"""
import sys
from pathlib import Path
from photolineage.search.query import Encoders, Query, Weighted, search
from photolineage.stores.vector_index import VectorIndex
assert "lancedb" not in sys.modules, "importing the search module imports lancedb"
index = VectorIndex(Path({str(index.directory)!r}), "words", {DIM})
result = search(index, Encoders(lambda: 1 / 0, lambda: 1 / 0), Query(image_ids=(Weighted(5),)), has_embeddings=True)
assert [hit.image_id for hit in result.hits] == [5, 1, 2, 4, 3], result
unused = {{"torch", "open_clip", "onnxruntime", "dagster"}}
assert not unused & sys.modules.keys()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
