"""Models that read originals embed what was registered, and say what has changed or gone since."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from sqlalchemy import delete

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import ShardFile
from photolineage.catalog.vocabulary import FileKind, JobState
from photolineage.lineage import JobKind
from photolineage.media import PREVIEW_SHORT_SIDE, open_picture
from photolineage.settings import ModelSettings
from photolineage.steps import model_input
from photolineage.steps.model_input import UnusableOriginalsError
from photolineage.steps.progress import Progress
from photolineage.steps.tree_walk import SourceUnavailableError
from tests.library import Library, draw_photo, write_tiny_model

FIRST = "photos-00000"


@pytest.fixture
def sharp(registered: Library, tmp_path: Path) -> Library:
    """The same library with a model that needs more pixels than a preview has: it reads originals."""
    folder = write_tiny_model(tmp_path / "sharp", dim=16, seed=5, image_size=400)
    models = {"sharp": ModelSettings(architecture=f"local-dir:{folder}")}
    return Library(registered.settings.model_copy(update={"models": models}), registered.engine)


def test_a_source_that_goes_away_while_originals_are_read_is_named_and_nothing_is_lost(
    sharp: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    unplugged = sharp.root.parent / "unplugged"
    first_checkpoint_is_encoded, unplugging = threading.Event(), threading.Lock()

    def unplug_before_the_seventh(path: Path, short_side: int, *, expected_hash: str) -> PillowImage.Image:
        if path.name >= "06.jpg":
            assert first_checkpoint_is_encoded.wait(timeout=60)
            with unplugging:
                if sharp.root.exists():
                    sharp.root.rename(unplugged)
        return open_picture(path, short_side, expected_hash=expected_hash)

    def note(progress: Progress) -> None:
        if progress.done == 4:
            first_checkpoint_is_encoded.set()

    with monkeypatch.context() as patch:
        patch.setattr(model_input, "open_picture", unplug_before_the_seventh)
        with pytest.raises(
            SourceUnavailableError, match=f"{sharp.root}: became unavailable while its images were read"
        ):
            sharp.embed(FIRST, "sharp", on_progress=note)
    (job,) = sharp.jobs(JobKind.EMBED)
    assert (job.state, job.done) == (JobState.FAILED, 4)
    unplugged.rename(sharp.root)
    report = sharp.embed(FIRST, "sharp")
    assert (report.resumed, report.embedded) == (4, 6)


def without_previews(library: Library) -> None:
    """From now on the originals are read, as for a model that sees more pixels than a preview has."""
    with write_transaction(library.engine) as connection:
        connection.execute(delete(ShardFile).where(ShardFile.kind == FileKind.PREVIEW))


def test_a_model_that_sees_more_than_a_preview_reads_the_originals(
    registered: Library, tmp_path: Path
) -> None:
    folder = write_tiny_model(tmp_path / "large", dim=8, seed=1, image_size=PREVIEW_SHORT_SIDE + 16)
    settings = ModelSettings(architecture=f"local-dir:{folder}")
    registered.settings.models["large"] = settings
    registered.root.rename(tmp_path / "unplugged")
    with pytest.raises(SourceUnavailableError, match="became unavailable while its images were read"):
        registered.embed(FIRST, "large")
    (tmp_path / "unplugged").rename(registered.root)
    assert registered.embed(FIRST, "large").embedded == 10
    embedder, _ = registered.embedder("large")
    path, row = next(iter(registered.images().items()))
    (own,) = embedder.encode_images([PillowImage.open(registered.root / path).convert("RGB")])
    table = registered.live("large").vectors()
    by_id = dict(zip(table["image_id"].to_pylist(), table["vector"].to_pylist(), strict=True))
    assert float(np.dot(by_id[row.id], own)) > 0.999


def test_an_original_that_has_changed_since_is_not_embedded_and_all_others_are(registered: Library) -> None:
    without_previews(registered)
    changed, gone = registered.images()["2023/05.jpg"].id, registered.images()["2023/08.jpg"].id
    former = (registered.root / "2023/05.jpg").stat()
    draw_photo(registered.root / "2023/05.jpg", 100)
    os.utime(registered.root / "2023/05.jpg", ns=(former.st_atime_ns, former.st_mtime_ns))
    (registered.root / "2023/08.jpg").unlink()
    with pytest.raises(
        UnusableOriginalsError,
        match=r"shard 'photos-00000': 2 images were not embedded; all other images are. The first is .*2023/05\.jpg: "
        r"its content has changed since it was registered: the hash is \w{32}, and was \w{32}. "
        r"Materialize the partition photos-00000 of registered_images, then this partition again\.",
    ):
        registered.embed(FIRST)
    (job,) = registered.jobs(JobKind.EMBED)
    assert (job.state, job.done, job.total) == (JobState.FAILED, 8, 10)
    embedded = set(registered.live().rows["image_id"].to_pylist())
    assert len(embedded) == 8
    assert embedded.isdisjoint({changed, gone})
    assert registered.register(FIRST).read == 2  # no scan could see that 05.jpg has changed
    assert registered.embed(FIRST).embedded == 1
    assert changed in registered.live().rows["image_id"].to_pylist()
