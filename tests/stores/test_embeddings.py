"""Embedding files hold unit vectors in float16, and say whose they are."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from photolineage.stores.embeddings import EmbeddingFileHeader, EmbeddingStore, embedding_schema
from photolineage.stores.files import LocalFiles
from photolineage.stores.root_folder import StorageError

HEADER = EmbeddingFileHeader("model", "digest", "photos-00007")


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(LocalFiles(tmp_path))


def unit_vectors(count: int, dim: int = 12) -> np.ndarray:
    drawn = np.random.default_rng(5).standard_normal((count, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_vectors_come_back_in_half_precision_beside_their_images(
    store: EmbeddingStore, tmp_path: Path
) -> None:
    vectors = unit_vectors(3)
    path, size = store.write(HEADER, "00000001-0000", [7, 2**40, 1], ["x", "y", "z"], vectors)
    assert re.fullmatch(r"embeddings/model/photos-00007/00000001-0000-[0-9a-f]{12}\.parquet", path)
    assert size == (tmp_path / path).stat().st_size
    table = store.read(path)
    assert table.drop_columns(["vector"]).to_pydict() == {
        "image_id": [7, 2**40, 1],
        "content_hash": ["x", "y", "z"],
    }
    assert table.schema.field("vector").type == pa.list_(pa.field("element", pa.float16()), 12)
    read = np.array(table["vector"].to_pylist(), np.float32)
    np.testing.assert_array_equal(read, vectors.astype(np.float16).astype(np.float32))
    assert np.abs(np.linalg.norm(read, axis=1) - 1).max() < 2e-3
    assert store.read_identities(path).schema.names == ["image_id", "content_hash"]


def test_the_file_says_whose_it_is(store: EmbeddingStore) -> None:
    path, _ = store.write(HEADER, "1", [1], ["x"], unit_vectors(1))
    assert store.read_schema(path).equals(embedding_schema(12, HEADER), check_metadata=True)


@pytest.mark.parametrize(("value", "row"), [(np.nan, 1), (np.inf, 1), (0.5, 1)])
def test_vectors_that_are_not_of_unit_length_are_refused(
    store: EmbeddingStore, tmp_path: Path, value: float, row: int
) -> None:
    vectors = unit_vectors(3)
    vectors[row] *= value
    with pytest.raises(
        ValueError, match="model: the embedding of image 20 is not finite or not of unit length"
    ):
        store.write(HEADER, "1", [10, 20, 30], ["x", "y", "z"], vectors)
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_committed_file_that_cannot_be_read_names_its_partition(
    store: EmbeddingStore, tmp_path: Path, damage: str
) -> None:
    path, _ = store.write(HEADER, "1", [1], ["x"], unit_vectors(1))
    if damage == "gone":
        (tmp_path / path).unlink()
    else:
        (tmp_path / path).write_bytes((tmp_path / path).read_bytes()[:200])
    for read in (store.read, store.read_identities, store.read_schema):
        with pytest.raises(StorageError, match=r"partition model\|photos-00007 of image_embeddings again"):
            read(path)
