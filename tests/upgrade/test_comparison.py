"""A candidate beside the serving model: each figure against what can be computed without the index."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photolineage.catalog.engine import run_in_transaction
from photolineage.models.embedder import load_embedder
from photolineage.models.registry import ModelChangedError, ModelNotLoadedError, record_serving_model
from photolineage.settings import ComparisonSettings, ModelSettings, load_settings
from photolineage.steps.embed import Stores
from photolineage.stores.pictures import read_previews
from photolineage.stores.vector_index import IndexNotBuiltError
from photolineage.upgrade.comparing import (
    Comparison,
    NothingToCompareError,
    Variation,
    compare_models,
    comparison_sheet,
    figure_rows,
    markdown_report,
    shown_images,
)
from photolineage.upgrade.comparing.contact_sheet import FRAME
from photolineage.upgrade.comparing.figures import PROMPT
from photolineage.upgrade.comparing.variations import vary
from tests.library import TINY_MODELS, Library, write_tiny_model

TEXTS = ("a beach", "a mountain", "a dog")
EVERYTHING = ComparisonSettings(queries=TEXTS, sample=100)


def compare(
    library: Library, candidate: str = "tiny-b", settings: ComparisonSettings = EVERYTHING
) -> Comparison:
    stores = Stores(library.previews, library.embeddings)
    return compare_models(
        library.engine, stores, library.indexes, library.settings.models, candidate, settings
    )


def let_serve(library: Library, model_key: str) -> None:
    run_in_transaction(library.engine, lambda connection: record_serving_model(connection, model_key))


@pytest.fixture
def built(library: Library) -> Library:
    """Built for both models; `tiny-a` serves."""
    library.build("tiny-a", "tiny-b")
    let_serve(library, "tiny-a")
    return library


@pytest.fixture
def twin(library: Library) -> Library:
    """The same weights under two keys; `tiny-a` serves."""
    config = library.settings.config_file
    folder = library.settings.models["tiny-a"].architecture
    config.write_text(f"{config.read_text()}[models.twin]\narchitecture = '{folder}'\n")
    twins = Library(load_settings(config), library.engine)
    twins.build("tiny-a", "twin")
    let_serve(twins, "tiny-a")
    return twins


def vectors(library: Library, model_key: str) -> tuple[list[int], NDArray[np.float32]]:
    table = library.live(model_key).vectors().sort_by("image_id")
    return table["image_id"].to_pylist(), np.array(table["vector"].to_pylist(), np.float32)


def nearest_ten(library: Library, model_key: str) -> list[set[int]]:
    image_ids, matrix = vectors(library, model_key)
    cosines = matrix @ matrix.T
    np.fill_diagonal(cosines, -2)
    return [{image_ids[column] for column in row[:10]} for row in np.argsort(-cosines, axis=1)]


def labels(library: Library, model_key: str) -> NDArray[np.int64]:
    embedder = load_embedder(model_key, library.settings.models[model_key])
    prompts = embedder.encode_text([PROMPT.format(text) for text in TEXTS])
    return np.argmax(vectors(library, model_key)[1] @ prompts.T, axis=1)


def found_first(library: Library, model_key: str, variation: Variation) -> int:
    image_ids, matrix = vectors(library, model_key)
    previews = read_previews(library.engine, library.previews, image_ids)
    assert len(previews) == len(image_ids)
    embedder = load_embedder(model_key, library.settings.models[model_key])
    count = 0
    for image_id, jpeg in previews.items():
        path = library.settings.home / "preview.jpg"
        path.write_bytes(jpeg)
        (vector,) = embedder.encode_images([vary(Image.open(path).convert("RGB"), variation, image_id)])
        count += image_ids[int(np.argmax(matrix @ vector))] == image_id
    return count


def test_the_same_weights_agree_in_everything(twin: Library) -> None:
    found = compare(twin, "twin")
    assert (found.neighbours_in_common, found.hits_in_common, found.labels_in_common) == (1.0, 1.0, 1.0)
    assert found.serving.found_first == found.candidate.found_first
    assert found.serving.found == found.candidate.found
    assert [query.serving for query in found.queries] == [query.candidate for query in found.queries]


def test_what_models_have_in_common_is_counted_image_by_image(built: Library) -> None:
    found = compare(built)
    shares = [
        len(a & b) / 10
        for a, b in zip(nearest_ten(built, "tiny-a"), nearest_ten(built, "tiny-b"), strict=True)
    ]
    assert found.sample == len(shares) == 26
    # Equal cosines of float16 vectors may be ranked either way: one neighbour of a few images.
    assert found.neighbours_in_common == pytest.approx(np.mean(shares), abs=0.02)
    assert 0.3 < found.neighbours_in_common < 0.9
    assert found.labels_in_common == pytest.approx(
        np.mean(labels(built, "tiny-a") == labels(built, "tiny-b"))
    )


def test_near_duplicates_that_find_their_originals_are_counted(built: Library) -> None:
    found = compare(built)
    for figures in (found.serving, found.candidate):
        expected = {variation: found_first(built, figures.model_key, variation) for variation in Variation}
        assert figures.varied == 26
        assert figures.found_first == expected
        assert all(figures.found[variation] >= expected[variation] for variation in Variation)
        assert figures.near_duplicate_recall == pytest.approx(sum(expected.values()) / 78)
        assert expected[Variation.CROP] < expected[Variation.RECOMPRESS]


def test_what_a_model_is_and_costs(built: Library) -> None:
    old, new = compare(built).serving, compare(built).candidate
    assert (old.model_key, old.embedding_dim, old.image_size, old.images) == ("tiny-a", 16, 64, 26)
    assert (new.model_key, new.embedding_dim, new.image_size, new.images) == ("tiny-b", 24, 64, 26)
    assert old.architecture == built.settings.models["tiny-a"].architecture
    # Only the projections of the towers to the embedding differ: 8 numbers of 64 and of 32 each.
    assert new.parameters - old.parameters == 8 * (64 + 32)
    for figures in (old, new):
        folder = built.settings.home / "embeddings" / figures.model_key
        assert figures.embedding_bytes == sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        assert figures.index_bytes > 0
        assert figures.images_per_second > 0


def test_the_sample_is_seeded_and_no_larger_than_asked_for(built: Library) -> None:
    first, second = (compare(built, settings=ComparisonSettings(queries=TEXTS, sample=7)) for _ in range(2))
    assert first.sample == first.candidate.varied == 7
    assert first.neighbours_in_common == second.neighbours_in_common
    assert first.candidate.found_first == second.candidate.found_first


def test_a_candidate_of_part_of_the_library_is_compared_on_that_part(library: Library) -> None:
    library.build("tiny-a")
    let_serve(library, "tiny-a")
    library.embed("photos-00000", "tiny-b")
    library.index("tiny-b")
    found = compare(library)
    assert (found.sample, found.candidate.images, found.embeddable) == (10, 10, 26)
    assert "tiny-b cannot serve yet: 16 images are not in its index." in markdown_report(found)


def test_the_report_has_a_row_for_each_figure_and_the_next_step(built: Library) -> None:
    found = compare(built)
    rows = {name: (old, new) for name, old, new in figure_rows(found)}
    assert rows["architecture"] == ("local-dir:tiny-a", "local-dir:tiny-b")
    assert rows["dimension"] == ("16", "24")
    assert rows["images in the index"] == ("26 of 26", "26 of 26")
    crops = found.serving.found_first[Variation.CROP]
    assert rows["near-duplicates found first: crop"][0] == f"{crops} of 26 ({crops / 26:.1%})"
    report = markdown_report(found)
    assert report.startswith("| | tiny-a (serving) | tiny-b |\n")
    assert report.count("\n| ") == 1 + len(rows)
    assert report.endswith(
        "To promote: launch the job promote_model with `model: tiny-b`; it refuses a model that loses pinned searches. "
        "To go back: launch it with `model: tiny-a`."
    )


def framed_pixels(library: Library, found: Comparison) -> int:
    """The pixels of the frame's colour below the sheet's head."""
    jpegs = read_previews(library.engine, library.previews, shown_images(found))
    sheet = comparison_sheet(found, jpegs)
    return int((np.asarray(sheet)[40:] == FRAME).all(axis=2).sum())


def test_the_sheet_frames_what_only_one_model_found(built: Library) -> None:
    found = compare(built)
    only_one = sum(
        hit.image_id not in {other.image_id for other in others}
        for query in found.queries
        for hits, others in ((query.serving, query.candidate), (query.candidate, query.serving))
        for hit in hits[:5]
    )
    assert only_one > 0
    # Three pixels around a cell of 96 × 72.
    assert framed_pixels(built, found) == only_one * (96 * 72 - 90 * 66)


def test_the_sheet_of_twins_frames_nothing(twin: Library) -> None:
    assert framed_pixels(twin, compare(twin, "twin")) == 0


def test_no_model_serves_yet(library: Library) -> None:
    with pytest.raises(NothingToCompareError, match="no model serves yet: materialize serving_model first"):
        compare(library)


def test_the_serving_model_is_not_compared_with_itself(built: Library) -> None:
    with pytest.raises(
        NothingToCompareError,
        match=r"^tiny-a is the serving model: choose another model to compare it with: tiny-b\.$",
    ):
        compare(built, "tiny-a")


def test_a_serving_model_that_is_not_configured_cannot_be_compared(built: Library) -> None:
    del_serving = {"tiny-b": built.settings.models["tiny-b"]}
    with pytest.raises(NothingToCompareError, match=r"restore \[models\.tiny-a\]"):
        compare_models(
            built.engine,
            Stores(built.previews, built.embeddings),
            built.indexes,
            del_serving,
            "tiny-b",
            EVERYTHING,
        )


def test_other_weights_under_a_known_key_are_not_compared(built: Library, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", dim=TINY_MODELS["tiny-b"], seed=99)
    models = built.settings.models | {"tiny-b": ModelSettings(architecture=f"local-dir:{other}")}
    with pytest.raises(ModelChangedError, match=r"models\.tiny-b: the weights or the precision differ"):
        compare_models(
            built.engine,
            Stores(built.previews, built.embeddings),
            built.indexes,
            models,
            "tiny-b",
            EVERYTHING,
        )


def test_a_candidate_without_embeddings_or_without_index_is_refused(library: Library) -> None:
    library.build("tiny-a")
    let_serve(library, "tiny-a")
    with pytest.raises(ModelNotLoadedError, match="model 'tiny-b' has no embeddings yet"):
        compare(library)
    library.embed_all("tiny-b")
    with pytest.raises(IndexNotBuiltError, match="model 'tiny-b' has no vector index"):
        compare(library)


def test_indexes_of_different_images_have_nothing_to_compare(library: Library, tmp_path: Path) -> None:
    library.scan()
    library.register_all()
    library.embed("photos-00000", "tiny-a")
    library.embed("photos-00001", "tiny-b")
    library.index("tiny-a")
    library.index("tiny-b")
    let_serve(library, "tiny-a")
    with pytest.raises(NothingToCompareError, match="no image is in the indexes of both tiny-a and tiny-b"):
        compare(library)
