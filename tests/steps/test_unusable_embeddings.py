"""Images to which a model gives no unit vector: they are named, and keep nobody else from being embedded."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.lineage import JobKind
from photolineage.models.embedder import Embedder
from photolineage.steps.embed import UnusableEmbeddingsError
from photolineage.steps.progress import Progress
from photolineage.stores.pictures import open_preview, read_previews
from tests.library import Library

FIRST = "photos-00000"
SPOILED = {"2023/01.jpg": np.nan, "2023/05.jpg": np.inf, "2023/06.jpg": 0}


@pytest.fixture
def encoded(registered: Library, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that were run through a model, which spoils the vectors of three images."""
    sizes: list[int] = []
    images = registered.images()
    jpegs = read_previews(registered.engine, registered.previews, [images[path].id for path in SPOILED])
    embedder, _ = registered.embedder()
    seen = [
        (embedder.transform.of_image(open_preview(jpegs[images[path].id])), value)
        for path, value in SPOILED.items()
    ]
    encode = Embedder.encode_batch

    def spoil(self: Embedder, batch: list[torch.Tensor]) -> NDArray[np.float32]:
        sizes.append(len(batch))
        vectors = encode(self, batch)
        for pixels, value in seen:
            vectors[[torch.equal(pixels, given) for given in batch]] = value
        return vectors

    monkeypatch.setattr(Embedder, "encode_batch", spoil)
    return sizes


@pytest.mark.usefixtures("encoded")
def test_they_are_named_and_all_others_are_embedded(registered: Library) -> None:
    seen: list[Progress] = []
    named = ", ".join(str(registered.root / path) for path in SPOILED)
    with pytest.raises(
        UnusableEmbeddingsError,
        match=rf"shard 'photos-00000': 3 images were not embedded, because tiny-a .*: {named}\. ",
    ):
        registered.embed(FIRST, on_progress=seen.append)

    assert seen[-1] == Progress(7, 10, 3, 0)
    (job,) = registered.jobs(JobKind.EMBED)
    assert (job.state, job.done, job.total) == (JobState.FAILED, 7, 10)
    images = registered.images()
    embedded = set(registered.live().rows["image_id"].to_pylist())
    assert len(embedded) == 7
    assert embedded.isdisjoint({images[path].id for path in SPOILED})
    assert {images[path].state for path in SPOILED} == {ImageState.REGISTERED}


def test_they_are_tried_again_and_no_others(
    registered: Library, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        with pytest.raises(UnusableEmbeddingsError):
            registered.embed(FIRST)
    assert sum(encoded) == 10 + 3
    monkeypatch.undo()
    report = registered.embed(FIRST)
    assert (report.resumed, report.embedded) == (7, 3)
