"""A small library as the catalog would describe it, whose files record that they were read."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from photolineage.stores.vector_index import VectorIndex, index_schema, live_schema

START = datetime(2024, 1, 1, tzinfo=UTC)


class Library:
    """Images with their facts, and embedding files; `reads` has one entry for each call of `read`."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.facts: dict[int, dict[str, Any]] = {}
        self.files: dict[int, dict[int, NDArray[np.float16]]] = {}
        self.reads: list[list[int]] = []

    def commit(self, file: int, images: Sequence[int], vectors: NDArray[np.float16] | None = None) -> None:
        """A new embedding file, which holds from now on the current embeddings of these images."""
        if vectors is None:
            drawn = np.random.default_rng(file).standard_normal((len(images), self.dim))
            vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16)
        self.files[file] = dict(zip(images, vectors, strict=True))
        for image in images:
            self.facts.setdefault(image, new_facts(image))["embedding_file"] = file

    def remove(self, images: Sequence[int]) -> None:
        """The images are not in the library any more; their embeddings stay where they are."""
        for image in images:
            del self.facts[image]

    def live(self) -> pa.Table:
        return pa.Table.from_pylist(list(self.facts.values()), schema=live_schema())

    def read(self, files: Sequence[int]) -> Iterator[pa.RecordBatch]:
        self.reads.append(list(files))
        for file in files:
            rows = self.files[file]
            values = np.concatenate(list(rows.values()))
            yield pa.record_batch(
                {
                    "image_id": pa.array(rows, pa.int64()),
                    "embedding_file": pa.array([file] * len(rows), pa.int64()),
                    "vector": pa.FixedSizeListArray.from_arrays(pa.array(values), self.dim),
                }
            )

    def expected_rows(self) -> list[dict[str, Any]]:
        """What the table must hold, by image id."""
        vectors = {image: self.files[facts["embedding_file"]][image] for image, facts in self.facts.items()}
        rows = [facts | {"vector": vectors[image].tolist()} for image, facts in self.facts.items()]
        return sorted(rows, key=lambda row: row["image_id"])


def new_facts(image: int) -> dict[str, Any]:
    return {
        "image_id": image,
        "source": "camera",
        "taken_at": START + timedelta(days=image),
        "latitude": None,
        "longitude": None,
        "stack_of": None,
        "embedding_file": None,
    }


@pytest.fixture
def library() -> Library:
    return Library(dim=16)


@pytest.fixture
def make_index(tmp_path: Path) -> Callable[..., VectorIndex]:
    """An index under the folder of the test, whose old versions may be deleted after a millisecond."""

    def make(model_key: str = "demo-clip-v1", dim: int = 16) -> VectorIndex:
        return VectorIndex(tmp_path / "index", model_key, dim, keep_versions_for=timedelta(milliseconds=1))

    return make


@pytest.fixture
def index(make_index: Callable[..., VectorIndex]) -> VectorIndex:
    return make_index()


@pytest.fixture
def stored_rows(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Reads a model's table past the code under test: every row with every column, by image id."""
    import lancedb

    def read(model_key: str = "demo-clip-v1", dim: int = 16) -> list[dict[str, Any]]:
        table = lancedb.connect(tmp_path / "index").open_table(model_key).to_arrow().cast(index_schema(dim))
        return table.sort_by("image_id").to_pylist()

    return read
